import { MosaikError, mosaikError } from "../env/index.ts";
import type { Owner, Snapshot, SnapshotHead, SnapshotPlace, SnapshotReader, SnapshotWriter } from "./types.ts";

/** Gathers chunks in memory. For stores that keep the data there anyway. */
export function memorySnapshotWriter(
  place: SnapshotPlace,
  end: { save(snapshot: Snapshot): Promise<void>; install(snapshot: Snapshot, whose?: Owner): Promise<void> },
): SnapshotWriter {
  let chunks: Uint8Array[] | undefined = [];
  const finish = async (finishWith: (snapshot: Snapshot) => Promise<void>): Promise<void> => {
    if (chunks === undefined) throw mosaikError("closed", "the snapshot was ended");
    const data = Uint8Array.from(Buffer.concat(chunks));
    chunks = undefined;
    try {
      await finishWith({ ...place, data });
    } catch (cause) {
      if (MosaikError.is(cause, "storage-full")) chunks = [data];
      throw cause;
    }
  };
  return {
    write: async (chunk) => {
      if (chunks === undefined) throw mosaikError("closed", "the snapshot was ended");
      chunks.push(Uint8Array.from(chunk));
    },
    seal: async () => {
      if (chunks === undefined) throw mosaikError("closed", "the snapshot was ended");
    },
    save: () => finish((snapshot) => end.save(snapshot)),
    install: (whose) => finish((snapshot) => end.install(snapshot, whose)),
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
