import { LIMITS, whenAborted } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Message } from "../types.ts";
import type { Arrival } from "./intake.ts";

interface Reader {
  /** For whom it reads, where its reads may end before the inbox does. */
  readonly owner: object | undefined;
  resolve(message: Message<unknown> | undefined): void;
}

/** What came and was not read yet, in one order for all producers of a consumer. Bounded by count and bytes: who fills it looks at `hasRoom` first. */
export class Inbox {
  readonly #maxQueued: number;
  readonly #onRoom: () => void;
  #arrivals: Arrival[] = [];
  /** Of `#arrivals`: those before it are read. */
  #head = 0;
  #bytes = 0;
  #isFilled = false;
  #isEnded = false;
  readonly #readers = new Set<Reader>();

  /** @param onRoom - after it was full, half of it is free */
  constructor(maxQueued: number, onRoom: () => void) {
    this.#maxQueued = maxQueued;
    this.#onRoom = onRoom;
  }

  get size(): number {
    return this.#arrivals.length - this.#head;
  }
  get hasRoom(): boolean {
    return this.size < this.#maxQueued && this.#bytes < LIMITS.streamQueuedBytesMax;
  }

  /** Of what one producer sent. */
  countOf(from: PeerId): number {
    let count = 0;
    for (let i = this.#head; i < this.#arrivals.length; i++) if (this.#arrivals[i]?.message.from === from) count++;
    return count;
  }

  push(arrival: Arrival): void {
    if (this.#isEnded) return;
    for (const reader of this.#readers) {
      this.#readers.delete(reader);
      return reader.resolve(arrival.message);
    }
    this.#arrivals.push(arrival);
    this.#bytes += arrival.bytes;
    if (!this.hasRoom) this.#isFilled = true;
  }

  /** The oldest, if there is one. */
  take(): Message<unknown> | undefined {
    const arrival = this.#arrivals[this.#head];
    if (arrival === undefined) return undefined;
    this.#arrivals[this.#head++] = undefined as unknown as Arrival;
    this.#bytes -= arrival.bytes;
    if (this.#head === this.#arrivals.length || this.#head > 4 * this.#maxQueued) {
      this.#arrivals = this.#arrivals.slice(this.#head);
      this.#head = 0;
    }
    if (this.#isFilled && this.size * 2 <= this.#maxQueued && this.#bytes * 2 <= LIMITS.streamQueuedBytesMax) {
      this.#isFilled = false;
      this.#onRoom();
    }
    return arrival.message;
  }

  /**
   * The oldest, or the next that comes; undefined: it ended, or the reads of this owner did.
   * @throws the reason of `signal`: nothing is taken then
   */
  read(signal: AbortSignal | undefined, owner?: object): Promise<Message<unknown> | undefined> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const message = this.take();
    if (message !== undefined || this.#isEnded) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      const reader: Reader = {
        owner,
        resolve: (next) => {
          endListening();
          resolve(next);
        },
      };
      const endListening = whenAborted(signal, (reason) => {
        this.#readers.delete(reader);
        reject(reason);
      });
      this.#readers.add(reader);
    });
  }

  /** Its reads that wait hear the end, and take nothing. */
  endReads(owner: object): void {
    for (const reader of this.#readers) {
      if (reader.owner !== owner) continue;
      this.#readers.delete(reader);
      reader.resolve(undefined);
    }
  }

  /** Drops what was not read; all readers hear the end. */
  end(): void {
    this.#isEnded = true;
    this.#arrivals = [];
    this.#head = 0;
    this.#bytes = 0;
    const readers = [...this.#readers];
    this.#readers.clear();
    for (const reader of readers) reader.resolve(undefined);
  }
}
