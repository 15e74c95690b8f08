import assert from "node:assert/strict";
import { test } from "node:test";
import { OwnKey } from "./own-key.ts";
import type { EntryVersion } from "./types.ts";

const SILENCE_MS = 300_000;
const at = (startMs: number): EntryVersion => ({ startMs, updateMs: startMs });

/** A rival that answers each bid within a second. Returns when the bids were. */
function bidAgainst(key: OwnKey, untilMs: number): number[] {
  const bids: number[] = [];
  let dueMs: number | undefined;
  for (let nowMs = 0; nowMs < untilMs; nowMs += 1_000) {
    if (dueMs !== undefined && nowMs >= dueMs && key.waitMs(nowMs) === 0) {
      bids.push(nowMs);
      key.bid();
    }
    key.heard(at(nowMs), ["n2:1"], nowMs);
    dueMs = nowMs + (key.waitMs(nowMs) ?? 0);
  }
  return bids;
}

test("nothing to outbid, nothing to wait for", () => {
  const key = new OwnKey(SILENCE_MS);
  assert.equal(key.waitMs(0), undefined);
  assert.equal(key.conflict(0), undefined);
});

test("the first bid is immediate: a restart needs no more", () => {
  const key = new OwnKey(SILENCE_MS);
  key.heard(at(10), ["n2:1"], 5);
  key.heard(at(9), ["n2:1"], 6);
  assert.equal(key.waitMs(6), 0);
  assert.deepEqual(key.bid(), at(10));
  assert.equal(key.waitMs(6), undefined);
  assert.deepEqual(key.conflict(6), { addresses: ["n2:1"], hasYielded: false });
  assert.equal(key.conflict(6 + SILENCE_MS), undefined, "nobody else was heard of for a while");
});

test("two nodes with one key do not outbid each other for ever: each bid waits longer, and after six it is the other's", () => {
  const key = new OwnKey(SILENCE_MS);
  const bids = bidAgainst(key, 3_600_000);
  assert.equal(bids.length, 6);
  const gaps = bids.slice(1).map((bidMs, index) => bidMs - (bids[index] ?? 0));
  assert.deepEqual(
    gaps,
    [...gaps].sort((a, b) => a - b),
  );
  assert.deepEqual(key.conflict(3_600_000), { addresses: ["n2:1"], hasYielded: true });
});

test("who has yielded bids again when the other is silent for long, or says goodbye", () => {
  const key = new OwnKey(SILENCE_MS);
  bidAgainst(key, 600_000);
  assert.equal(key.hasYielded, true);
  assert.equal(key.waitMs(700_000), 599_000 + SILENCE_MS - 700_000);
  assert.equal(key.waitMs(599_000 + SILENCE_MS), 0);
  key.heard(at(599_000), ["n2:1"], 800_000);
  assert.equal(key.waitMs(599_000 + SILENCE_MS), 0, "what peers repeat of it is no sign of life");
  key.heard(at(700_000), undefined, 700_000);
  assert.equal(key.waitMs(700_000), 0);
  assert.deepEqual(key.bid(), at(700_000));
});
