import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, VirtualWorld } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { isNewRoundTrip, ProbePlan } from "./probe-plan.ts";
import { idOf, range } from "./testing.ts";

const newPlan = (seed = 1): ProbePlan => new ProbePlan(new VirtualWorld({ seed }).env("ada").random);
const [ADA, BOB] = [idOf(1), idOf(2)];

/** The next probe that begins, from this moment on, and when. */
function next(plan: ProbePlan, fromMs: number): { readonly id: PeerId; readonly atMs: number } | undefined {
  const waitMs = plan.waitMs(fromMs);
  if (waitMs === undefined) return undefined;
  if (waitMs > 0) assert.equal(plan.take(fromMs + waitMs - 1), undefined, "not before its time");
  const id = plan.take(fromMs + waitMs);
  assert.ok(id !== undefined);
  return { id, atMs: fromMs + waitMs };
}

test("each peer is probed soon, once at a time, and not more than a few at once", () => {
  const plan = newPlan();
  assert.equal(plan.waitMs(0), undefined);
  const ids = range(LIMITS.probesMax + 2).map(idOf);
  for (const id of [...ids, ...ids]) plan.want(id, 1_000);
  assert.equal(plan.size, ids.length);
  const begun: PeerId[] = [];
  for (let probe = next(plan, 1_000); probe !== undefined; probe = next(plan, probe.atMs)) {
    assert.ok(probe.atMs < 1_050);
    begun.push(probe.id);
  }
  assert.equal(new Set(begun).size, LIMITS.probesMax);
  assert.equal(plan.underWay, LIMITS.probesMax);
  assert.equal(plan.take(100_000), undefined, "all slots are taken");
  plan.succeeded(begun[0] as PeerId, 1_100);
  const tenth = next(plan, 1_100);
  assert.ok(tenth !== undefined && !begun.includes(tenth.id) && tenth.atMs === 1_100);
  assert.equal(next(plan, 1_100), undefined);
});

test("a success is refreshed after 30 s, give or take half; a failure tried again after 1 s, doubling to 30 s", () => {
  for (const seed of range(20)) {
    const plan = newPlan(seed);
    plan.want(ADA, 0);
    let atMs = next(plan, 0)?.atMs ?? Number.NaN;
    for (const fullMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      plan.failed(ADA, atMs);
      const probe = next(plan, atMs);
      const waitedMs = (probe?.atMs ?? Number.NaN) - atMs;
      assert.ok(waitedMs >= fullMs / 2 && waitedMs <= fullMs + 1, `${waitedMs} ms`);
      atMs += waitedMs;
    }
    plan.succeeded(ADA, atMs);
    const probe = next(plan, atMs);
    const waitedMs = (probe?.atMs ?? Number.NaN) - atMs;
    assert.ok(waitedMs >= 15_000 && waitedMs <= 45_000, `${waitedMs} ms`);
    plan.failed(ADA, atMs);
    assert.ok((plan.waitMs(atMs) ?? Number.NaN) <= 1_001, "a success ends the back-off");
  }
});

test("in a large network refreshes are further apart, so that they are at most 40 a second", () => {
  const plan = newPlan();
  const ids = range(2_400);
  for (const number of ids) plan.want(`${number}` as PeerId, 0);
  for (let probe = next(plan, 0); probe !== undefined && plan.size > 0; probe = next(plan, 100)) {
    plan.succeeded(probe.id, 100);
    if ((plan.waitMs(100) ?? 0) > 1_000) break;
  }
  let probes = 0;
  for (let probe = next(plan, 100); probe !== undefined && probe.atMs < 100_000; probe = next(plan, probe.atMs)) {
    plan.succeeded(probe.id, probe.atMs);
    probes += 1;
  }
  assert.ok(probes > 2_000 && probes < 4_400, `${probes} in 100 s`);
});

test("a peer that is dropped is not probed; wanted again while its probe goes on, it waits for that one's end", () => {
  const plan = newPlan();
  plan.want(ADA, 0);
  plan.want(BOB, 0);
  plan.drop(BOB);
  plan.drop(BOB);
  assert.equal(next(plan, 0)?.id, ADA);
  plan.drop(ADA);
  assert.deepEqual([plan.size, plan.underWay, plan.waitMs(0)], [0, 1, undefined]);
  plan.want(ADA, 10);
  assert.equal(plan.waitMs(10), undefined);
  plan.failed(ADA, 20);
  assert.ok((plan.waitMs(20) ?? 0) >= 500);
  const probe = next(plan, 20);
  plan.drop(ADA);
  plan.succeeded(probe?.id as PeerId, 2_000);
  assert.deepEqual([plan.size, plan.underWay, plan.waitMs(2_000)], [0, 0, undefined], "nobody wants to know");
});

test("a measurement is news if it is the first, or another by more than a fifth and a millisecond", () => {
  const rows: readonly [toldMs: number | undefined, measuredMs: number, isNews: boolean][] = [
    [undefined, 0, true],
    [0, 1, false],
    [0, 1.5, true],
    [0.2, 0.9, false],
    [4, 5.1, true],
    [6, 7.1, false],
    [6, 7.3, true],
    [100, 119, false],
    [100, 121, true],
    [100, 79, true],
    [100, 81, false],
  ];
  for (const [told, measured, isNews] of rows)
    assert.equal(isNewRoundTrip(told, measured), isNews, `${told} ${measured}`);
});
