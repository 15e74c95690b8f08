import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { Catalog, type MergeResult, type Now } from "./catalog.ts";
import { signDeparture, signEntry } from "./entry.ts";
import { departureOf, entryOf, identityOf, idOf, NETWORK, signedAt, signedOf } from "./testing.ts";
import type { Departure, SignedEntry } from "./types.ts";

const SELF = 0;
const at = (monotonicMs: number, wallMs = 1_000_000): Now => ({ monotonicMs, wallMs });

function open(options: { expireAfterMs?: number; entriesMax?: number; tombstonesMax?: number } = {}): Catalog {
  const catalog = new Catalog({ network: NETWORK, selfId: idOf(SELF), ...options });
  catalog.setSelf(signedOf(SELF));
  return catalog;
}

const outcome = (result: MergeResult): string => (result.type === "rejected" ? result.reason : result.type);
const merge = (catalog: Catalog, signed: SignedEntry, now = at(0), ageMs = 0): string =>
  outcome(catalog.merge(signed, ageMs, now));
const depart = (catalog: Catalog, departure: Departure, now = at(0), ageMs = 0): string =>
  outcome(catalog.mergeDeparture(departure, ageMs, now));

test("an unknown entry is new, a newer one an update, anything else is not news", () => {
  const catalog = open();
  assert.equal(merge(catalog, signedAt(1, 10, 20)), "new");
  assert.equal(merge(catalog, signedAt(1, 10, 20)), "known");
  assert.equal(merge(catalog, signedAt(1, 10, 19)), "older");
  assert.equal(merge(catalog, signedAt(1, 10, 21)), "updated");
  assert.equal(merge(catalog, signedAt(1, 11, 11)), "updated");
  assert.equal(merge(catalog, signedAt(1, 10, 99)), "older");
  assert.deepEqual(catalog.get(idOf(1))?.version, { startMs: 11, updateMs: 11 });
  assert.equal(catalog.size, 1);
});

test("entries are listed by id, without ourselves", () => {
  const catalog = open();
  for (const number of [5, 3, 9, 1]) merge(catalog, signedAt(number, 1, 1));
  const ids = catalog.entries().map((entry) => entry.id);
  assert.deepEqual(ids, [1, 3, 5, 9].map(idOf).sort());
});

test("two entries of one version: every catalog keeps the same one, whichever came first", () => {
  const pair = [signedAt(1, 10, 20, ["a"]), signedAt(1, 10, 20, ["b"])];
  const kept = [pair, [...pair].reverse()].map((order) => {
    const catalog = open();
    for (const signed of order) merge(catalog, signed);
    return catalog.get(idOf(1))?.tags;
  });
  assert.deepEqual(kept[0], kept[1]);
});

test("another network's entry and departure are refused", () => {
  const catalog = open();
  const network = idOf(77);
  assert.equal(merge(catalog, signEntry(entryOf(1, { network }), identityOf(1))), "network");
  assert.equal(depart(catalog, signDeparture(network, 10, identityOf(1))), "network");
});

test("an entry for our own id is never merged", () => {
  const catalog = open();
  assert.equal(merge(catalog, signedAt(SELF, 5_000, 5_000)), "self");
  assert.equal(depart(catalog, departureOf(SELF, 5_000)), "self");
  assert.equal(catalog.size, 0);
});

test("what a clock too far ahead has signed is refused on every path", () => {
  const catalog = open();
  const limit = 1_000_000 + LIMITS.clockDriftMsMax;
  assert.equal(merge(catalog, signedAt(1, 10, limit + 1)), "clock-drift");
  assert.equal(merge(catalog, signedAt(1, limit + 1, 10)), "clock-drift");
  assert.equal(depart(catalog, departureOf(1, limit + 1)), "clock-drift");
  assert.equal(merge(catalog, signedAt(1, 10, limit)), "new");
});

test("a departure cannot be undone by old news, only by a later life", () => {
  const catalog = open();
  merge(catalog, signedAt(1, 10, 20));
  assert.equal(depart(catalog, departureOf(1, 10)), "left");
  assert.equal(depart(catalog, departureOf(1, 10)), "known");
  assert.equal(merge(catalog, signedAt(1, 10, 21)), "departed");
  assert.equal(merge(catalog, signedAt(1, 9, 999)), "departed");
  assert.equal(catalog.size, 0);
  assert.equal(merge(catalog, signedAt(1, 11, 11)), "new");
  assert.equal(depart(catalog, departureOf(1, 10)), "older");
  assert.equal(catalog.size, 1);
});

test("a departure that comes before the entry keeps it out", () => {
  const catalog = open();
  assert.equal(depart(catalog, departureOf(1, 10)), "noted");
  assert.equal(merge(catalog, signedAt(1, 10, 20)), "departed");
});

test("an entry expires by our own clock, and only something newer brings it back", () => {
  const catalog = open({ expireAfterMs: 100 });
  merge(catalog, signedAt(1, 10, 20), at(0));
  merge(catalog, signedAt(2, 10, 20), at(0), 50);
  assert.deepEqual(catalog.expire(at(49)), []);
  assert.deepEqual(
    catalog.expire(at(50)).map((entry) => entry.id),
    [idOf(2)],
  );
  catalog.touch(idOf(1), at(60));
  assert.deepEqual(catalog.expire(at(159)), []);
  assert.equal(catalog.expire(at(160)).length, 1);
  assert.equal(merge(catalog, signedAt(1, 10, 20), at(161)), "silenced");
  assert.equal(merge(catalog, signedAt(1, 10, 21), at(161)), "new");
});

test("an entry that others handed on for too long is stale, however new it is to us", () => {
  const catalog = open({ expireAfterMs: 100 });
  assert.equal(merge(catalog, signedAt(1, 10, 20), at(0), 100), "stale");
  assert.equal(depart(catalog, departureOf(1, 10), at(0), 200), "stale");
});

test("the same entry again is no sign of life, however young the sender says it is", () => {
  const catalog = open({ expireAfterMs: 100 });
  merge(catalog, signedAt(1, 10, 20), at(0));
  for (const nowMs of [30, 60, 99]) {
    assert.equal(merge(catalog, signedAt(1, 10, 20), at(nowMs)), "known");
    catalog.hearAgain(idOf(1), 0, at(nowMs));
    assert.deepEqual(catalog.expire(at(nowMs)), []);
  }
  assert.equal(catalog.expire(at(100)).length, 1);
});

test("who says that an entry or a departure is older than it is hides nobody: the youngest age counts", () => {
  const catalog = open({ expireAfterMs: 100 });
  merge(catalog, signedAt(1, 10, 20), at(0), 99);
  catalog.hearAgain(idOf(1), 5, at(0));
  catalog.hearAgain(idOf(1), 50, at(0));
  assert.deepEqual(catalog.expire(at(94)), []);
  assert.equal(catalog.expire(at(95)).length, 1);
  depart(catalog, departureOf(2, 10), at(0), 199);
  catalog.hearAgain(idOf(2), 0, at(1));
  catalog.expire(at(199));
  assert.equal(merge(catalog, signedAt(2, 10, 20), at(199)), "departed");
});

test("a departure is remembered longer than any copy of the entry lives, then forgotten", () => {
  const catalog = open({ expireAfterMs: 100 });
  depart(catalog, departureOf(1, 10), at(0));
  catalog.expire(at(199));
  assert.equal(catalog.tombstones, 1);
  catalog.expire(at(200));
  assert.equal(catalog.tombstones, 0);
});

test("a peer out of reach is gone until it speaks to us or something newer is heard", () => {
  const catalog = open();
  merge(catalog, signedAt(1, 10, 20));
  assert.equal(catalog.silence(idOf(1), at(5))?.id, idOf(1));
  assert.equal(catalog.silence(idOf(1), at(5)), undefined);
  assert.equal(merge(catalog, signedAt(1, 10, 20)), "silenced");
  catalog.unsilence(idOf(1));
  assert.equal(merge(catalog, signedAt(1, 10, 20)), "new");
});

test("a full catalog drops whoever is silent for longest, never a neighbour, and never for somebody staler", () => {
  const catalog = open({ entriesMax: 3 });
  merge(catalog, signedAt(1, 1, 1), at(10));
  merge(catalog, signedAt(2, 1, 1), at(20));
  merge(catalog, signedAt(3, 1, 1), at(30));
  const pinned = (id: PeerId): boolean => id === idOf(1);
  assert.equal(outcome(catalog.merge(signedAt(4, 1, 1), 25, at(40), pinned)), "full");
  const result = catalog.merge(signedAt(4, 1, 1), 0, at(40), pinned);
  assert.equal(result.type === "new" && result.evicted?.id, idOf(2));
  assert.deepEqual(
    catalog.entries().map((entry) => entry.id),
    [1, 3, 4].map(idOf).sort(),
  );
});

test("tombstones are bounded, the oldest go first", () => {
  const catalog = open({ tombstonesMax: 2 });
  for (const number of [1, 2, 3]) depart(catalog, departureOf(number, 10));
  assert.equal(catalog.tombstones, 2);
  assert.equal(merge(catalog, signedAt(1, 10, 10)), "new");
  assert.equal(merge(catalog, signedAt(2, 10, 10)), "departed");
});

test("what will be refused is told apart before a signature is verified", () => {
  const catalog = open({ expireAfterMs: 100 });
  const known = signedAt(1, 10, 20);
  merge(catalog, known);
  merge(catalog, signedAt(2, 10, 20));
  depart(catalog, departureOf(2, 10));
  const limit = 1_000_000 + LIMITS.clockDriftMsMax;
  const judge = ({ entry, signature }: SignedEntry, ageMs = 0): string =>
    catalog.judge(entry.id, entry.version, signature, ageMs, at(0));
  assert.equal(judge(known), "known");
  assert.equal(judge(signedAt(1, 10, 19)), "older");
  assert.equal(judge(signedAt(1, 10, 21)), "news");
  assert.equal(judge(signedAt(1, 10, 21), 100), "stale");
  assert.equal(judge(signedAt(1, 10, limit + 1)), "clock-drift");
  assert.equal(judge(signedAt(2, 10, 21)), "departed");
  assert.equal(judge(signedAt(3, 1, 1)), "news");
  assert.equal(judge(signedOf(SELF)), "known");
  assert.equal(judge(signedAt(SELF, 999, 9_999)), "older");
  assert.equal(judge(signedAt(SELF, 9_999, 1)), "self");
  const judgeDeparture = (number: number, startMs: number, ageMs = 0): string =>
    catalog.judgeDeparture(idOf(number), startMs, ageMs, at(0));
  assert.equal(judgeDeparture(1, 10), "news");
  assert.equal(judgeDeparture(1, 9), "older");
  assert.equal(judgeDeparture(1, 10, 200), "stale");
  assert.equal(judgeDeparture(1, limit + 1), "clock-drift");
  assert.equal(judgeDeparture(2, 10), "known");
  assert.equal(judgeDeparture(SELF, 999), "older");
  assert.equal(judgeDeparture(SELF, 5_000), "self");
  assert.equal(judgeDeparture(SELF, limit + 1), "clock-drift");
});

// ── Properties ──

type News = { readonly signed: SignedEntry } | { readonly departure: Departure };
const POOL: readonly News[] = [1, 2, 3].flatMap((number) => [
  ...[10, 11].flatMap((startMs) => [
    ...[20, 21].flatMap((updateMs) => [
      { signed: signedAt(number, startMs, updateMs, ["a"]) },
      { signed: signedAt(number, startMs, updateMs, ["b"]) },
    ]),
    { departure: departureOf(number, startMs) },
  ]),
]);
const news = fc.array(fc.constantFrom(...POOL), { maxLength: 25 });

function heard(list: readonly News[]): Catalog {
  const catalog = open();
  for (const item of list) {
    if ("signed" in item) merge(catalog, item.signed);
    else depart(catalog, item.departure);
  }
  return catalog;
}

const stateOf = (catalog: Catalog): unknown =>
  [1, 2, 3].map((number) => {
    const record = catalog.record(idOf(number));
    if (record?.state === "live") return record.signed;
    return record?.state === "departed" ? record.departure.startMs : undefined;
  });

test("catalogs that heard the same agree, whatever the order and however often", () => {
  const shuffled = news.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: 2 * list.length })),
  );
  fc.assert(
    fc.property(shuffled, ([list, other]) => {
      assert.deepEqual(stateOf(heard(list)), stateOf(heard(other)));
    }),
  );
});

test("what is merged never goes back: each peer's last word only grows", () => {
  fc.assert(
    fc.property(news, fc.constantFrom(...POOL), (list, more) => {
      const before = heard(list);
      const after = heard([...list, more]);
      // What the first accepted, the second accepts as known or older, never as news.
      for (const item of list) {
        if ("signed" in item) assert.notEqual(merge(after, item.signed), "new");
      }
      assert.deepEqual(stateOf(heard([...list, more])), stateOf(after));
      assert.ok(before.size <= 3 && after.size <= 3);
    }),
  );
});

test("bounds and order hold after any history", () => {
  const step = fc.record({ item: fc.constantFrom(...POOL), atMs: fc.nat(300), ageMs: fc.nat(150) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const catalog = open({ entriesMax: 2, tombstonesMax: 1, expireAfterMs: 100 });
      for (const { item, atMs, ageMs } of steps) {
        if ("signed" in item) merge(catalog, item.signed, at(atMs), ageMs);
        else depart(catalog, item.departure, at(atMs), ageMs);
        if (atMs % 3 === 0) catalog.expire(at(atMs));
        assert.ok(catalog.size <= 2 && catalog.tombstones <= 1);
        const ids = catalog.entries().map((entry) => entry.id);
        assert.deepEqual(ids, [...ids].sort());
        assert.equal(ids.length, catalog.size);
      }
    }),
  );
});
