import { deepEqual, equal, notEqual } from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { realEnv, SeededRandom } from "../../src/env/index.ts";
import { UniqueId } from "../../src/identity/index.ts";
import { openDataDirectory, type Storage } from "../../src/storage/index.ts";
import { damageLog, loseDisk, tearTail } from "./disks.ts";

const GROUP = UniqueId.from("torn");
const ENTRIES = 20;
const roots: string[] = [];
after(() => {
  for (const root of roots) rmSync(root, { recursive: true });
});

/** Opens the store in the folder, uses it, and leaves it closed. */
async function visit<T>(folder: string, use: (store: Storage) => Promise<T>): Promise<T> {
  const directory = await openDataDirectory(realEnv(), folder);
  const store = await directory.storage.open(GROUP);
  try {
    return await use(store);
  } finally {
    await store.close();
    await directory.close();
  }
}

/** A store with entries, each of which is known to be durable. */
async function written(): Promise<{ folder: string; storeId: string }> {
  const folder = mkdtempSync(join(tmpdir(), "mosaik-disks-"));
  roots.push(folder);
  const storeId = await visit(folder, async (store) => {
    for (let index = 1; index <= ENTRIES; index++) {
      await store.append([{ kind: 0, index, term: 1, data: new SeededRandom(index).bytes(index * 40) }]);
    }
    return store.storeId;
  });
  return { folder, storeId };
}

const indexesOf = (store: Storage): Promise<readonly number[]> =>
  store.getRange(1, 1_000).then((entries) => entries.map(({ index }) => index));

describe("what the harness does to a disk", () => {
  it("a torn tail takes nothing that was synced, and the store stays the same", async () => {
    const { folder, storeId } = await written();
    for (let seed = 0; seed < 20; seed++) {
      equal(tearTail(folder, new SeededRandom(seed)), true);
      await visit(folder, async (store) => {
        equal(store.storeId, storeId, `seed ${seed}`);
        equal(store.last.index, ENTRIES);
        equal((await indexesOf(store)).length, ENTRIES);
      });
    }
  });

  it("a damaged log is put aside, wherever the damage is", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { folder, storeId } = await written();
      equal(damageLog(folder, new SeededRandom(seed)), true);
      await visit(folder, async (store) => {
        notEqual(store.storeId, storeId, `seed ${seed}`);
        equal(store.predecessor?.storeId, storeId);
        deepEqual(await indexesOf(store), []);
      });
    }
  });

  it("a lost disk is lost, with or without the peer's key", async () => {
    for (const what of ["groups", "all"] as const) {
      const { folder, storeId } = await written();
      const directory = await openDataDirectory(realEnv(), folder);
      const key = await directory.loadOrCreateSecret();
      await directory.close();
      loseDisk(folder, what);
      await visit(folder, async (store) => {
        notEqual(store.storeId, storeId);
        equal(store.predecessor, undefined);
      });
      const again = await openDataDirectory(realEnv(), folder);
      equal(Buffer.from(await again.loadOrCreateSecret()).equals(key), what === "groups");
      await again.close();
    }
  });

  it("nothing is torn or damaged where there is no log", () => {
    const folder = mkdtempSync(join(tmpdir(), "mosaik-disks-"));
    roots.push(folder);
    equal(tearTail(folder, new SeededRandom(1)), false);
    equal(damageLog(folder, new SeededRandom(1)), false);
  });
});
