import { deepEqual, equal, notEqual, rejects } from "node:assert/strict";
import { hash } from "../identity/index.ts";
import type { StorageScenario } from "./conformance.ts";
import type { IncarnationId, Owner, Storage, StorageFactory, Successor } from "./types.ts";

const GROUP = hash("mosaik/storage-conformance/successors");
const FORMER = hash("former incarnation") as IncarnationId;
const OWNER: Owner = {
  incarnation: hash("incarnation") as IncarnationId,
  hardState: { term: 7, votedFor: undefined },
};

/** A store with two entries, and one that is about to follow it. */
async function withSuccessor(factory: StorageFactory): Promise<{ store: Storage; successor: Successor }> {
  const store = await factory.open(GROUP);
  const data = Uint8Array.of(1);
  const entries = [1, 2].map((index) => ({ index, term: 1, kind: 1, data }));
  await store.write({ incarnation: FORMER, entries, hardState: { term: 1, votedFor: undefined } });
  return { store, successor: await store.createSuccessor() };
}

async function install(store: Storage): Promise<void> {
  const writer = await store.createSnapshot({ index: 9, term: 6, configuration: Uint8Array.of(4) });
  await writer.write(Uint8Array.of(1, 2));
  await writer.install(OWNER);
}

/** What every `StorageFactory` must do for a store that takes the place of another. */
export const SUCCESSORS: readonly StorageScenario[] = [
  {
    name: "a free store is bound with the snapshot that it begins with, in one step",
    run: async (factory) => {
      const first = await factory.open(GROUP);
      await install(first);
      for (const store of [first, await first.close().then(() => (factory.isDurable ? factory.open(GROUP) : first))]) {
        equal(store.incarnation, OWNER.incarnation);
        deepEqual(store.hardState, OWNER.hardState);
        deepEqual(store.last, { index: 9, term: 6 });
        equal(store.snapshot?.bytes, 2);
      }
    },
  },
  {
    name: "a successor is written while the store is in use, takes its place, and is what the next `open` gives",
    run: async (factory) => {
      const { store, successor } = await withSuccessor(factory);
      notEqual(successor.storage.storeId, store.storeId);
      equal(successor.storage.incarnation, undefined);
      await install(successor.storage);
      deepEqual(await store.termAt(2), 1);
      await store.append([{ index: 3, term: 1, kind: 1, data: Uint8Array.of(1) }]);
      await successor.replace("tried out");
      await rejects(store.append([]));
      const opened = await factory.open(GROUP);
      equal(opened.storeId, successor.storage.storeId);
      equal(opened.incarnation, OWNER.incarnation);
      deepEqual(opened.available, { start: 9, end: 9 });
      await opened.write({ entries: [{ index: 10, term: 7, kind: 1, data: Uint8Array.of(1) }] });
      equal(opened.predecessor, undefined);
    },
  },
  {
    name: "a successor that is given up, or not done when the store closes, changes nothing",
    run: async (factory) => {
      const { store, successor } = await withSuccessor(factory);
      await install(successor.storage);
      await successor.discard();
      await successor.discard();
      await store.append([{ index: 3, term: 1, kind: 1, data: Uint8Array.of(1) }]);
      await install((await store.createSuccessor()).storage);
      await store.close();
      const again = await factory.open(GROUP);
      equal(again.incarnation, factory.isDurable ? FORMER : undefined);
      equal(again.last.index, factory.isDurable ? 3 : 0);
    },
  },
  {
    name: "a store that is set aside takes with it what was to follow it",
    run: async (factory) => {
      const { store, successor } = await withSuccessor(factory);
      await install(successor.storage);
      await store.setAside("tried out");
      const again = await factory.open(GROUP);
      notEqual(again.storeId, successor.storage.storeId);
      equal(again.incarnation, undefined);
    },
  },
];
