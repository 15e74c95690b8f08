import { LIMITS } from "../env/index.ts";
import type { UniqueId } from "../identity/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../wire/index.ts";

/** One link a consumer and producer. The consumer dials. */
export const STREAM_PROTOCOL = "mosaik/stream/1";

/** From the producer. A consumer sends none. */
export const FRAME = {
  /** The consumer is in: which lane it is on, and the next sequence there. First, and once. */
  accept: 16,
  /** Values, contiguous: the first one's sequence (varint), then each with its length before it (u32). */
  values: 17,
} as const;

/** What a consumer says first. */
export interface Opening {
  readonly stream: UniqueId;
  /** Names the bytes of its values. */
  readonly codec: string;
  /** Encoded; undefined: it wants all. */
  readonly criteria: Uint8Array | undefined;
}

export function encodeOpening({ stream, codec, criteria }: Opening): Uint8Array {
  const writer = new ByteWriter(128)
    .id(stream)
    .text(codec)
    .bool(criteria !== undefined);
  if (criteria !== undefined) writer.bytes(criteria);
  return writer.finish();
}

/** @throws DecodeError */
export function decodeOpening(bytes: Uint8Array): Opening {
  const reader = new ByteReader(bytes);
  const stream = reader.id();
  const codec = reader.text(LIMITS.nameBytesMax);
  const criteria = reader.bool() ? reader.bytesCopy(LIMITS.streamCriteriaBytesMax) : undefined;
  reader.end();
  return { stream, codec, criteria };
}

/** Where a consumer stands among the values that fit its criteria. */
export interface Accept {
  /** Drawn by the producer for these criteria: as long as it is the same, sequences go on. 32 hex digits. */
  readonly lane: string;
  /** Of the next value. From 1. */
  readonly next: number;
}

const LANE_BYTES = 16;

export function encodeAccept({ lane, next }: Accept): Uint8Array {
  return new ByteWriter(32).fixed(Buffer.from(lane, "hex")).varint(next).finish();
}

/** @throws DecodeError */
export function decodeAccept(bytes: Uint8Array): Accept {
  const reader = new ByteReader(bytes);
  const lane = Buffer.from(reader.fixed(LANE_BYTES)).toString("hex");
  const next = reader.varint();
  reader.end();
  if (next === 0) throw new DecodeError("sequences begin at 1");
  return { lane, next };
}
