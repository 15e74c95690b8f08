import type { Link } from "../../wire/index.ts";
import type { Lagging } from "../types.ts";
import { bytesOf, type Chunk, countOver, countWithin, LENGTH_BYTES, onlyFirst, withoutFirst } from "./chunk.ts";
import type { ChunkBuffers } from "./chunk-buffers.ts";

/** What an outlet needs of its link. Who has the port calls `drained` when the link takes more, after it did not. */
export type Port = Pick<Link, "sendEncoded" | "sentBytes" | "queuedBytes">;

export interface QueueLimits {
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  readonly lagging: Lagging;
}

export interface OutletOptions extends QueueLimits {
  /** Those of its chunks. */
  readonly buffers: ChunkBuffers;
  /** The queue is full, and the policy is `disconnect`; once, and the outlet is over. */
  readonly onLagging: () => void;
}

/** A chunk that the link took. */
interface Leaving {
  readonly chunk: Chunk;
  /** It has left when as much has as this, of all that the link was given. */
  readonly sentBytes: number;
}

/**
 * One consumer at its producer: what waits for the link, in order, within bounds.
 *
 * Nothing waits while the link takes more. The bounds are on what waits then; a link holds some more by itself.
 */
export class Outlet {
  readonly #port: Port;
  readonly #o: OutletOptions;
  #chunks: Chunk[] = [];
  /** Oldest first. */
  #leaving: Leaving[] = [];
  #isReady = true;
  #isOver = false;
  queued = 0;
  queuedBytes = 0;
  /** Values that the link took, and their bytes, encoded. */
  items = 0;
  bytes = 0;
  /** Values that were left out. */
  missed = 0;

  constructor(port: Port, options: OutletOptions) {
    this.#port = port;
    this.#o = options;
  }

  /** Values that may still wait. */
  get room(): number {
    return Math.max(0, this.#o.maxQueued - this.queued);
  }
  /** Bytes of them. */
  get roomBytes(): number {
    return Math.max(0, this.#o.maxQueuedBytes - this.queuedBytes);
  }
  get isEmpty(): boolean {
    return this.#chunks.length === 0 && this.#isReady;
  }

  push(chunk: Chunk): void {
    if (this.#isOver) return this.#o.buffers.release(chunk);
    this.releaseLeft();
    if (this.#isReady) return this.#send(chunk);
    const bytes = bytesOf(chunk);
    // A queue that is empty takes one value, however large.
    const fits = chunk.count <= this.room && (bytes <= this.roomBytes || (this.queued === 0 && chunk.count === 1));
    if (fits || this.#o.lagging === "wait") this.#keep(chunk);
    else if (this.#o.lagging === "drop-newest") this.#keepBeginning(chunk);
    else if (this.#o.lagging === "drop-oldest") this.#keepEnd(chunk);
    else {
      this.missed += chunk.count;
      this.#o.buffers.release(chunk);
      this.end();
      this.#o.onLagging();
    }
  }

  /** The link takes more. True: something left. */
  drained(): boolean {
    this.#isReady = true;
    this.releaseLeft();
    let hasMoved = false;
    while (this.#isReady && this.#chunks.length > 0) {
      const chunk = this.#chunks.shift() as Chunk;
      this.queued -= chunk.count;
      this.queuedBytes -= bytesOf(chunk);
      this.#send(chunk);
      hasMoved = true;
    }
    return hasMoved;
  }

  /** Chunks that the link took, whose buffers are not known to be free. */
  get leaving(): number {
    return this.#leaving.length;
  }

  /** Buffers of what has left are free: also without anything new to send. */
  releaseLeft(): void {
    if (this.#leaving.length === 0) return;
    const leftBytes = this.#port.sentBytes - this.#port.queuedBytes;
    while (this.#leaving[0] !== undefined && this.#leaving[0].sentBytes <= leftBytes) {
      this.#o.buffers.release((this.#leaving.shift() as Leaving).chunk);
    }
  }

  /** Takes and gives nothing more. */
  end(): void {
    this.#isOver = true;
    this.missed += this.queued;
    for (const chunk of this.#chunks) this.#o.buffers.release(chunk);
    this.#chunks = [];
    // The link may still read them, and tells nobody when it has.
    this.#leaving = [];
    this.queued = 0;
    this.queuedBytes = 0;
  }

  #send(chunk: Chunk): void {
    this.items += chunk.count;
    this.bytes += bytesOf(chunk) - chunk.count * LENGTH_BYTES;
    this.#isReady = this.#port.sendEncoded(chunk.frame);
    if (this.#o.buffers.isReusable(chunk)) this.#leaving.push({ chunk, sentBytes: this.#port.sentBytes });
  }

  #keep(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.queued += chunk.count;
    this.queuedBytes += bytesOf(chunk);
  }

  #keepBeginning(chunk: Chunk): void {
    const count = Math.min(this.room, countWithin(chunk, this.roomBytes));
    const kept = onlyFirst(chunk, count);
    if (kept !== undefined) this.#keep(kept);
    if (kept !== chunk) this.#o.buffers.release(chunk);
    this.missed += chunk.count - (kept?.count ?? 0);
  }

  #keepEnd(chunk: Chunk): void {
    const { maxQueued, maxQueuedBytes } = this.#o;
    const tooMany = chunk.count - maxQueued;
    const tooLarge = countOver(chunk, bytesOf(chunk) - maxQueuedBytes);
    // The last one is kept, however large.
    const newest = withoutFirst(chunk, Math.min(chunk.count - 1, Math.max(tooMany, tooLarge))) as Chunk;
    const bytes = bytesOf(newest);
    if (newest !== chunk) this.#o.buffers.release(chunk);
    this.missed += chunk.count - newest.count;
    while (this.queued > 0 && (newest.count > this.room || bytes > this.roomBytes)) {
      this.#dropOldest(newest.count - this.room, this.queuedBytes + bytes - maxQueuedBytes);
    }
    this.#keep(newest);
  }

  /** Of the oldest chunk: so many values, and so many that they have these bytes, or all. */
  #dropOldest(count: number, bytes: number): void {
    const oldest = this.#chunks.shift() as Chunk;
    const rest = withoutFirst(oldest, Math.max(count, countOver(oldest, bytes)));
    if (rest !== undefined) this.#chunks.unshift(rest);
    if (rest !== oldest) this.#o.buffers.release(oldest);
    const dropped = oldest.count - (rest?.count ?? 0);
    this.missed += dropped;
    this.queued -= dropped;
    this.queuedBytes -= bytesOf(oldest) - (rest === undefined ? 0 : bytesOf(rest));
  }
}
