import { LIMITS } from "../../env/index.ts";
import { SEGMENT_HEAD_BYTES } from "./frames.ts";
import { CHECKPOINT_BYTES_MAX } from "./records.ts";

/** Around each record, at most: a frame's head and what aligns the next one. */
export const FRAME_OVERHEAD_BYTES = 32;
/** What a segment begins with, at most. */
const OPENING_BYTES = SEGMENT_HEAD_BYTES + CHECKPOINT_BYTES_MAX + FRAME_OVERHEAD_BYTES;

/** How large segments are. The first has `bytesMin`, each other twice the one before it, up to `bytesMax`. */
export interface SegmentSizes {
  readonly bytesMin: number;
  readonly bytesMax: number;
  /** At the end of each, for what is not an entry, while the file system is full. */
  readonly reserveBytes: number;
}

export const USUAL_SIZES: SegmentSizes = {
  bytesMin: LIMITS.segmentBytesMin,
  bytesMax: LIMITS.segmentBytesMax,
  reserveBytes: LIMITS.segmentReserveBytes,
};

/** `here`: goes to the segment that the one before it goes to. `next`: to the next one, first of all. */
export type Verdict = "here" | "next" | "wait" | "refuse";

/**
 * Who may write how much, and to which segment. A change is let in only if all its bytes have a place in blocks that the file system has
 * given already, so a change that was let in never fails for want of room.
 *
 * States of the next segment: absent (changes that need it wait), ready, in use (changes were promised to it, and the log moves on to it
 * once those before them are written), full (the file system had no room for it: changes with entries are refused, others may use
 * the reserve at the end of the segment). Pure.
 */
export class Room {
  readonly #sizes: SegmentSizes;
  #tail: { bytes: number; used: number };
  #next: { bytes: number; used: number } | undefined;
  #isNextInUse = false;
  /** The last try to get a next segment failed. */
  isFull = false;

  constructor(sizes: SegmentSizes, bytes: number, position: number) {
    this.#sizes = sizes;
    this.#tail = { bytes, used: position };
  }

  /** Nothing is known of a next segment, and half of this one is used. */
  get wantsNext(): boolean {
    return this.#next === undefined && !this.isFull && this.#tail.used * 2 > this.#tail.bytes;
  }
  get isNextInUse(): boolean {
    return this.#isNextInUse;
  }
  /** Bytes that the next segment should have, if a change of `cost` is to go first into it. */
  nextBytes(cost: number): number {
    const { bytesMin, bytesMax, reserveBytes } = this.#sizes;
    const usual = Math.min(bytesMax, Math.max(bytesMin, this.#tail.bytes * 2));
    const needed = OPENING_BYTES + cost + reserveBytes;
    return Math.max(usual, Math.ceil(needed / reserveBytes) * reserveBytes);
  }

  /** @param cost - at most what it takes, frames included */
  admit(cost: number, hasEntries: boolean): Verdict {
    const here = this.#isNextInUse && this.#next !== undefined ? this.#next : this.#tail;
    if (this.#fits(here, cost)) {
      here.used += cost;
      return "here";
    }
    if (!this.#isNextInUse && this.#next !== undefined && this.#fits(this.#next, cost)) {
      this.#next.used += cost;
      this.#isNextInUse = true;
      return "next";
    }
    if (!this.isFull) return "wait";
    if (hasEntries || here.used + cost > here.bytes) return "refuse";
    here.used += cost;
    return "here";
  }

  /** Changes of `cost` were written, and took `bytes`. */
  onWritten(cost: number, bytes: number): void {
    this.#tail.used -= cost - bytes;
  }

  onNextReady(bytes: number): void {
    this.#next = { bytes, used: OPENING_BYTES };
    this.isFull = false;
  }
  /** The next segment is about to be made, or made anew. */
  forgetNext(): void {
    this.#next = undefined;
  }

  /** The log goes on in the next segment, of which `position` bytes are written. */
  onRotated(position: number): void {
    const { bytes, used } = this.#next ?? this.#tail;
    this.#tail = { bytes, used: used - OPENING_BYTES + position };
    this.#next = undefined;
    this.#isNextInUse = false;
  }

  #fits({ bytes, used }: { readonly bytes: number; readonly used: number }, cost: number): boolean {
    return used + cost <= bytes - this.#sizes.reserveBytes;
  }
}
