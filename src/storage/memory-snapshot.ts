import { mosaikError } from "../env/index.ts";
import type { Owner, Snapshot, SnapshotHead, SnapshotPlace, SnapshotReader, SnapshotWriter } from "./types.ts";

/** Gathers chunks in memory. For stores that keep the data there anyway. */
export function memorySnapshotWriter(
  place: SnapshotPlace,
  end: { save(snapshot: Snapshot): Promise<void>; install(snapshot: Snapshot, whose?: Owner): Promise<void> },
): SnapshotWriter {
  let chunks: Uint8Array[] | undefined = [];
  const take = (): Snapshot => {
    if (chunks === undefined) throw mosaikError("closed", "the snapshot was ended");
    const data = Uint8Array.from(Buffer.concat(chunks));
    chunks = undefined;
    return { ...place, data };
  };
  return {
    write: async (chunk) => {
      if (chunks === undefined) throw mosaikError("closed", "the snapshot was ended");
      chunks.push(Uint8Array.from(chunk));
    },
    save: async () => end.save(take()),
    install: async (whose) => end.install(take(), whose),
    discard: async () => {
      chunks = undefined;
    },
  };
}

export function memorySnapshotReader(snapshot: Snapshot): SnapshotReader {
  let isClosed = false;
  return {
    head: headOf(snapshot),
    read: async (from, length) => {
      if (isClosed) throw mosaikError("closed", "the snapshot's reader is closed");
      return snapshot.data.slice(from, from + length);
    },
    close: async () => {
      isClosed = true;
    },
  };
}

export function headOf({ index, term, configuration, data }: Snapshot): SnapshotHead {
  return { index, term, configuration, bytes: data.length };
}
