/**
 * The replicated state: the user's machine, the sessions and the position. The `Applier` feeds it what is committed; the `Snapshotter`
 * writes it down in slices, and `SnapshotDecoder` reads it back.
 */
export { Applier } from "./applier.ts";
export { Chunker } from "./chunker.ts";
export {
  type AppliedBatch,
  type AppliedCommand,
  type MachineFailure,
  machineFailed,
  Replica,
  type ReplicaEvents,
} from "./replica.ts";
export { SLICE_US, workSlice } from "./slices.ts";
export {
  ORIGINS_MAX,
  type Origin,
  type ReplicaState,
  readOrigins,
  SnapshotDecoder,
  writeOrigins,
} from "./snapshot-format.ts";
export { Snapshotter } from "./snapshotter.ts";
