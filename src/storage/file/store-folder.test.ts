import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { realEnv } from "../../env/index.ts";
import { hash } from "../../identity/index.ts";
import type { Entry } from "../../raft/index.ts";
import type { StorageFactory } from "../types.ts";
import { crc32c } from "./crc32c.ts";
import { fileStorageFactory } from "./data-directory.ts";
import { SEGMENT_VERSION } from "./frames.ts";
import { sequenceOf } from "./layout.ts";
import { realFileSystem } from "./real-file-system.ts";

const GROUP = hash("a group");
/** Longer than two sectors. */
const BYTES = 2_000;
const entry = (index: number): Entry => ({ index, term: 1, kind: 1, data: new Uint8Array(BYTES).fill(index) });

/** A store that holds three entries and is closed, and the first file of its log. */
async function withStore(
  play: (place: { factory: StorageFactory; segment: string; groups: string; storeId: string }) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "mosaik-store-"));
  try {
    const factory = fileStorageFactory(realEnv(), realFileSystem(), directory);
    const store = await factory.open(GROUP);
    for (const index of [1, 2, 3]) await store.append([entry(index)]);
    await store.close();
    const groups = join(directory, "groups");
    const [name] = readdirSync(join(groups, GROUP)).filter((file) => sequenceOf(file) !== undefined);
    ok(name !== undefined);
    await play({ factory, segment: join(groups, GROUP, name), groups, storeId: store.storeId });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test("a store that newer code wrote is refused as it is: not damaged, not touched", async () => {
  await withStore(async ({ factory, segment, groups }) => {
    const bytes = readFileSync(segment);
    bytes.writeUInt8(SEGMENT_VERSION + 1, 8);
    bytes.writeUInt32LE(crc32c(bytes, 0, 24), 24);
    writeFileSync(segment, bytes);
    await rejects(factory.open(GROUP), { code: "storage-failed", message: /written by newer code/ });
    deepEqual(readFileSync(segment), bytes);
    deepEqual(readdirSync(groups), [GROUP]);
  });
});

test("a bit that flipped before the last record: the store is set aside whole, and a new one says so", async () => {
  await withStore(async ({ factory, segment, storeId }) => {
    const bytes = readFileSync(segment);
    const at = bytes.indexOf(Buffer.alloc(BYTES, 2));
    ok(at > 0, "the second of three entries");
    bytes.writeUInt8(3, at);
    writeFileSync(segment, bytes);
    const store = await factory.open(GROUP);
    equal(store.predecessor?.storeId, storeId);
    notEqual(store.storeId, storeId);
    equal(store.last.index, 0);
    ok(existsSync(join(store.predecessor?.path ?? "", basename(segment))), "its files are kept");
    await store.close();
  });
});

test("a last record that was torn is cut, and the store goes on as itself", async () => {
  await withStore(async ({ factory, segment, storeId }) => {
    const bytes = readFileSync(segment);
    const at = bytes.indexOf(Buffer.alloc(BYTES, 3));
    ok(at > 0, "the last entry");
    // A sector that the disk had not written yet.
    const sector = Math.ceil(at / 512) * 512;
    bytes.fill(0, sector, sector + 512);
    writeFileSync(segment, bytes);
    const store = await factory.open(GROUP);
    equal(store.storeId, storeId);
    equal(store.last.index, 2);
    await store.close();
  });
});
