/**
 * For tests alone, in any runner: suites that say what an implementation must do.
 *
 * `STORAGE_CONFORMANCE` has one scenario for each promise of `Storage`. Each gets a factory of its own, and rejects with an assertion error
 * that says what was not kept. It knows nothing of crashes: what must survive a power loss only shows on a disk that loses something.
 */
export type { Entry, HardState, Index, LogPosition, MemberId, Term } from "../raft/index.ts";
export { STORAGE_CONFORMANCE, type StorageScenario } from "../storage/conformance.ts";
export type {
  IncarnationId,
  SetAside,
  Snapshot,
  SnapshotHead,
  SnapshotPlace,
  SnapshotReader,
  SnapshotWriter,
  Storage,
  StorageFactory,
  StorageWrite,
  StoreId,
} from "../storage/index.ts";
