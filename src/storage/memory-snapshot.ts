import { MosaikError, mosaikError } from "../env/index.ts";
import { ChunkedBytes, type HeldSnapshot } from "./chunked-bytes.ts";
import type { Owner, Snapshot, SnapshotHead, SnapshotPlace, SnapshotReader, SnapshotWriter } from "./types.ts";

export function heldSnapshot({ data, ...place }: Snapshot): HeldSnapshot {
  return { ...place, data: ChunkedBytes.of(data) };
}

/** Gathers chunks in memory. For stores that keep the data there anyway. */
export function memorySnapshotWriter(
  place: SnapshotPlace,
  end: { save(snapshot: HeldSnapshot): Promise<void>; install(snapshot: HeldSnapshot, whose?: Owner): Promise<void> },
): SnapshotWriter {
  let gathered: ChunkedBytes | undefined = new ChunkedBytes();
  const open = (): ChunkedBytes => {
    if (gathered === undefined) throw mosaikError("closed", "the snapshot was ended");
    return gathered;
  };
  const finish = async (finishWith: (snapshot: HeldSnapshot) => Promise<void>): Promise<void> => {
    const data = open();
    gathered = undefined;
    try {
      await finishWith({ ...place, data });
    } catch (cause) {
      if (MosaikError.is(cause, "storage-full")) gathered = data;
      throw cause;
    }
  };
  return {
    write: async (chunk) => open().push(chunk),
    seal: async () => {
      open();
    },
    save: () => finish((snapshot) => end.save(snapshot)),
    install: (whose) => finish((snapshot) => end.install(snapshot, whose)),
    discard: async () => {
      gathered = undefined;
    },
  };
}

export function memorySnapshotReader(snapshot: HeldSnapshot): SnapshotReader {
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

export function headOf({ index, term, configuration, data }: HeldSnapshot): SnapshotHead {
  return { index, term, configuration, bytes: data.length };
}
