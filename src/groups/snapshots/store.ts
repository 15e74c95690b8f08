import { type Env, LIMITS, mosaikError } from "../../env/index.ts";
import type { Entry, LogPosition, SnapshotMark } from "../../raft/index.ts";
import type { Storage } from "../../storage/index.ts";
import { chunksOf } from "../bonds/index.ts";
import { decodeConfiguration } from "../entries/index.ts";
import type { MachineRuntime } from "../machine/index.ts";
import { type ReplicaState, SnapshotDecoder, workSlice } from "../replica/index.ts";

/** What a store holds, as a life begins with it. */
export interface StoredLog {
  readonly base: LogPosition;
  readonly entries: readonly Entry[];
  readonly snapshot: { readonly mark: SnapshotMark; readonly state: ReplicaState } | undefined;
}

/** What a store is read with. */
export interface Loader {
  readonly env: Pick<Env, "clock" | "after">;
  /** Of our machine: what its snapshots are taken apart for. */
  readonly runtime: Pick<MachineRuntime, "intake">;
}

/** @throws `storage-failed` for a log that begins after what its snapshot covers; DecodeError for a snapshot of another version */
export async function loadStore(storage: Storage, loader: Loader): Promise<StoredLog> {
  const stored = await loadLiveStore(storage, loader);
  if (stored !== undefined) return stored;
  throw mosaikError("storage-failed", "the log begins after the end of its snapshot", {
    details: { path: storage.storeId },
  });
}

/** As `loadStore`; the store is closed if that fails, so that it may be opened again. */
export async function loadOrClose(storage: Storage, loader: Loader): Promise<StoredLog> {
  try {
    return await loadStore(storage, loader);
  } catch (cause) {
    await storage.close();
    throw cause;
  }
}

/**
 * What is let go of while it is read may be missing among the entries.
 *
 * @returns undefined: the log begins after what its snapshot covers; another one was stored since that was read
 * @throws DecodeError for a snapshot of another version
 */
export async function loadLiveStore(storage: Storage, loader: Loader): Promise<StoredLog | undefined> {
  const snapshot = await loadSnapshot(storage, loader);
  const { start, end } = storage.available;
  const base = { index: start, term: (await storage.termAt(start)) ?? 0 };
  if (start > (snapshot?.mark.index ?? 0)) return undefined;
  const entries = start === end ? [] : await storage.getRange(start + 1, end);
  return { base, entries, snapshot };
}

/** A chunk at a time, and a slice of it, so that the rest of the program has its turn between them. */
async function loadSnapshot(storage: Storage, { env, runtime }: Loader): Promise<StoredLog["snapshot"]> {
  const reader = await storage.openSnapshot();
  if (reader === undefined) return undefined;
  try {
    const { index, term, configuration, bytes } = reader.head;
    const decoder = new SnapshotDecoder(runtime.intake());
    for (let chunk = 0; chunk < chunksOf(bytes); chunk++) {
      decoder.feed(await reader.read(chunk * LIMITS.snapshotChunkBytes, LIMITS.snapshotChunkBytes));
      while (!workSlice(env, () => !decoder.decodeNext())) await new Promise<void>((next) => env.after(0, next));
    }
    return { mark: { index, term, voters: decodeConfiguration(configuration) }, state: decoder.end() };
  } finally {
    await reader.close();
  }
}
