import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { runCore } from "./index.ts";

test("core runs keep every invariant, and make progress once the faults end", () => {
  const faults = { loss: 0, duplication: 0, reorder: 0, crash: 0, pause: 0, cut: 0 };
  const total = { ...faults, compaction: 0, install: 0, change: 0 };
  for (let seed = 1; seed <= 30; seed++) {
    const result = runCore({ seed });
    equal(result.verdict, "ok", `seed ${seed}: ${result.invariant} ${result.message}`);
    ok(result.operations.ok > 0, `seed ${seed} did something`);
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += result.faults[name];
  }
  for (const [name, count] of Object.entries(total)) ok(count > 0, `${name} happened`);
});

test("one seed is one history, whose hash is that of its lines; another seed is another", () => {
  const lines: string[] = [];
  const first = runCore({ seed: 7, trace: (line) => lines.push(line) });
  deepEqual(runCore({ seed: 7 }), first);
  const hash = createHash("sha256").update(lines.map((line) => `${line}\n`).join(""));
  equal(hash.digest("hex"), first.traceHash);
  notEqual(runCore({ seed: 8 }).traceHash, first.traceHash);
});
