import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { DecodeError } from "../wire/index.ts";
import { Catalog, type Now } from "./catalog.ts";
import { answerDigest, type DigestRange, openDigest, splitRanges } from "./digest.ts";
import { signDeparture } from "./entry.ts";
import {
  decodeDigest,
  decodeNews,
  decodeOpening,
  decodeSuspicion,
  decodeWant,
  encodeDigest,
  encodeNews,
  encodeOpening,
  encodeSuspicion,
  encodeWant,
} from "./messages.ts";
import { identityOf, NETWORK, signedAt, signedOf } from "./testing.ts";

const NOW: Now = { monotonicMs: 0, wallMs: 1_000_000 };
const idOf = (number: number): PeerId => identityOf(number).peerId;

function catalogOf(self: number): Catalog {
  const catalog = new Catalog({ network: NETWORK, selfId: idOf(self) });
  catalog.setSelf(signedOf(self));
  return catalog;
}

/** Hands one peer's word from one catalog to the other, as the links would. */
function hand(from: Catalog, to: Catalog, id: PeerId): void {
  const record = from.record(id);
  if (id === from.selfId && from.self !== undefined) to.merge(from.self, 0, NOW);
  else if (record?.state === "live") to.merge(record.signed, 0, NOW);
  else if (record?.state === "departed") to.mergeDeparture(record.departure, 0, NOW);
}

interface Cost {
  digests: number;
  bytes: number;
  handed: number;
}

/** Runs one comparison to its end, with every message encoded and decoded. */
function reconcile(a: Catalog, b: Catalog): Cost {
  const cost: Cost = { digests: 0, bytes: 0, handed: 0 };
  let [teller, hearer] = [a, b];
  let messages: readonly (readonly DigestRange[])[] = [openDigest(a)];
  while (messages.length > 0) {
    const replies: DigestRange[] = [];
    for (const message of messages) {
      const bytes = encodeDigest(message);
      cost.digests += 1;
      cost.bytes += bytes.length;
      assert.ok(cost.digests < 1_000, "a comparison ends");
      const answer = answerDigest(hearer, decodeDigest(bytes), NOW);
      for (const id of answer.give) hand(hearer, teller, id);
      for (const id of answer.want) hand(teller, hearer, id);
      cost.handed += answer.give.length + answer.want.length;
      replies.push(...answer.ranges);
    }
    messages = splitRanges(replies);
    [teller, hearer] = [hearer, teller];
  }
  return cost;
}

const idsOf = (catalog: Catalog): readonly PeerId[] =>
  [...catalog.entries().map((entry) => entry.id), catalog.selfId].sort();
const versionsOf = (catalog: Catalog): readonly string[] =>
  [...catalog.entries(), ...(catalog.self === undefined ? [] : [catalog.self.entry])]
    .map((entry) => `${entry.id} ${entry.version.startMs}/${entry.version.updateMs} ${entry.tags.join()}`)
    .sort();

test("two strangers know each other after one comparison", () => {
  const [a, b] = [catalogOf(1), catalogOf(2)];
  reconcile(a, b);
  assert.deepEqual(idsOf(a), idsOf(b));
  assert.equal(a.size, 1);
});

test("equal catalogs cost one small message and hand nothing over", () => {
  const [a, b] = [catalogOf(1), catalogOf(2)];
  for (let number = 3; number < 300; number++)
    for (const catalog of [a, b]) catalog.merge(signedAt(number, 1, 1), 0, NOW);
  reconcile(a, b);
  const cost = reconcile(a, b);
  assert.equal(cost.handed, 0);
  assert.equal(cost.digests, 1);
  assert.ok(cost.bytes < 2_000, `${cost.bytes} bytes`);
});

test("a few differences among many entries cost few items, never the whole catalog", () => {
  const [a, b] = [catalogOf(1), catalogOf(2)];
  for (let number = 3; number < 600; number++)
    for (const catalog of [a, b]) catalog.merge(signedAt(number, 1, 1), 0, NOW);
  reconcile(a, b);
  a.merge(signedAt(100, 2, 2), 0, NOW);
  b.merge(signedAt(700, 1, 1), 0, NOW);
  const cost = reconcile(a, b);
  assert.deepEqual(versionsOf(a), versionsOf(b));
  assert.equal(cost.handed, 2);
  assert.ok(cost.bytes < 12_000, `${cost.bytes} bytes`);
});

test("a departure is handed over, and undoes nothing later", () => {
  const [a, b] = [catalogOf(1), catalogOf(2)];
  for (const catalog of [a, b]) catalog.merge(signedAt(3, 1, 1), 0, NOW);
  a.mergeDeparture(signDeparture(NETWORK, 1, identityOf(3)), 0, NOW);
  reconcile(b, a);
  assert.equal(b.get(idOf(3)), undefined);
  b.merge(signedAt(3, 2, 2), 0, NOW);
  reconcile(a, b);
  assert.deepEqual(a.get(idOf(3))?.version, { startMs: 2, updateMs: 2 });
});

test("what we gave up is neither asked for nor given, until it is newer", () => {
  const [a, b] = [catalogOf(1), catalogOf(2)];
  for (const catalog of [a, b]) catalog.merge(signedAt(3, 1, 1), 0, NOW);
  reconcile(a, b);
  a.silence(idOf(3), NOW);
  assert.equal(reconcile(a, b).handed, 0);
  assert.equal(reconcile(b, a).handed, 0);
  assert.ok(b.get(idOf(3)) !== undefined);
  b.merge(signedAt(3, 1, 2), 0, NOW);
  assert.equal(reconcile(a, b).handed, 1);
  assert.ok(a.get(idOf(3)) !== undefined);
});

test("what would be refused for its clock is not asked for", () => {
  const [a, b] = [catalogOf(1), catalogOf(2)];
  reconcile(a, b);
  a.merge(signedAt(3, 5_000_000, 5_000_000), 0, { ...NOW, wallMs: 5_000_000 });
  assert.deepEqual(answerDigest(b, openDigest(a), NOW).want, []);
});

test("any two catalogs agree after one comparison", () => {
  const POOL = Array.from({ length: 40 }, (_, index) => index + 3).flatMap((number) => [
    { signed: signedAt(number, 1, 1, ["a"]) },
    { signed: signedAt(number, 1, 1, ["b"]) },
    { signed: signedAt(number, 1, 2) },
    { departure: signDeparture(NETWORK, 1, identityOf(number)) },
  ]);
  const some = fc.subarray(POOL);
  fc.assert(
    fc.property(some, some, (first, second) => {
      const [a, b] = [catalogOf(1), catalogOf(2)];
      for (const [catalog, list] of [
        [a, first],
        [b, second],
      ] as const) {
        for (const item of list) {
          if ("signed" in item) catalog.merge(item.signed, 0, NOW);
          else catalog.mergeDeparture(item.departure, 0, NOW);
        }
      }
      reconcile(a, b);
      assert.deepEqual(versionsOf(a), versionsOf(b));
      assert.equal(reconcile(b, a).handed, 0);
    }),
    { numRuns: 30 },
  );
});

test("ranges are split so that each message fits its limits", () => {
  const ranges: DigestRange[] = [];
  for (let index = 0; index < 200; index++) {
    const bound = (value: number): PeerId => value.toString(16).padStart(64, "0") as PeerId;
    ranges.push({ type: "items", after: bound(index), upTo: bound(index + 1), items: [] });
  }
  const messages = splitRanges(ranges);
  assert.deepEqual(messages.flat(), ranges);
  for (const message of messages) assert.ok(decodeDigest(encodeDigest(message)).length <= LIMITS.frameRangesMax);
});

// ── Frames ──

test("ranges and items that are not sorted are refused", () => {
  const [range] = openDigest(catalogOf(1));
  assert.ok(range?.type === "items");
  assert.throws(() => decodeDigest(encodeDigest([range, range])), DecodeError);
  assert.throws(() => decodeDigest(encodeDigest([{ ...range, items: [...range.items, ...range.items] }])), DecodeError);
  assert.throws(() => decodeDigest(encodeDigest([{ ...range, upTo: range.after }])), DecodeError);
});

test("more than a frame may carry is refused before it is read", () => {
  const ids = Array.from({ length: LIMITS.frameEntriesMax + 1 }, () => idOf(1));
  assert.throws(() => decodeWant(encodeWant(ids)), DecodeError);
  const news = ids.map(() => ({ type: "entry", ageMs: 0, signed: signedOf(1) }) as const);
  assert.throws(() => decodeNews(encodeNews(news), NETWORK), DecodeError);
});

test("messages come back as they were sent", () => {
  const departure = signDeparture(NETWORK, 7, identityOf(4));
  const signed = signedOf(3);
  const news = [
    { type: "entry", ageMs: 5, signed },
    { type: "departure", ageMs: 6, departure },
  ] as const;
  assert.deepEqual(decodeNews(encodeNews(news), NETWORK), [
    { type: "entry", ageMs: 5, bytes: signed.bytes, signature: signed.signature },
    { type: "departure", ageMs: 6, departure },
  ]);
  assert.deepEqual(decodeWant(encodeWant([idOf(1), idOf(2)])), [idOf(1), idOf(2)]);
  const suspicion = { id: idOf(1), version: { startMs: 1, updateMs: 2 } };
  assert.deepEqual(decodeSuspicion(encodeSuspicion(suspicion)), suspicion);
  assert.deepEqual(decodeOpening(encodeOpening(123_456)), { wallMs: 123_456 });
});

test("random and mutated frames give a DecodeError and nothing else", () => {
  const catalog = catalogOf(1);
  for (let number = 2; number < 100; number++) catalog.merge(signedAt(number, 1, 1), 0, NOW);
  const frames = [
    encodeDigest(openDigest(catalog)),
    encodeDigest(openDigest(catalogOf(1))),
    encodeNews([{ type: "entry", ageMs: 0, signed: signedOf(1) }]),
    encodeNews([{ type: "departure", ageMs: 0, departure: signDeparture(NETWORK, 7, identityOf(4)) }]),
    encodeWant([idOf(1), idOf(2)]),
    encodeSuspicion({ id: idOf(1), version: { startMs: 1, updateMs: 2 } }),
  ];
  const attempt = (bytes: Uint8Array): void => {
    for (const decode of [
      decodeDigest,
      decodeWant,
      decodeOpening,
      decodeSuspicion,
      (input: Uint8Array) => decodeNews(input, NETWORK),
    ]) {
      try {
        const decoded = decode(bytes);
        // A digest that decodes must be answered without fail too.
        if (decode === decodeDigest) answerDigest(catalog, decoded as DigestRange[], NOW);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), attempt));
  const mutation = fc.tuple(
    fc.constantFrom(...frames),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
    fc.nat(),
  );
  fc.assert(
    fc.property(mutation, ([frame, changes, cut]) => {
      const bytes = frame.slice(0, cut % 3 === 0 ? cut % (frame.length + 1) : frame.length);
      for (const [position, value] of changes) if (bytes.length > 0) bytes[position % bytes.length] = value;
      attempt(bytes);
    }),
    { numRuns: 300 },
  );
});
