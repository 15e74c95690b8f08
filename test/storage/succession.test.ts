// What a crash may do while one store takes the place of another, at each call to the file system.
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { hash } from "../../src/identity/index.ts";
import type { SimFileSystem } from "../../src/storage/file/sim-file-system.ts";
import type { IncarnationId, Storage } from "../../src/storage/index.ts";
import { contentOf, factoryOn, GROUP, simFiles } from "./bench.ts";

const FORMER = hash("former") as IncarnationId;
const LATER = hash("later") as IncarnationId;

interface Former {
  readonly files: SimFileSystem;
  readonly store: Storage;
  readonly content: string;
}

async function former(seed: number): Promise<Former> {
  const files = simFiles(seed);
  const store = await (await factoryOn(files, seed)).open(GROUP);
  const entries = [1, 2, 3].map((index) => ({ index, term: 1, kind: 1, data: new Uint8Array(900).fill(index) }));
  await store.write({ incarnation: FORMER, hardState: { term: 1, votedFor: undefined }, entries });
  return { files, store, content: await contentOf(store) };
}

async function succeed(store: Storage, onNamed: (storeId: string) => void): Promise<void> {
  const successor = await store.createSuccessor();
  onNamed(successor.storage.storeId);
  const writer = await successor.storage.createSnapshot({ index: 3, term: 1, configuration: Uint8Array.of(7) });
  await writer.write(new Uint8Array(2_000).fill(9));
  await writer.install({ incarnation: LATER, hardState: { term: 2, votedFor: undefined } });
  await successor.replace("succeeded");
}

/** Whose store is found, and that it is whole. @returns true for the later one */
async function judge({ store, content }: Former, found: Storage, later: string | undefined): Promise<boolean> {
  equal(found.predecessor, undefined);
  if (found.storeId === store.storeId) {
    equal(await contentOf(found), content);
    return false;
  }
  equal(found.storeId, later);
  equal(found.incarnation, LATER);
  equal(found.hardState.term, 2);
  const reader = await found.openSnapshot();
  equal(
    (await reader?.read(0, 2_000))?.every((byte) => byte === 9),
    true,
  );
  await reader?.close();
  return true;
}

async function crashedAt(at: number, seed: number, end: "power" | "kill", again: number): Promise<boolean> {
  const before = await former(seed);
  const { files } = before;
  let later: string | undefined;
  const crashed = files.crashAfter(at, end);
  const isDone = await Promise.race([
    succeed(before.store, (storeId) => {
      later = storeId;
    }).then(() => true),
    crashed,
  ]);
  if (isDone === true) files.kill();
  // The next open may be cut short as well.
  if (again > 0) {
    const cut = files.crashAfter(again);
    await Promise.race([factoryOn(files, seed + 1).then((factory) => factory.open(GROUP)), cut]);
    files.kill();
  }
  const found = await (await factoryOn(files, seed + 2)).open(GROUP);
  const isLater = await judge(before, found, later);
  if (isDone === true) ok(isLater, "what resolved is there");
  await found.write({ hardState: { term: 9, votedFor: undefined } });
  await found.close();
  files.crash();
  equal((await (await factoryOn(files, seed + 3)).open(GROUP)).storeId, found.storeId);
  return isLater;
}

test("a crash at each call leaves the store that was there, or the one that takes its place, whole", async () => {
  const { files, store } = await former(1);
  const from = files.steps;
  await succeed(store, () => {});
  const steps = files.steps - from;
  ok(steps > 20, `${steps} steps`);
  let [earlier, later] = [0, 0];
  for (let at = 1; at <= steps; at++) {
    for (const end of ["power", "kill"] as const) {
      for (const again of [0, 1, 2, 3, 4, 6, 9]) {
        for (const seed of [1, 2, 3]) {
          try {
            if (await crashedAt(at, 100 * at + seed, end, again)) later++;
            else earlier++;
          } catch (cause) {
            throw new Error(`${end} at call ${at}, again at ${again}, seed ${seed}`, { cause });
          }
        }
      }
    }
  }
  ok(earlier > steps && later > 20, `${earlier} and ${later}`);
});

test("a call that fails while the successor is written costs the store nothing", async () => {
  const { files } = await former(1);
  ok(files.steps > 0);
  for (let at = 1; at <= 10; at++) {
    const before = await former(at);
    before.files.failAfter(at);
    const failed = await before.store.createSuccessor().then(
      async (successor) => successor.discard().then(() => false),
      () => true,
    );
    if (!failed) continue;
    await before.store.append([{ index: 4, term: 1, kind: 1, data: Uint8Array.of(1) }]);
    await before.store.close();
    equal((await (await factoryOn(before.files, at)).open(GROUP)).last.index, 4);
  }
});

test("a store that was set aside at the second try leaves the one that came after it alone", async () => {
  const { files, store } = await former(1);
  const factory = await factoryOn(files, 1);
  const { makeDirectory } = files;
  files.makeDirectory = () => {
    files.makeDirectory = makeDirectory;
    return Promise.reject(Object.assign(new Error("no room"), { code: "ENOSPC" }));
  };
  await rejects(store.setAside("left"), { code: "storage-full" });
  await store.setAside("left");
  const later = await factory.open(GROUP);
  await rejects(store.setAside("left"), { code: "closed" });
  await later.close();
  equal((await factory.open(GROUP)).storeId, later.storeId);
});

test("a store that is closed while its successor is drawn leaves none behind", async () => {
  const { files, store } = await former(1);
  const drawing = rejects(store.createSuccessor(), { code: "closed" });
  await store.close();
  await drawing;
  deepEqual(
    files.paths().filter((path) => /\/successors\/\w+\//.test(path)),
    [],
  );
});
