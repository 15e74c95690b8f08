import { LIMITS } from "../../env/index.ts";
import { ByteReader, ByteWriter, varintBytes } from "../../wire/index.ts";

/** Values that leave together: contiguous in their lane, never none. */
export interface Chunk {
  /** The sequence of the first value. */
  readonly first: number;
  readonly count: number;
  /** The payload of a frame: `first`, then each value with its length before it. */
  readonly payload: Uint8Array;
}

export const LENGTH_BYTES = 4;

/** What its values take. */
export function bytesOf({ first, payload }: Chunk): number {
  return payload.length - varintBytes(first);
}

/** The same without its first `count` values; undefined: none is left. */
export function withoutFirst(chunk: Chunk, count: number): Chunk | undefined {
  if (count <= 0) return chunk;
  if (count >= chunk.count) return undefined;
  const first = chunk.first + count;
  const payload = new ByteWriter(chunk.payload.length)
    .varint(first)
    .range(chunk.payload, offsetOf(chunk, count), chunk.payload.length)
    .finish();
  return { first, count: chunk.count - count, payload };
}

/** Its first `count` values alone; undefined: that is none. */
export function onlyFirst(chunk: Chunk, count: number): Chunk | undefined {
  if (count <= 0) return undefined;
  if (count >= chunk.count) return chunk;
  return { first: chunk.first, count, payload: chunk.payload.subarray(0, offsetOf(chunk, count)) };
}

/** How many of the first values have at most so many bytes together. */
export function countWithin(chunk: Chunk, bytesMax: number): number {
  if (bytesOf(chunk) <= bytesMax) return chunk.count;
  const start = varintBytes(chunk.first);
  let count = 0;
  while (count < chunk.count && offsetOf(chunk, count + 1) - start <= bytesMax) count++;
  return count;
}

/** Where the value after `count` others begins. */
function offsetOf({ first, payload }: Chunk, count: number): number {
  const reader = new ByteReader(payload, varintBytes(first));
  for (let i = 0; i < count; i++) reader.skip(reader.u32());
  return reader.position;
}

/** Gathers values to a chunk. */
export class ChunkWriter {
  readonly #writer = new ByteWriter(4 * 1024);
  #first = 1;
  count = 0;

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
    if (this.count === 0) writer.varint(this.#first);
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
    if (this.count === 0) this.#writer.varint(this.#first);
    const bytes = other.#writer.view();
    this.#writer.range(bytes, start, bytes.length);
    this.count++;
  }

  /** What was gathered, if anything was; begins anew. */
  take(): Chunk | undefined {
    const { count } = this;
    if (count === 0) return undefined;
    const chunk = { first: this.#first, count, payload: this.#writer.finish() };
    this.#first += count;
    this.count = 0;
    return chunk;
  }

  /** Values that nobody is there for are counted, and not kept. */
  skip(): void {
    this.#first++;
  }
}
