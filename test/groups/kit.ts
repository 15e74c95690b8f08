import { ok } from "node:assert/strict";
import fc from "fast-check";
import { type Env, LIMITS } from "../../src/env/index.ts";
import { chunksOf, HASH_BYTES, type SnapshotFrame } from "../../src/groups/bonds/snapshot-frames.ts";
import type { MemberStatus } from "../../src/groups/bonds/status.ts";
import { memberId } from "../../src/groups/entries/member-id.ts";
import { hash, type PeerId, type UniqueId } from "../../src/identity/index.ts";
import type { Entry, LogPosition, MemberId, Message } from "../../src/raft/index.ts";
import { type IncarnationId, MemoryStorage, type StoreId } from "../../src/storage/index.ts";
import { StoreState } from "../../src/storage/store-state.ts";
import { DecodeError } from "../../src/wire/index.ts";

// For tests alone: names, arbitrary values, and damaged bytes.

/** The same name gives the same id. */
export const peer = (name: string): PeerId => hash(`peer/${name}`) as UniqueId as PeerId;
export const store = (name: string): StoreId => hash(`store/${name}`) as UniqueId as StoreId;
export const incarnation = (name: string): IncarnationId => hash(`incarnation/${name}`) as UniqueId as IncarnationId;

const names = fc.constantFrom("ada", "bob", "cyd", "dan", "eve", "fay", "gil");
export const arbitraryPeer = names.map(peer);
export const arbitraryStore = names.map(store);
export const arbitraryIncarnation = names.map(incarnation);
export const arbitraryMember: fc.Arbitrary<MemberId> = fc
  .tuple(arbitraryPeer, arbitraryStore)
  .map(([id, storeId]) => memberId(id, storeId));
/** What a varint holds. */
export const arbitraryNumber = fc.oneof(fc.maxSafeNat(), fc.nat(300));
export const arbitraryTerm = arbitraryNumber;
/** What a `Date` holds. */
export const arbitraryTimeMs = fc.oneof(fc.integer({ min: 0, max: 8_640_000_000_000_000 }), fc.nat(300));
export const arbitrarySessionKey = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString("hex"));
export const arbitraryCommands = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 8 });

/** Valid bytes with some of them changed, cut off, doubled or added. */
export function mutationsOf(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(10_000), value: fc.nat(255), how: fc.constantFrom("set", "cut", "insert") });
  return fc.tuple(valid, fc.array(change, { minLength: 1, maxLength: 4 })).map(([bytes, changes]) => {
    let list = [...bytes];
    for (const { at, value, how } of changes) {
      const place = at % (list.length + 1);
      if (how === "cut") list = list.slice(0, place);
      else if (how === "insert") list.splice(place, 0, value);
      else if (place < list.length) list[place] = value;
    }
    return Uint8Array.from(list);
  });
}

/** What bytes of a peer may come to: a value, or a `DecodeError`. */
export function decodesOrRefuses(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    ok(error instanceof DecodeError, `a ${String(error)} instead of a DecodeError`);
    return undefined;
  }
}

/** As `fc.record`, but with the prototype that our own objects have, so that `deepEqual` compares fields alone. */
export function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

export const arbitraryPosition: fc.Arbitrary<LogPosition> = record({ index: fc.nat(10_000), term: fc.nat(20) });
/** Of any place. */
export const arbitraryEntry: fc.Arbitrary<Entry> = record({
  index: fc.nat(10_000),
  term: fc.nat(20),
  kind: fc.nat(255),
  data: fc.uint8Array({ maxLength: 30 }),
});

/** These entries as they would follow `prev`: terms sorted, indexes given. */
export function contiguous(prev: LogPosition, entries: readonly Entry[]): Entry[] {
  const terms = entries.map(({ term }) => Math.max(term, prev.term)).sort((a, b) => a - b);
  return entries.map((entry, i) => ({ ...entry, index: prev.index + 1 + i, term: terms[i] as number }));
}

const append: fc.Arbitrary<Message> = fc
  .tuple(arbitraryTerm, arbitraryPosition, arbitraryNumber, arbitraryNumber, fc.array(arbitraryEntry, { maxLength: 5 }))
  .map(([term, prev, commit, round, entries]) => ({
    type: "append" as const,
    term,
    prev,
    commit,
    round,
    entries: contiguous(prev, entries),
  }));

export const arbitraryMessage: fc.Arbitrary<Message> = fc.oneof(
  record({ type: fc.constant("pre-vote" as const), term: arbitraryTerm, last: arbitraryPosition }),
  record({ type: fc.constant("pre-vote-reply" as const), term: arbitraryTerm, granted: fc.boolean() }),
  record({
    type: fc.constant("vote" as const),
    term: arbitraryTerm,
    last: arbitraryPosition,
    isTransfer: fc.boolean(),
  }),
  record({ type: fc.constant("vote-reply" as const), term: arbitraryTerm, granted: fc.boolean() }),
  append,
  record({
    type: fc.constant("append-reply" as const),
    term: arbitraryTerm,
    round: arbitraryNumber,
    conflict: fc.option(arbitraryPosition, { nil: undefined }),
    index: arbitraryNumber,
  }),
  record({ type: fc.constant("timeout-now" as const), term: arbitraryTerm }),
  record({
    type: fc.constant("snapshot" as const),
    term: arbitraryTerm,
    place: arbitraryPosition,
    round: arbitraryNumber,
  }),
);

const arbitraryChunk = fc.integer({ min: 0, max: LIMITS.snapshotChunksMax });

export const arbitrarySnapshotFrame: fc.Arbitrary<SnapshotFrame> = fc.oneof(
  record({
    type: fc.constantFrom("log-begins" as const, "snapshot-ask" as const),
    incarnation: arbitraryIncarnation,
    index: arbitraryNumber,
  }),
  record({
    type: fc.constant("snapshot-offer" as const),
    incarnation: arbitraryIncarnation,
    snapshot: fc
      .tuple(arbitraryPosition, fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 1_000_000 }))
      .chain(([place, configuration, bytes]) => {
        const length = chunksOf(bytes) * HASH_BYTES;
        const hashes = fc.uint8Array({ minLength: length, maxLength: length });
        return hashes.map((drawn) => ({ ...place, configuration, bytes, hashes: drawn }));
      }),
  }),
  record({
    type: fc.constant("snapshot-fetch" as const),
    incarnation: arbitraryIncarnation,
    index: arbitraryNumber,
    chunk: arbitraryChunk,
  }),
  record({
    type: fc.constant("snapshot-chunk" as const),
    incarnation: arbitraryIncarnation,
    index: arbitraryNumber,
    chunk: arbitraryChunk,
    data: fc.uint8Array({ maxLength: 300 }),
  }),
);

/** A free store in memory. */
export function memoryStore(env: Env, name: string): MemoryStorage {
  return new MemoryStorage({ env, successors: new Map() }, hash("group"), new StoreState(store(name)));
}

/** Of a free, eligible member, but for what is given. */
export function statusOf(change: Partial<MemberStatus>): MemberStatus {
  return {
    storeId: store("ada"),
    incarnation: undefined,
    role: "free",
    isOpen: false,
    isEligible: true,
    isServing: false,
    isLeaving: false,
    isReluctant: false,
    isFull: false,
    term: 0,
    leader: undefined,
    position: 0,
    index: 0,
    left: [],
    last: { index: 0, term: 0 },
    origins: [],
    distance: 0,
    ...change,
  };
}
