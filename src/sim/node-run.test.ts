import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { DISK_FAULTS } from "./fault-counter.ts";
import { runNodes } from "./node-run.ts";

test("a member that comes late and closes before it is online has come late, once it is online in a later life", async () => {
  const { verdict, faults } = await runNodes(5042);
  equal(verdict, "ok");
  equal(faults["late-join"], 1);
});

test("a run of disks: each way in which one fails has had an effect, what was promised is there, and an older copy is set aside", async () => {
  const { verdict, faults } = await runNodes(1, { style: "disks" });
  equal(verdict, "ok");
  for (const kind of DISK_FAULTS) ok((faults[kind] ?? 0) > 0, kind);
  equal(faults["rolled-back"], 1);
});
