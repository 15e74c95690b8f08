import { LIMITS } from "../../env/index.ts";
import { bytesOf, type NumberedBatch } from "../entries/index.ts";
import type { SessionIndex } from "../sessions/index.ts";

/** Bytes that a session gives before the next one has its turn: one entry. */
const QUANTUM_BYTES = LIMITS.runBytesMax;
/** Above half of the room a session is taken only while it holds less than this part of it. */
const SMALL_SHARE = 64;

interface Waiting {
  readonly batches: NumberedBatch[];
  bytes: number;
}

/**
 * What a leader took and did not append yet, by session; the numbers of each in a row.
 *
 * Fair between sessions: each gives a run in turn, so that what one member floods does not stand before another's few commands; and the upper
 * half of the room is for those who hold little. Bounded by count and bytes.
 */
export class RequestQueue {
  /** By turn: whoever gave goes to the end. */
  readonly #waiting = new Map<SessionIndex, Waiting>();
  #count = 0;
  #bytes = 0;

  get count(): number {
    return this.#count;
  }
  get bytes(): number {
    return this.#bytes;
  }

  has(session: SessionIndex): boolean {
    return this.#waiting.has(session);
  }

  /** The number of the last batch that waits; undefined if none does. */
  lastOf(session: SessionIndex): number | undefined {
    return this.#waiting.get(session)?.batches.at(-1)?.number;
  }

  /** False: there is no room. */
  push(session: SessionIndex, batch: NumberedBatch): boolean {
    let waiting = this.#waiting.get(session);
    if (!this.#hasRoom(waiting)) return false;
    if (waiting === undefined) {
      waiting = { batches: [], bytes: 0 };
      this.#waiting.set(session, waiting);
    }
    const bytes = bytesOf(batch);
    waiting.batches.push(batch);
    waiting.bytes += bytes;
    this.#count++;
    this.#bytes += bytes;
    return true;
  }

  clear(): void {
    this.#waiting.clear();
    this.#count = 0;
    this.#bytes = 0;
  }

  /** About so many bytes, a run of each session in turn. */
  take(bytesMax: number): { readonly session: SessionIndex; readonly batches: readonly NumberedBatch[] }[] {
    const taken: { session: SessionIndex; batches: readonly NumberedBatch[] }[] = [];
    for (let left = bytesMax; left > 0 && this.#count > 0; ) {
      const [session, waiting] = this.#waiting.entries().next().value as [SessionIndex, Waiting];
      this.#waiting.delete(session);
      const { batches, bytes } = this.#runOf(waiting);
      if (waiting.batches.length > 0) this.#waiting.set(session, waiting);
      taken.push({ session, batches });
      this.#count -= batches.length;
      this.#bytes -= bytes;
      left -= bytes;
    }
    return taken;
  }

  #runOf(waiting: Waiting): { readonly batches: readonly NumberedBatch[]; readonly bytes: number } {
    let bytes = 0;
    let count = 0;
    while (count < waiting.batches.length && bytes < QUANTUM_BYTES && count < LIMITS.runBatchesMax) {
      bytes += bytesOf(waiting.batches[count] as NumberedBatch);
      count++;
    }
    waiting.bytes -= bytes;
    return { batches: waiting.batches.splice(0, count), bytes };
  }

  #hasRoom(waiting: Waiting | undefined): boolean {
    const { leaderRequestsMax, leaderRequestBytesMax } = LIMITS;
    if (this.#count >= leaderRequestsMax || this.#bytes >= leaderRequestBytesMax) return false;
    if (this.#count * 2 < leaderRequestsMax && this.#bytes * 2 < leaderRequestBytesMax) return true;
    const { batches = [], bytes = 0 } = waiting ?? {};
    return batches.length * SMALL_SHARE < leaderRequestsMax && bytes * SMALL_SHARE < leaderRequestBytesMax;
  }
}
