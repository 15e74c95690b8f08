import { LIMITS } from "../../env/index.ts";
import type { Index } from "../../raft/index.ts";
import type { IncarnationId, SnapshotHead } from "../../storage/index.ts";
import { type ByteReader, type ByteWriter, DecodeError } from "../../wire/index.ts";
import { readPosition, writePosition } from "./raft-codec.ts";

/** Bytes of a chunk's hash (SHA-256). */
export const HASH_BYTES = 32;

/** Frames by which a member fetches a snapshot from others. */
export type SnapshotFrame =
  /** Answer to a `fetch` of what is no longer in the log: there is a snapshot up to here instead. */
  | { readonly type: "log-begins"; readonly incarnation: IncarnationId; readonly index: Index }
  /** Who has a snapshot of this place or a later one? */
  | { readonly type: "snapshot-ask"; readonly incarnation: IncarnationId; readonly index: Index }
  /** I have this one. */
  | { readonly type: "snapshot-offer"; readonly incarnation: IncarnationId; readonly snapshot: SnapshotOffer }
  | {
      readonly type: "snapshot-fetch";
      readonly incarnation: IncarnationId;
      readonly index: Index;
      readonly chunk: number;
    }
  /** Without data: it is gone. */
  | {
      readonly type: "snapshot-chunk";
      readonly incarnation: IncarnationId;
      readonly index: Index;
      readonly chunk: number;
      readonly data: Uint8Array;
    };

/** A snapshot as its holder describes it. */
export interface SnapshotOffer extends SnapshotHead {
  /** Of each chunk of `LIMITS.snapshotChunkBytes`, the last one shorter; one after the other. */
  readonly hashes: Uint8Array;
}

export function writeSnapshotFrame(writer: ByteWriter, frame: SnapshotFrame): void {
  writer.id(frame.incarnation);
  switch (frame.type) {
    case "log-begins":
    case "snapshot-ask":
      writer.varint(frame.index);
      break;
    case "snapshot-offer":
      writePosition(writer, frame.snapshot);
      writer.bytes(frame.snapshot.configuration).varint(frame.snapshot.bytes).fixed(frame.snapshot.hashes);
      break;
    case "snapshot-fetch":
      writer.varint(frame.index).varint(frame.chunk);
      break;
    case "snapshot-chunk":
      writer.varint(frame.index).varint(frame.chunk).fixed(frame.data);
      break;
  }
}

/** @throws DecodeError */
export function readSnapshotFrame(type: SnapshotFrame["type"], reader: ByteReader): SnapshotFrame {
  const incarnation = reader.id() as IncarnationId;
  switch (type) {
    case "log-begins":
    case "snapshot-ask":
      return { type, incarnation, index: reader.varint() };
    case "snapshot-offer":
      return { type, incarnation, snapshot: readOffer(reader) };
    case "snapshot-fetch":
      return { type, incarnation, index: reader.varint(), chunk: reader.varint(LIMITS.snapshotChunksMax) };
    case "snapshot-chunk": {
      const index = reader.varint();
      const chunk = reader.varint(LIMITS.snapshotChunksMax);
      if (reader.remaining > LIMITS.snapshotChunkBytes) throw new DecodeError("a chunk that is too long");
      return { type, incarnation, index, chunk, data: reader.rest() };
    }
  }
}

/** How many chunks this many bytes make. */
export function chunksOf(bytes: number): number {
  return Math.ceil(bytes / LIMITS.snapshotChunkBytes);
}

function readOffer(reader: ByteReader): SnapshotOffer {
  const place = readPosition(reader);
  const configuration = reader.bytesCopy(LIMITS.snapshotConfigurationBytesMax);
  const bytes = reader.varint(LIMITS.snapshotChunksMax * LIMITS.snapshotChunkBytes);
  const hashes = reader.rest().slice();
  if (bytes === 0 || hashes.length !== chunksOf(bytes) * HASH_BYTES) throw new DecodeError("a hash for each chunk");
  return { ...place, configuration, bytes, hashes };
}
