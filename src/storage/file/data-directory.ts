import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve as resolvePath } from "node:path";
import { type Env, mosaikError } from "../../env/index.ts";
import type { UniqueId } from "../../identity/index.ts";
import type { StorageFactory } from "../types.ts";
import { type DirectoryLock, lockDirectory } from "./directory-lock.ts";
import { type FileSystem, isNoRoom } from "./file-system.ts";
import { realFileSystem } from "./real-file-system.ts";
import { type SegmentSizes, USUAL_SIZES } from "./room.ts";
import { loadOrCreateSecret } from "./secret-file.ts";
import { openStore } from "./store-folder.ts";
import { storageError } from "./write-queue.ts";

/** What one node keeps on disk. Its own as long as it is open. */
export interface DataDirectory {
  readonly path: string;
  readonly storage: StorageFactory;
  /** 32 bytes, the same at every call and in every life. @throws `storage-failed`, `storage-full` */
  loadOrCreateSecret(): Promise<Uint8Array>;
  /** Lets the directory go. Close the stores first: who opens it next shall find them at rest. Idempotent. */
  close(): Promise<void>;
}

/**
 * Takes a directory, and makes it if it is missing.
 *
 * @throws `data-dir-locked` another node has it; `storage-failed`, `storage-full`
 */
export async function openDataDirectory(env: Env, path: string): Promise<DataDirectory> {
  const directory = resolvePath(path);
  const files = realFileSystem();
  let lock: DirectoryLock;
  try {
    await makeDirectories(files, directory);
    lock = await lockDirectory(env, directory);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "data-dir-locked") throw cause;
    if (isNoRoom(cause)) throw storageError(cause, directory);
    throw mosaikError("storage-failed", "the data directory cannot be had", { details: { path: directory }, cause });
  }
  let releasing: Promise<void> | undefined;
  return {
    path: directory,
    storage: fileStorageFactory(env, files, directory),
    loadOrCreateSecret: () => loadOrCreateSecret(files, env, directory),
    close: () => (releasing ??= lock.release()),
  };
}

/** The stores in a directory, which exists, and which nobody else uses. */
export function fileStorageFactory(
  env: Env,
  files: FileSystem,
  directory: string,
  sizes: SegmentSizes = USUAL_SIZES,
): StorageFactory {
  const open = new Set<UniqueId>();
  return {
    isDurable: true,
    open: async (group) => {
      if (open.has(group)) {
        throw mosaikError("data-dir-locked", "the group's store is open", { details: { path: directory } });
      }
      open.add(group);
      try {
        return await openStore({ env, files, directory, sizes }, group, () => open.delete(group));
      } catch (cause) {
        open.delete(group);
        throw cause;
      }
    },
  };
}

/** Each new folder's name is made durable in the one above it. */
async function makeDirectories(files: FileSystem, directory: string): Promise<void> {
  const missing: string[] = [];
  for (let at = directory; statSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at)) missing.unshift(at);
  for (const folder of missing) {
    mkdirSync(folder, { mode: 0o700 });
    await files.syncDirectory(dirname(folder));
  }
}
