import { createHash } from "node:crypto";
import { LIMITS, type Timer } from "../../env/index.ts";
import type { SnapshotMark } from "../../raft/index.ts";
import type { SnapshotWriter } from "../../storage/index.ts";
import { type Bond, HASH_BYTES, type SnapshotOffer } from "../bonds/index.ts";
import type { ReplicaState, SnapshotDecoder } from "../replica/index.ts";
import { hashOf } from "./server.ts";

/** A snapshot that is here, whole, and verified. Its bytes are with `writer`, not yet installed. */
export interface FetchedSnapshot {
  readonly mark: SnapshotMark;
  readonly state: ReplicaState;
  readonly writer: SnapshotWriter;
}

/** One snapshot on its way in. */
export interface Transfer {
  readonly key: string;
  readonly offer: SnapshotOffer;
  readonly voters: SnapshotMark["voters"];
  readonly count: number;
  readonly sources: Set<Bond>;
  readonly decoder: SnapshotDecoder;
  readonly writer: Promise<SnapshotWriter>;
  /** Chunks to ask for, the earliest first. */
  readonly missing: number[];
  readonly asked: Map<number, { readonly bond: Bond; readonly timer: Timer }>;
  readonly arrived: Map<number, Uint8Array>;
  /** The next chunk to decode and to write. */
  next: number;
  /** It, or the rest of it, is here, and waits for its turn. */
  isPausing: boolean;
  /** Writes so far, and how many of them are under way. */
  written: Promise<void>;
  writing: number;
}

/** Is this chunk what the offer said? */
export function isGenuine({ offer, count }: Transfer, chunk: number, data: Uint8Array): boolean {
  const last = offer.bytes - (count - 1) * LIMITS.snapshotChunkBytes;
  if (data.length !== (chunk === count - 1 ? last : LIMITS.snapshotChunkBytes)) return false;
  const expected = offer.hashes.subarray(chunk * HASH_BYTES, (chunk + 1) * HASH_BYTES);
  return Buffer.compare(hashOf(data), expected) === 0;
}

/** Equal for equal snapshots. */
export function keyOf({ index, term, configuration, bytes, hashes }: SnapshotOffer): string {
  const hash = createHash("sha256").update(`${index}/${term}/${bytes}/${configuration.length}/`);
  return hash.update(configuration).update(hashes).digest("hex");
}
