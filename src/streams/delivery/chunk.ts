import { LIMITS } from "../../env/index.ts";
import {
  type Allocate,
  ByteReader,
  ByteWriter,
  beginFrame,
  FRAME_HEADER_BYTES,
  finishFrame,
  varintBytes,
} from "../../wire/index.ts";
import { FRAME } from "../messages.ts";

/** Values that leave together: contiguous in their lane, never none. */
export interface Chunk {
  /** The sequence of the first value. */
  readonly first: number;
  readonly count: number;
  /** Encoded: `first`, then each value with its length before it. */
  readonly frame: Uint8Array;
  /** Outlets that need the frame. When none does, its buffer may be used again: see `ChunkBuffers.release`. */
  holders: number;
}

export const LENGTH_BYTES = 4;

/** What its values take. */
export function bytesOf(chunk: Chunk): number {
  return chunk.frame.length - offsetOf(chunk, 0);
}

/** The same without its first `count` values; undefined: none is left. */
export function withoutFirst(chunk: Chunk, count: number): Chunk | undefined {
  if (count <= 0) return chunk;
  if (count >= chunk.count) return undefined;
  return part(chunk, count, chunk.count);
}

/** Its first `count` values alone; undefined: that is none. */
export function onlyFirst(chunk: Chunk, count: number): Chunk | undefined {
  if (count <= 0) return undefined;
  if (count >= chunk.count) return chunk;
  return part(chunk, 0, count);
}

/** A copy of its values from..to, for one outlet. */
function part(chunk: Chunk, from: number, to: number): Chunk {
  const first = chunk.first + from;
  const start = offsetOf(chunk, from);
  const end = offsetOf(chunk, to);
  const writer = new ByteWriter(FRAME_HEADER_BYTES + varintBytes(first) + end - start);
  beginFrame(writer).varint(first).range(chunk.frame, start, end);
  return { first, count: to - from, frame: finishFrame(writer, FRAME.values), holders: 1 };
}

/** How many of the first values have at most so many bytes together. */
export function countWithin(chunk: Chunk, bytesMax: number): number {
  if (bytesOf(chunk) <= bytesMax) return chunk.count;
  // One more byte takes the value that is too much.
  return countOver(chunk, bytesMax + 1) - 1;
}

/** How many of the first values it takes for at least so many bytes; all, if they have less. */
export function countOver({ first, count, frame }: Chunk, bytes: number): number {
  const reader = new ByteReader(frame, FRAME_HEADER_BYTES + varintBytes(first));
  const end = reader.position + bytes;
  let over = 0;
  while (over < count && reader.position < end) {
    reader.skip(reader.u32());
    over++;
  }
  return over;
}

/** Where the value after `count` others begins. */
function offsetOf({ first, frame }: Chunk, count: number): number {
  const reader = new ByteReader(frame, FRAME_HEADER_BYTES + varintBytes(first));
  for (let i = 0; i < count; i++) reader.skip(reader.u32());
  return reader.position;
}

/** Gathers values to a chunk. */
export class ChunkWriter {
  readonly #writer: ByteWriter;
  #first = 1;
  count = 0;

  constructor(allocate: Allocate) {
    this.#writer = new ByteWriter(4 * 1024, allocate);
  }

  /** The sequence of the next value. */
  get next(): number {
    return this.#first + this.count;
  }
  get bytes(): number {
    return this.#writer.length;
  }
  get isFull(): boolean {
    return this.#writer.length >= LIMITS.streamChunkBytes;
  }

  /** Encodes a value at the end. Its bytes lie from the returned place to the end of what is written. @throws what `write` throws: nothing is added */
  add<In>(write: (writer: ByteWriter, value: In) => void, value: In): number {
    const writer = this.#writer;
    this.#begin();
    const start = writer.length;
    try {
      write(writer.u32(0), value);
    } catch (cause) {
      writer.truncate(this.count === 0 ? 0 : start);
      throw cause;
    }
    writer.patchU32(start, writer.length - start - LENGTH_BYTES);
    this.count++;
    return start;
  }

  /** Adds the value that another one got last. */
  copyLast(other: ChunkWriter, start: number): void {
    this.#begin();
    const bytes = other.#writer.view();
    this.#writer.range(bytes, start, bytes.length);
    this.count++;
  }

  /** What was gathered, if anything was, for so many outlets; begins anew. */
  take(holders: number): Chunk | undefined {
    const { count } = this;
    if (count === 0) return undefined;
    const chunk = { first: this.#first, count, frame: finishFrame(this.#writer, FRAME.values), holders };
    this.#first += count;
    this.count = 0;
    return chunk;
  }

  /** Values that nobody is there for are counted, and not kept. */
  skip(): void {
    this.#first++;
  }

  #begin(): void {
    if (this.count === 0) beginFrame(this.#writer).varint(this.#first);
  }
}
