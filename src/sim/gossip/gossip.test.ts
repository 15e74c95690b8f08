import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { runGossip } from "./index.ts";

test("gossip runs keep every invariant, and all know all once the faults end", () => {
  const total = new Map<string, number>();
  for (let seed = 1; seed <= 30; seed++) {
    const result = runGossip({ seed });
    equal(result.verdict, "ok", `seed ${seed}: ${result.invariant} ${result.message}`);
    ok(result.changes > 0 && result.joined > 0, `seed ${seed} did something`);
    for (const [name, count] of Object.entries(result.faults)) total.set(name, (total.get(name) ?? 0) + count);
  }
  const names = ["clockJump", "crash", "cut", "duplication", "forgery", "leave", "loss", "reorder", "restart"];
  deepEqual([...total.keys()].sort(), names);
  for (const [name, count] of total) ok(count > 0, `${name} happened`);
});

test("one seed is one history, whose hash is that of its lines; another seed is another", () => {
  const lines: string[] = [];
  const first = runGossip({ seed: 7, trace: (line) => lines.push(line) });
  deepEqual(runGossip({ seed: 7 }), first);
  const hash = createHash("sha256").update(lines.map((line) => `${line}\n`).join(""));
  equal(hash.digest("hex"), first.traceHash);
  notEqual(runGossip({ seed: 8 }).traceHash, first.traceHash);
});
