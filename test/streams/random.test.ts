import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { runStreams } from "../../src/sim/streams/index.ts";

test("random runs of streams keep every promise while links fail and nodes die, and go on once all heals", async () => {
  let missed = 0;
  for (let seed = 1; seed <= 4; seed++) {
    const { verdict, invariant, reason, operations, values } = await runStreams(seed);
    equal(verdict, "ok", `seed ${seed}: ${invariant} ${reason}`);
    ok(operations.ok > 100, `seed ${seed} sent something`);
    equal(values.sent, operations.ok);
    ok(values.received > 100, `seed ${seed} received something`);
    missed += values.missed;
  }
  ok(missed > 0, "some values were missed, and that was told");
});

test("hostile peers get nothing into a program that is out of order, stay no longer than they must, and keep nobody from what is promised", async () => {
  let links = 0;
  let received = 0;
  for (const seed of [4, 6, 12]) {
    const { verdict, invariant, reason, values, hostile } = await runStreams(seed, { isHostile: true });
    equal(verdict, "ok", `seed ${seed}: ${invariant} ${reason}`);
    ok(values.received > 100, `seed ${seed}: honest values came`);
    links += hostile.links;
    received += hostile.received;
  }
  ok(links > 100 && received > 100, `${links} hostile links, ${received} values of theirs`);
});

test("one seed of streams is one history", async () => {
  deepEqual(await runStreams(5), await runStreams(5));
});
