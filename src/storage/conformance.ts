import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { hash } from "../identity/index.ts";
import type { Entry, MemberId } from "../raft/index.ts";
import { SUCCESSORS } from "./conformance-successors.ts";
import type { IncarnationId, Storage, StorageFactory } from "./types.ts";

/** One promise of `Storage`, for any test runner. */
export interface StorageScenario {
  readonly name: string;
  /** Rejects with an assertion error if the driver does not keep it. `factory` is fresh for each scenario. */
  readonly run: (factory: StorageFactory) => Promise<void>;
}

const GROUP = hash("mosaik/storage-conformance");
const INCARNATION = hash("incarnation") as IncarnationId;

/** Entries from..to, of term `term`; each differs from all others. */
function entries(from: number, to: number, term = 1): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({
    index: from + i,
    term,
    kind: 1,
    data: Uint8Array.of(from + i, term),
  }));
}

async function withEntries(factory: StorageFactory, count: number): Promise<Storage> {
  const store = await factory.open(GROUP);
  if (count > 0) equal(await store.append(entries(1, count)), count);
  return store;
}

async function indexes(store: Storage, from: number, to: number): Promise<number[]> {
  return (await store.getRange(from, to)).map(({ index }) => index);
}

/** The data of the store's snapshot, read three bytes at a time. */
async function snapshotData(store: Storage): Promise<number[]> {
  const reader = await store.openSnapshot();
  const data: number[] = [];
  for (let from = 0; from < (reader?.head.bytes ?? 0); from += 3) data.push(...((await reader?.read(from, 3)) ?? []));
  await reader?.close();
  return data;
}

/** Saves a snapshot at `index`, in two chunks. */
async function saveSnapshot(store: Storage, index: number): Promise<void> {
  const writer = await store.createSnapshot({ index, term: 1, configuration: Uint8Array.of(index) });
  await writer.write(Uint8Array.of(index, 1));
  await writer.write(Uint8Array.of(2, 3));
  await writer.save();
}

const LOG: readonly StorageScenario[] = [
  {
    name: "a new store is empty, free, and knows the place before the log",
    run: async (factory) => {
      const store = await factory.open(GROUP);
      deepEqual(store.available, { start: 0, end: 0 });
      deepEqual(store.last, { index: 0, term: 0 });
      deepEqual(store.hardState, { term: 0, votedFor: undefined });
      equal(store.incarnation, undefined);
      equal(store.snapshot, undefined);
      equal(await store.termAt(0), 0);
      equal(await store.termAt(1), undefined);
      equal(await store.get(0), undefined);
      deepEqual(await store.getRange(0, 9), []);
    },
  },
  {
    name: "pruning 2 of 5 leaves 3 to 5, under their own indexes",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      await store.prunePrefix(2);
      deepEqual(store.available, { start: 2, end: 5 });
      equal(await store.get(1), undefined);
      equal(await store.get(2), undefined);
      deepEqual(await store.get(3), entries(3, 3)[0]);
      deepEqual(await store.getRange(1, 9), entries(3, 5));
    },
  },
  {
    name: "pruning leaves the last position as it was",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      await store.prunePrefix(3);
      deepEqual(store.last, { index: 5, term: 1 });
    },
  },
  {
    name: "an append after pruning goes on with the next index",
    run: async (factory) => {
      const store = await withEntries(factory, 3);
      await store.prunePrefix(2);
      equal(await store.append(entries(4, 4)), 4);
      deepEqual(await indexes(store, 1, 9), [3, 4]);
    },
  },
  {
    name: "a range over a pruned log has what is left; an inverted one has nothing",
    run: async (factory) => {
      const store = await withEntries(factory, 6);
      await store.prunePrefix(2);
      deepEqual(await indexes(store, 3, 5), [3, 4, 5]);
      deepEqual(await indexes(store, 1, 4), [3, 4]);
      deepEqual(await indexes(store, 1, 2), []);
      deepEqual(await indexes(store, 5, 3), []);
      deepEqual(await indexes(store, 7, 9), []);
    },
  },
  {
    name: "a truncation after pruning keeps what lies between",
    run: async (factory) => {
      const store = await withEntries(factory, 6);
      await store.prunePrefix(2);
      await store.truncate(5);
      deepEqual(store.last, { index: 4, term: 1 });
      deepEqual(await indexes(store, 1, 9), [3, 4]);
    },
  },
  {
    name: "pruning is idempotent and never takes back",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      for (const upTo of [3, 2, 3]) await store.prunePrefix(upTo);
      deepEqual(store.available, { start: 3, end: 5 });
    },
  },
  {
    name: "a log that is pruned whole remembers its end, and goes on after it",
    run: async (factory) => {
      const store = await withEntries(factory, 3);
      await store.prunePrefix(9);
      deepEqual(store.last, { index: 3, term: 1 });
      deepEqual(store.available, { start: 3, end: 3 });
      equal(await store.termAt(3), 1);
      equal(await store.append(entries(4, 4, 2)), 4);
      equal(await store.termAt(4), 2);
    },
  },
  {
    name: "pruning up to 0 changes nothing",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      await store.prunePrefix(0);
      deepEqual(store.available, { start: 0, end: 5 });
    },
  },
  {
    name: "a truncation at or below what is pruned leaves the pruned boundary as the last position",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      await store.prunePrefix(3);
      await store.truncate(2);
      deepEqual(store.last, { index: 3, term: 1 });
      deepEqual(store.available, { start: 3, end: 3 });
    },
  },
];

const WHOLE: readonly StorageScenario[] = [
  {
    name: "one write truncates, appends and sets the hard state, in this order",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      const hardState = { term: 2, votedFor: "ada" as MemberId };
      await store.write({ hardState, truncateFrom: 4, entries: entries(4, 6, 2), incarnation: INCARNATION });
      deepEqual(store.hardState, hardState);
      equal(store.incarnation, INCARNATION);
      deepEqual(store.last, { index: 6, term: 2 });
      deepEqual(await store.getRange(3, 4), [...entries(3, 3), ...entries(4, 4, 2)]);
    },
  },
  {
    name: "what a write says is visible at once, before it is durable",
    run: async (factory) => {
      const store = await factory.open(GROUP);
      const first = store.write({ entries: entries(1, 2), hardState: { term: 1, votedFor: undefined } });
      const second = store.append(entries(3, 3));
      deepEqual([store.last.index, store.hardState.term], [3, 1]);
      await first;
      equal(await second, 3);
    },
  },
  {
    name: "writes are durable in the order of their calls",
    run: async (factory) => {
      const store = await factory.open(GROUP);
      const done: number[] = [];
      await Promise.all([1, 2, 3, 4].map((i) => store.append(entries(i, i)).then((index) => done.push(index))));
      deepEqual(done, [1, 2, 3, 4]);
    },
  },
  {
    name: "a gap, and a second incarnation, are refused",
    run: async (factory) => {
      const store = await withEntries(factory, 2);
      await rejects(store.append(entries(4, 4)));
      await store.write({ incarnation: INCARNATION });
      await store.write({ incarnation: INCARNATION });
      await rejects(store.write({ incarnation: hash("another") as IncarnationId }));
    },
  },
  {
    name: "a reset replaces everything by the snapshot, and the log goes on after it",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      await store.write({ incarnation: INCARNATION });
      const snapshot = { index: 9, term: 3, configuration: Uint8Array.of(1), data: Uint8Array.of(2, 3) };
      await store.resetTo(snapshot);
      deepEqual(store.snapshot, { index: 9, term: 3, configuration: Uint8Array.of(1), bytes: 2 });
      deepEqual(await snapshotData(store), [2, 3]);
      deepEqual(store.last, { index: 9, term: 3 });
      deepEqual(store.available, { start: 9, end: 9 });
      equal(await store.termAt(9), 3);
      equal(await store.termAt(5), undefined);
      equal(store.incarnation, INCARNATION);
      equal(await store.append(entries(10, 10, 3)), 10);
    },
  },
];

const SNAPSHOTS: readonly StorageScenario[] = [
  {
    name: "a saved snapshot leaves the log as it is, and comes back in chunks",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      equal(await store.openSnapshot(), undefined);
      await saveSnapshot(store, 3);
      deepEqual(store.snapshot, { index: 3, term: 1, configuration: Uint8Array.of(3), bytes: 4 });
      deepEqual(await snapshotData(store), [3, 1, 2, 3]);
      deepEqual(store.available, { start: 0, end: 5 });
      await store.prunePrefix(3);
      deepEqual(await indexes(store, 1, 9), [4, 5]);
    },
  },
  {
    name: "the newest snapshot counts, whichever ends last; who reads an older one goes on",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      await saveSnapshot(store, 2);
      const reader = await store.openSnapshot();
      await saveSnapshot(store, 4);
      await saveSnapshot(store, 3);
      equal(store.snapshot?.index, 4);
      deepEqual(await snapshotData(store), [4, 1, 2, 3]);
      deepEqual(await reader?.read(0, 9), Uint8Array.of(2, 1, 2, 3));
      await reader?.close();
    },
  },
  {
    name: "a snapshot that is given up, or not ended, is not there",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      const writer = await store.createSnapshot({ index: 3, term: 1, configuration: new Uint8Array(0) });
      await writer.write(Uint8Array.of(1));
      equal(store.snapshot, undefined);
      await writer.discard();
      await writer.discard();
      await rejects(writer.save());
      equal(store.snapshot, undefined);
    },
  },
  {
    name: "a snapshot from elsewhere, in chunks, replaces everything when it is installed",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      const writer = await store.createSnapshot({ index: 9, term: 2, configuration: new Uint8Array(0) });
      for (let i = 0; i < 9; i++) await writer.write(Uint8Array.of(i));
      await writer.install();
      deepEqual(await snapshotData(store), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
      deepEqual(store.available, { start: 9, end: 9 });
      deepEqual(store.last, { index: 9, term: 2 });
    },
  },
];

const LIVES: readonly StorageScenario[] = [
  {
    name: "groups have stores of their own",
    run: async (factory) => {
      const one = await withEntries(factory, 3);
      const two = await factory.open(hash("another group"));
      notEqual(one.storeId, two.storeId);
      equal(two.last.index, 0);
    },
  },
  {
    name: "a closed store takes and gives nothing more, and closing it again is well",
    run: async (factory) => {
      const store = await withEntries(factory, 1);
      await store.close();
      await store.close();
      await rejects(store.append(entries(2, 2)));
      await rejects(store.get(1));
    },
  },
  {
    name: "closing waits for the writes under way",
    run: async (factory) => {
      const store = await factory.open(GROUP);
      let isDone = false;
      void store.append(entries(1, 1)).then(() => {
        isDone = true;
      });
      await store.close();
      equal(isDone, true);
    },
  },
  {
    name: "the next open finds all that was written, if the factory is durable, and else a new store",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      const hardState = { term: 4, votedFor: "bob" as MemberId };
      await store.write({ hardState, incarnation: INCARNATION });
      await saveSnapshot(store, 4);
      await store.prunePrefix(2);
      await store.close();
      const again = await factory.open(GROUP);
      if (!factory.isDurable) {
        notEqual(again.storeId, store.storeId);
        equal(again.last.index, 0);
        return;
      }
      equal(again.storeId, store.storeId);
      equal(again.incarnation, INCARNATION);
      deepEqual(again.hardState, hardState);
      deepEqual(again.available, { start: 2, end: 5 });
      equal(await again.termAt(2), 1);
      deepEqual(await again.getRange(1, 9), entries(3, 5));
      deepEqual(again.snapshot, { index: 4, term: 1, configuration: Uint8Array.of(4), bytes: 4 });
      deepEqual(await snapshotData(again), [4, 1, 2, 3]);
    },
  },
  {
    name: "each opening has an id of its own, and a durable store knows the earlier ones",
    run: async (factory) => {
      const seen: string[] = [];
      for (let count = 1; count <= 3; count++) {
        const store = await factory.open(GROUP);
        const openingId = store.openingIds.at(-1) ?? "";
        ok(openingId.length >= 16 && !seen.includes(openingId));
        seen.push(openingId);
        deepEqual(store.openingIds, factory.isDurable ? seen : [openingId]);
        equal(store.openingCount, factory.isDurable ? count : 1);
        equal(store.predecessor, undefined);
        await store.close();
      }
    },
  },
  {
    name: "a truncation is remembered",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      await store.write({ truncateFrom: 3, entries: entries(3, 3, 2) });
      await store.truncate(3);
      await store.append(entries(3, 4, 3));
      await store.close();
      const again = await factory.open(GROUP);
      if (!factory.isDurable) return equal(again.last.index, 0);
      deepEqual(await again.getRange(1, 9), [...entries(1, 2), ...entries(3, 4, 3)]);
      return undefined;
    },
  },
  {
    name: "a store that was set aside is never opened again",
    run: async (factory) => {
      const store = await withEntries(factory, 5);
      await store.setAside("tried out");
      await store.close();
      const again = await factory.open(GROUP);
      notEqual(again.storeId, store.storeId);
      equal(again.last.index, 0);
      equal(again.incarnation, undefined);
    },
  },
];

/** What every `StorageFactory` must do. Give each scenario a factory of its own. */
export const STORAGE_CONFORMANCE: readonly StorageScenario[] = [
  ...LOG,
  ...WHOLE,
  ...SNAPSHOTS,
  ...LIVES,
  ...SUCCESSORS,
];
