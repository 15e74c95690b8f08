import type { Lagging } from "../types.ts";
import { bytesOf, type Chunk, countOver, countWithin, LENGTH_BYTES, onlyFirst, withoutFirst } from "./chunk.ts";

/** What an outlet needs of its link. */
export interface Port {
  /** Takes a frame of values. False: taken, and no more before `drained`. */
  send(frame: Uint8Array): boolean;
}

export interface QueueLimits {
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  readonly lagging: Lagging;
}

/**
 * One consumer at its producer: what waits for the link, in order, within bounds.
 *
 * Nothing waits while the link takes more. The bounds are on what waits then; a link holds some more by itself.
 */
export class Outlet {
  readonly #port: Port;
  readonly #limits: QueueLimits;
  readonly #onLagging: () => void;
  #chunks: Chunk[] = [];
  #isReady = true;
  #isOver = false;
  queued = 0;
  queuedBytes = 0;
  /** Values that the link took, and their bytes, encoded. */
  items = 0;
  bytes = 0;
  /** Values that were left out. */
  missed = 0;

  /** @param onLagging - the queue is full, and the policy is `disconnect`; once, and the outlet is over */
  constructor(port: Port, limits: QueueLimits, onLagging: () => void) {
    this.#port = port;
    this.#limits = limits;
    this.#onLagging = onLagging;
  }

  /** Values that may still wait. */
  get room(): number {
    return Math.max(0, this.#limits.maxQueued - this.queued);
  }
  /** Bytes of them. */
  get roomBytes(): number {
    return Math.max(0, this.#limits.maxQueuedBytes - this.queuedBytes);
  }
  get isEmpty(): boolean {
    return this.#chunks.length === 0 && this.#isReady;
  }

  push(chunk: Chunk): void {
    if (this.#isOver) return;
    if (this.#isReady) return this.#send(chunk);
    const bytes = bytesOf(chunk);
    // A queue that is empty takes one value, however large.
    const fits = chunk.count <= this.room && (bytes <= this.roomBytes || (this.queued === 0 && chunk.count === 1));
    if (fits || this.#limits.lagging === "wait") this.#keep(chunk);
    else if (this.#limits.lagging === "drop-newest") this.#keepBeginning(chunk);
    else if (this.#limits.lagging === "drop-oldest") this.#keepEnd(chunk);
    else {
      this.missed += chunk.count;
      this.end();
      this.#onLagging();
    }
  }

  /** The link takes more. True: something left. */
  drained(): boolean {
    this.#isReady = true;
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

  /** Takes and gives nothing more. */
  end(): void {
    this.#isOver = true;
    this.missed += this.queued;
    this.#chunks = [];
    this.queued = 0;
    this.queuedBytes = 0;
  }

  #send(chunk: Chunk): void {
    this.items += chunk.count;
    this.bytes += bytesOf(chunk) - chunk.count * LENGTH_BYTES;
    this.#isReady = this.#port.send(chunk.frame);
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
    this.missed += chunk.count - (kept?.count ?? 0);
  }

  #keepEnd(chunk: Chunk): void {
    const { maxQueued, maxQueuedBytes } = this.#limits;
    const tooMany = chunk.count - maxQueued;
    const tooLarge = countOver(chunk, bytesOf(chunk) - maxQueuedBytes);
    // The last one is kept, however large.
    const newest = withoutFirst(chunk, Math.min(chunk.count - 1, Math.max(tooMany, tooLarge))) as Chunk;
    const bytes = bytesOf(newest);
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
    const dropped = oldest.count - (rest?.count ?? 0);
    this.missed += dropped;
    this.queued -= dropped;
    this.queuedBytes -= bytesOf(oldest) - (rest === undefined ? 0 : bytesOf(rest));
  }
}
