import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../env/index.ts";
import { hashBytes, UniqueId } from "../identity/index.ts";
import { ByteWriter, DecodeError } from "../wire/index.ts";
import {
  checkDeparture,
  decodeSignedEntry,
  encodeEntry,
  isKnownForm,
  peekEntry,
  signDeparture,
  signEntry,
} from "./entry.ts";
import { LocalEntry } from "./local.ts";
import { entryOf, identityOf, NETWORK, signedOf } from "./testing.ts";
import type { PeerEntry, SignedEntry } from "./types.ts";
import { compareVersions, isNewer, nextVersion } from "./version.ts";

const id = (text: string): UniqueId => UniqueId.from(text);
const decode = ({ bytes, signature }: SignedEntry): SignedEntry => decodeSignedEntry(bytes, signature, NETWORK);
const sorted = (ids: UniqueId[]): UniqueId[] => [...ids].sort();

const FULL: Partial<PeerEntry> = {
  addresses: ["[::1]:9", "example.org:80", "127.0.0.1:1"],
  tags: ["a", "b", "ä"],
  attributes: { "10": "ten", "9": "nine", __proto__x: "", url: "http://x" },
  groups: sorted([id("g1"), id("g2")]),
  streams: sorted([id("s1"), id("s2"), id("s3")]),
  tickets: [{ class: id("jwt"), data: new Uint8Array([1, 2, 3]) }],
};

// Spec network, scenario 1.
test("a signed entry whose last signature byte is flipped does not decode", () => {
  const { bytes, signature } = signedOf(1, FULL);
  const flipped = signature.slice();
  flipped[63] = (flipped[63] ?? 0) ^ 1;
  assert.throws(() => decodeSignedEntry(bytes, flipped, NETWORK), DecodeError);
});

// Scenario 2.
test("a valid signature moved onto an altered entry does not decode", () => {
  const { signature } = signedOf(1, FULL);
  const altered = encodeEntry(entryOf(1, { ...FULL, tags: ["a", "b", "c"] }));
  assert.throws(() => decodeSignedEntry(altered, signature, NETWORK), /wrong signature/);
});

// Scenario 3.
test("a valid signed entry comes back equal", () => {
  const signed = signedOf(1, FULL);
  assert.deepEqual(decode(signed), signed);
  assert.deepEqual(peekEntry(signed.bytes), { id: signed.entry.id, version: signed.entry.version });
});

// Scenario 4, and what our entries have besides.
const CHANGES: readonly (readonly [string, Parameters<LocalEntry["change"]>[1]])[] = [
  ["a tag added", { tags: ["a", "b"] }],
  ["a tag removed", { tags: [] }],
  ["a stream added", { streams: [id("s1"), id("s2")] }],
  ["a stream removed", { streams: [] }],
  ["an address updated", { addresses: ["127.0.0.1:2"] }],
  ["a group added", { groups: [id("g1")] }],
  ["a group removed", { groups: [] }],
  ["an attribute set", { attributes: { key: "value" } }],
  ["a ticket shown", { tickets: [{ class: id("t"), data: new Uint8Array(3) }] }],
];
for (const [name, change] of CHANGES) {
  test(`the version grows with ${name}, on a clock that stands still or goes back`, () => {
    const content = { tags: ["a"], streams: [id("s1")], addresses: ["127.0.0.1:1"] };
    const local = new LocalEntry({ identity: identityOf(1), network: NETWORK, startMs: 1_000, content });
    for (const wallMs of [1_000, 1_000, 5]) {
      const before = local.entry.version;
      const signed = local.change(wallMs, change);
      assert.ok(isNewer(signed.entry.version, before));
      assert.deepEqual(decode(signed), signed);
    }
  });
}

// Scenario 5.
test("versions of successive changes strictly increase", () => {
  const local = new LocalEntry({ identity: identityOf(1), network: NETWORK, startMs: 1_000 });
  const versions = [local.entry.version];
  for (const tag of ["a", "b", "c", "d"]) versions.push(local.change(2_000, { tags: [tag] }).entry.version);
  for (let index = 1; index < versions.length; index++) {
    assert.ok(isNewer(versions[index] ?? versions[0]!, versions[index - 1]!));
  }
  assert.deepEqual(nextVersion({ startMs: 1, updateMs: 9 }, 20), { startMs: 1, updateMs: 21 });
});

// Scenario 6.
test("a newer entry wins, a later start over any update, and none is newer than itself", () => {
  const old = { startMs: 1, updateMs: 100 };
  assert.ok(isNewer({ startMs: 1, updateMs: 101 }, old));
  assert.ok(isNewer({ startMs: 2, updateMs: 2 }, old));
  assert.ok(!isNewer(old, old));
  assert.ok(!isNewer(old, { startMs: 2, updateMs: 2 }));
  assert.equal(compareVersions(old, { ...old }), 0);
});

test("another network's entry is refused, whoever signed it", () => {
  const { bytes, signature } = signedOf(1);
  assert.throws(() => decodeSignedEntry(bytes, signature, id("other")), /another network/);
});

test("an entry signed for another peer is refused", () => {
  const bytes = encodeEntry(entryOf(1));
  const other = signedOf(2);
  assert.throws(() => decodeSignedEntry(bytes, other.signature, NETWORK), /wrong signature/);
});

/** Signed properly, so that nothing but the form can be what is refused. */
function signRaw(entry: PeerEntry, problem: RegExp): void {
  assert.throws(() => decode(signEntry(entry, identityOf(1))), problem);
}

test("what is out of bounds or not canonical is refused, though its signature holds", () => {
  const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `t${1_000 + index}`);
  const ticket = { class: id("t"), data: new Uint8Array(1) };
  signRaw(entryOf(1, { tags: ["b", "a"] }), /tags that are not sorted/);
  signRaw(entryOf(1, { tags: ["a", "a"] }), /tags that are not sorted/);
  signRaw(entryOf(1, { tags: [""] }), /tag that makes no sense/);
  signRaw(entryOf(1, { tags: ["a\nb"] }), /tag that makes no sense/);
  signRaw(entryOf(1, { tags: many(LIMITS.tagsMax + 1) }), /above its limit/);
  signRaw(entryOf(1, { tags: ["x".repeat(LIMITS.tagBytesMax + 1)] }), /above its limit/);
  signRaw(entryOf(1, { addresses: ["a:1", "a:1"] }), /given twice/);
  signRaw(entryOf(1, { addresses: ["a b:1"] }), /address that makes no sense/);
  signRaw(entryOf(1, { addresses: many(LIMITS.addressesMax + 1) }), /above its limit/);
  signRaw(entryOf(1, { attributes: { a: "x".repeat(2_500), b: "x".repeat(2_500) } }), /attributes above/);
  signRaw(entryOf(1, { groups: [id("g"), id("g")] }), /ids that are not sorted/);
  signRaw(entryOf(1, { tickets: [ticket, ticket] }), /tickets that are not sorted/);
  signRaw(entryOf(1, { tickets: [{ ...ticket, data: new Uint8Array(LIMITS.ticketBytesMax + 1) }] }), /above its limit/);
});

test("an entry above its size limit is refused, and cannot be made", () => {
  const tickets = [1, 2].map((byte) => ({ class: id(`t${byte}`), data: new Uint8Array(LIMITS.ticketBytesMax) }));
  tickets.sort((a, b) => (a.class < b.class ? -1 : 1));
  signRaw(entryOf(1, { tickets }), /above its size limit/);
  const local = new LocalEntry({ identity: identityOf(1), network: NETWORK, startMs: 1 });
  const before = local.signed;
  assert.throws(() => local.change(2, { tickets }), { code: "too-large" });
  assert.equal(local.signed, before);
});

test("a key that an object would swallow is an attribute like any other", () => {
  const attributes = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
  assert.deepEqual(Object.entries(decode(signedOf(1, { attributes })).entry.attributes), Object.entries(attributes));
});

/** An entry as a later version would write it: the same form, with sections behind. */
function withSections(sections: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  const plain = encodeEntry(entryOf(1));
  const writer = new ByteWriter().fixed(plain.subarray(0, plain.length - 1)).varint(sections.length);
  for (const [number, bytes] of sections) writer.varint(number).bytes(bytes);
  return writer.finish();
}

test("sections of a later version are skipped, and still signed", () => {
  const sign = (bytes: Uint8Array): Uint8Array => identityOf(1).sign(hashBytes("mosaik/entry/1", bytes));
  const later = withSections([
    [3, new Uint8Array(5)],
    [9, new Uint8Array(0)],
  ]);
  const { entry, bytes } = decodeSignedEntry(later, sign(later), NETWORK);
  assert.deepEqual(entry, entryOf(1));
  assert.deepEqual(bytes, later);
  const unsorted = withSections([
    [9, new Uint8Array(1)],
    [9, new Uint8Array(1)],
  ]);
  assert.throws(() => decodeSignedEntry(unsorted, sign(unsorted), NETWORK), /sections/);
});

test("a departure holds for its network, peer and start only", () => {
  const departure = signDeparture(NETWORK, 1_000, identityOf(1));
  assert.deepEqual(checkDeparture(departure), departure);
  for (const change of [{ startMs: 1_001 }, { network: id("other") }, { id: identityOf(2).peerId }]) {
    assert.throws(() => checkDeparture({ ...departure, ...change }), DecodeError);
  }
});

test("the signatures of entries and departures cannot stand for each other", () => {
  const departure = signDeparture(NETWORK, 1_000, identityOf(1));
  assert.throws(() => decodeSignedEntry(encodeEntry(entryOf(1)), departure.signature, NETWORK), DecodeError);
  assert.throws(() => checkDeparture({ ...departure, signature: signedOf(1).signature }), DecodeError);
});

test("random and mutated bytes give a DecodeError and nothing else", () => {
  const { bytes, signature } = signedOf(1, FULL);
  const attempt = (input: Uint8Array): void => {
    try {
      if (isKnownForm(input)) peekEntry(input);
      decodeSignedEntry(input, signature, NETWORK);
      assert.deepEqual(input, bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), attempt));
  const mutation = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length));
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
      let input = bytes.slice();
      for (const [position, value, length] of mutations) {
        if (position < input.length) input[position] = value;
        if (length % 5 === 0) input = input.slice(0, length);
      }
      attempt(input);
    }),
  );
});

const text = fc
  .string({ unit: "binary", maxLength: 20 })
  .filter((value) => !/[\p{Cc}\p{Cs}]/u.test(value) && value !== "");

test("whatever a peer may say of itself survives the way there and back", () => {
  const ids = fc.array(fc.string(), { maxLength: 5 }).map((texts) => texts.map((item) => id(item)));
  const content = fc.record({
    addresses: fc.uniqueArray(fc.stringMatching(/^[a-z0-9.]{1,20}:[0-9]{1,5}$/), { maxLength: 5 }),
    tags: fc.array(text, { maxLength: 10 }),
    attributes: fc.dictionary(text, text, { maxKeys: 10 }),
    groups: ids,
    streams: ids,
    tickets: fc.array(
      ids.chain(([first]) => fc.uint8Array({ maxLength: 50 }).map((data) => ({ class: first ?? id("t"), data }))),
      { maxLength: 5 },
    ),
  });
  fc.assert(
    fc.property(content, fc.nat(), (given, wallMs) => {
      const local = new LocalEntry({ identity: identityOf(3), network: NETWORK, startMs: 5 });
      const signed = local.change(wallMs, given);
      // As plain JSON: order of keys and prototypes do not matter.
      assert.deepEqual(decode(signed).bytes, signed.bytes);
      assert.deepEqual(encodeEntry(decode(signed).entry), signed.bytes);
      assert.deepEqual(new Set(decode(signed).entry.tags), new Set(given.tags));
    }),
    { numRuns: 50 },
  );
});
