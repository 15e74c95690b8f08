import { Buffer } from "node:buffer";
import { LIMITS } from "../../env/index.ts";
import type { Chunk } from "./chunk.ts";

/** Room for all that is not a full chunk yet, and one more value up to the same length. */
const BUFFER_BYTES = 2 * LIMITS.streamChunkBytes;

/**
 * The buffers of a producer's full chunks, used again once the values in them have left.
 *
 * New ones would be garbage by the gigabyte, which waits in queues until it counts as old: an engine that collects it goes through its whole heap
 * every 40 ms, for a fourth of the processor (values of 64 KiB, Node 20). Smaller chunks have buffers of their own, which die young.
 */
export class ChunkBuffers {
  readonly #spares: Buffer[] = [];

  /** At least so many bytes, whatever they hold. */
  allocate(bytesMin: number): Buffer {
    if (bytesMin < LIMITS.streamChunkBytes || bytesMin > BUFFER_BYTES) return Buffer.allocUnsafeSlow(bytesMin);
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  }

  /** Its buffer is one of those that are used again. */
  isReusable({ frame }: Chunk): boolean {
    return frame.buffer.byteLength === BUFFER_BYTES;
  }

  /** One of those that had the chunk needs it no more. */
  release(chunk: Chunk): void {
    chunk.holders--;
    if (chunk.holders > 0 || !this.isReusable(chunk) || this.#spares.length >= LIMITS.streamSpareBuffersMax) return;
    this.#spares.push(Buffer.from(chunk.frame.buffer));
  }

  /** Forgets those that nobody uses now. */
  clear(): void {
    this.#spares.length = 0;
  }
}
