import { equal } from "node:assert/strict";
import { test } from "node:test";
import { runNodes } from "./node-run.ts";

test("a member that comes late and closes before it is online has come late, once it is online in a later life", async () => {
  const { verdict, faults } = await runNodes(5042);
  equal(verdict, "ok");
  equal(faults["late-join"], 1);
});
