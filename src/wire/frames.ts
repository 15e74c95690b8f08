import { Buffer } from "node:buffer";
import { assert, LIMITS } from "../env/index.ts";
import { DecodeError } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { CLOSE } from "./types.ts";

/** The layout of frames, in each of them. Another one is refused with `versionMismatch`. */
export const FRAME_VERSION = 1;
/** u32 length of what follows (big-endian), u8 version, u8 kind. */
export const FRAME_HEADER_BYTES = 6;
/** Version and kind, which the length counts. */
const COUNTED_BYTES = 2;

/** The link's own kinds; those of protocols begin at `first`. */
export const KIND = { hello: 0, close: 1, ping: 2, pong: 3, first: 16 } as const;

export interface Frame {
  readonly kind: number;
  /** A view into what was received: copy what is kept for long. Its bytes are nobody else's; a short one may share its `ArrayBuffer`, by the pool of `Buffer`. */
  readonly payload: Uint8Array;
}

/** Writes the six bytes that come before a payload. */
export function writeFrameHeader(target: Uint8Array, offset: number, kind: number, payloadBytes: number): void {
  const length = payloadBytes + COUNTED_BYTES;
  target[offset] = length >>> 24;
  target[offset + 1] = length >>> 16;
  target[offset + 2] = length >>> 8;
  target[offset + 3] = length;
  target[offset + 4] = FRAME_VERSION;
  target[offset + 5] = kind;
}

const HEADER_TO_COME = new Uint8Array(FRAME_HEADER_BYTES);

/** Begins a frame; what is written then is its payload, until `finishFrame`. */
export function beginFrame(writer: ByteWriter): ByteWriter {
  return writer.fixed(HEADER_TO_COME);
}

/** The frame as one buffer, the caller's own; the writer is empty again. */
export function finishFrame(writer: ByteWriter, kind: number): Uint8Array {
  const frame = writer.finish();
  writeFrameHeader(frame, 0, kind, frame.length - FRAME_HEADER_BYTES);
  return frame;
}

/** One frame as one buffer. Links batch instead (`FrameBatch`). */
export function encodeFrame(kind: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(bytes, 0, kind, payload.length);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** Payloads and encoded frames up to here are copied into the batch; larger ones leave as they are. */
const COPIED_BYTES_MAX = 16 * 1024;

/** In place of a kind: what is to be sent is a whole frame. */
const ENCODED = -1;

/** Frames that wait for the end of the turn, to leave together. */
export class FrameBatch {
  #kinds: number[] = [];
  /** Or whole frames. */
  #payloads: Uint8Array[] = [];
  #bytes = 0;

  /** Headers included. */
  get bytes(): number {
    return this.#bytes;
  }

  add(kind: number, payload: Uint8Array): void {
    this.#kinds.push(kind);
    this.#payloads.push(payload);
    this.#bytes += FRAME_HEADER_BYTES + payload.length;
  }

  /** @param frame - of `encodeFrame` or `finishFrame` */
  addEncoded(frame: Uint8Array): void {
    this.#kinds.push(ENCODED);
    this.#payloads.push(frame);
    this.#bytes += frame.length;
  }

  /** Empties the batch into as few buffers as can be had without copying large payloads. Small frames alone make one. */
  take(): Uint8Array[] {
    const kinds = this.#kinds;
    const payloads = this.#payloads;
    this.#kinds = [];
    this.#payloads = [];
    this.#bytes = 0;

    // One alone, as it is when little is sent: already a buffer.
    if (payloads.length === 1 && kinds[0] === ENCODED) return payloads;
    const buffers: Uint8Array[] = [];
    for (let next = 0; next < payloads.length; ) {
      const from = next;
      let size = 0;
      let large: Uint8Array | undefined;
      while (next < payloads.length && large === undefined) {
        const payload = payloads[next] as Uint8Array;
        size += headerBytesOf(kinds[next++] as number);
        if (payload.length > COPIED_BYTES_MAX) large = payload;
        else size += payload.length;
      }
      if (size > 0) buffers.push(concatenate(kinds, payloads, from, next, size));
      if (large !== undefined) buffers.push(large);
    }
    return buffers;
  }
}

function headerBytesOf(kind: number): number {
  return kind === ENCODED ? 0 : FRAME_HEADER_BYTES;
}

/** Headers and small payloads of the frames in [from, to). */
function concatenate(
  kinds: readonly number[],
  payloads: readonly Uint8Array[],
  from: number,
  to: number,
  size: number,
): Uint8Array {
  const target = Buffer.allocUnsafe(size);
  let offset = 0;
  for (let index = from; index < to; index += 1) {
    const payload = payloads[index] as Uint8Array;
    const kind = kinds[index] as number;
    if (kind !== ENCODED) writeFrameHeader(target, offset, kind, payload.length);
    offset += headerBytesOf(kind);
    if (payload.length > COPIED_BYTES_MAX) continue;
    target.set(payload, offset);
    offset += payload.length;
  }
  return target;
}

/** How far the buffer of a partial frame is ahead of what came. TLS gives 16 KiB at a time, so what begins a frame of 64 KiB is not moved again. */
const PARTIAL_GROWTH = 8;
/** Of a frame whose header has not come. */
const UNKNOWN = Number.POSITIVE_INFINITY;

/**
 * Finds the frames in a sequence of chunks, however it is cut. No I/O: `push` what came, then call `next` until it has nothing more.
 *
 * Memory: what was pushed and not yet read, and at most eight times the received bytes of one partial frame. A length is compared with its
 * limit before anything is allocated for it.
 */
export class FrameDecoder {
  /** Limit of a protocol's payload; the link's own frames have theirs (`LIMITS.helloBytesMax`). May change between frames. */
  payloadBytesMax: number;
  /** Chunks that were not looked at yet, after the one in hand. */
  #waiting: Uint8Array[] = [];
  #chunk: Uint8Array | undefined;
  #offset = 0;
  /** The beginning of a frame whose end has not come. */
  #partial: Uint8Array | undefined;
  #partialBytes = 0;

  readonly #areChunksLent: boolean;
  /** The chunk in hand is valid until `keep` alone. */
  #isLent = false;

  /** @param areChunksLent - each is valid until the next call of `keep`, and no longer */
  constructor(payloadBytesMax: number, areChunksLent = false) {
    assert(payloadBytesMax >= 0 && payloadBytesMax < 0x7fffffff, "a frame limit");
    this.payloadBytesMax = payloadBytesMax;
    this.#areChunksLent = areChunksLent;
  }

  /** True if bytes wait that `next` would look at, or a frame has begun. */
  get hasBytes(): boolean {
    return this.#chunk !== undefined || this.#waiting.length > 0 || this.#partialBytes > 0;
  }

  /** The chunk is the decoder's own from now on, or lent. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.#chunk !== undefined) {
      this.#waiting.push(this.#areChunksLent ? Buffer.from(chunk) : chunk);
      return;
    }
    this.#setChunk(chunk);
    this.#isLent = this.#areChunksLent;
  }

  /** What was lent goes back: what is left of it is copied. Frames are never parts of what was lent. */
  keep(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    if (this.#chunk !== undefined) this.#setChunk(Buffer.from(this.#chunk.subarray(this.#offset)));
  }

  /**
   * The next complete frame, or undefined: more bytes are needed.
   *
   * @throws DecodeError too long, or of an unknown version. The stream cannot be followed any further.
   */
  next(): Frame | undefined {
    while (this.#chunk !== undefined) {
      const frame = this.#partialBytes > 0 ? this.#continuePartial(this.#chunk) : this.#readWhole(this.#chunk);
      if (frame !== undefined) return frame;
    }
    return undefined;
  }

  /** Forgets everything. */
  clear(): void {
    this.#waiting = [];
    this.#chunk = undefined;
    this.#partial = undefined;
    this.#partialBytes = 0;
  }

  /** The common case: the frame lies in one chunk and is not copied. */
  #readWhole(chunk: Uint8Array): Frame | undefined {
    const start = this.#offset;
    const left = chunk.length - start;
    const size = left < FRAME_HEADER_BYTES ? UNKNOWN : this.#frameBytes(chunk, start);
    if (left < size) {
      this.#keep(chunk, start, left, size);
      this.#nextChunk();
      return undefined;
    }
    if (this.#isLent) {
      this.keep();
      return this.#readWhole(this.#chunk as Uint8Array);
    }
    this.#advance(chunk, size);
    return viewFrame(chunk, start, size);
  }

  #continuePartial(chunk: Uint8Array): Frame | undefined {
    if (this.#partialBytes < FRAME_HEADER_BYTES) {
      this.#append(chunk, FRAME_HEADER_BYTES);
      if (this.#partialBytes < FRAME_HEADER_BYTES) return undefined;
    }
    const size = this.#frameBytes(this.#partial as Uint8Array, 0);
    if (this.#chunk !== undefined) this.#append(this.#chunk, size);
    if (this.#partialBytes < size) return undefined;

    const whole = this.#partial as Uint8Array;
    this.#partial = undefined;
    this.#partialBytes = 0;
    return viewFrame(whole, 0, size);
  }

  /** Header and payload, in bytes. */
  #frameBytes(bytes: Uint8Array, at: number): number {
    const length =
      (bytes[at] as number) * 0x1000000 +
      (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
    const version = bytes[at + 4] as number;
    if (version !== FRAME_VERSION) {
      throw new DecodeError(`frame version ${version}`, { closeCode: CLOSE.versionMismatch });
    }
    const payloadBytes = length - COUNTED_BYTES;
    const bytesMax = (bytes[at + 5] as number) < KIND.first ? LIMITS.helloBytesMax : this.payloadBytesMax;
    if (payloadBytes < 0) throw new DecodeError("a frame without a kind");
    if (payloadBytes > bytesMax) throw new DecodeError(`a frame of ${payloadBytes} bytes, above ${bytesMax}`);
    return FRAME_HEADER_BYTES + payloadBytes;
  }

  /** Moves bytes from the chunk to the partial frame until that has `size`. */
  #append(chunk: Uint8Array, size: number): void {
    const taken = Math.min(size - this.#partialBytes, chunk.length - this.#offset);
    this.#keep(chunk, this.#offset, taken, size);
    this.#advance(chunk, taken);
  }

  /** The buffer grows with what really came, so a length that was only announced costs nothing. */
  #keep(chunk: Uint8Array, start: number, length: number, size: number): void {
    const needed = this.#partialBytes + length;
    if (this.#partial === undefined || this.#partial.length < needed) {
      const ahead = size === UNKNOWN ? FRAME_HEADER_BYTES : needed * PARTIAL_GROWTH;
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(size, ahead)));
      if (this.#partial !== undefined) larger.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = larger;
    }
    this.#partial.set(chunk.subarray(start, start + length), this.#partialBytes);
    this.#partialBytes = needed;
  }

  #advance(chunk: Uint8Array, bytes: number): void {
    this.#offset += bytes;
    if (this.#offset >= chunk.length) this.#nextChunk();
  }

  #nextChunk(): void {
    this.#chunk = undefined;
    this.#isLent = false;
    const chunk = this.#waiting.shift();
    if (chunk !== undefined) this.#setChunk(chunk);
  }

  #setChunk(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#offset = 0;
  }
}

/** A frame of `encodeFrame` or `finishFrame`, apart again. */
export function viewEncoded(frame: Uint8Array): Frame {
  return viewFrame(frame, 0, frame.length);
}

function viewFrame(bytes: Uint8Array, start: number, size: number): Frame {
  const from = bytes.byteOffset + start;
  return {
    kind: bytes[start + 5] as number,
    payload: new Uint8Array(bytes.buffer, from + FRAME_HEADER_BYTES, size - FRAME_HEADER_BYTES),
  };
}
