/**
 * Where a member keeps what it must not forget.
 *
 * A store holds the log, the hard state (term and vote), a snapshot, and two names: its own, which is never used again, and that of the
 * one incarnation it belongs to. A member is a peer *with* a store, so a peer that lost its disk comes back as somebody else and never
 * votes twice. `MemoryStorage` lives as long as its process, stores in `file/` as long as their disk. The simulator's nodes have a
 * `NodeDisk`: `FileDisk` runs the stores of `file/` on files that lose what was not synced; `SimDisk` is simpler and faster.
 */
export {
  type DataDirectory,
  FileDisk,
  type FileSystem,
  fileStorageFactory,
  type OpenFile,
  type OpenMode,
  openDataDirectory,
  realFileSystem,
} from "./file/index.ts";
export { drawStoreId, MemoryStorage, memoryStorageFactory } from "./memory.ts";
export type { CrashEffect, NodeDisk, SyncDelay } from "./node-disk.ts";
export { SimDisk, simStorageFactory } from "./sim-disk.ts";
export type * from "./types.ts";
