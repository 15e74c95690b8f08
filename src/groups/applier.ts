import type { Scope } from "../env/index.ts";
import type { Entry, Index } from "../raft/index.ts";
import type { Replica } from "./replica.ts";

/** Entries and commands applied in one go, before the rest of the program gets its turn. */
const SLICE = 2_048;

/** Feeds committed entries to the replica, in order, in slices. */
export class Applier {
  readonly #replica: Replica;
  readonly #scope: Scope;
  readonly #onApplied: (entry: Entry) => void;
  readonly #onProgress: () => void;
  #queue: Entry[] = [];
  #next = 0;
  #isScheduled = false;

  constructor(options: { replica: Replica; scope: Scope; onApplied: (entry: Entry) => void; onProgress: () => void }) {
    this.#replica = options.replica;
    this.#scope = options.scope;
    this.#onApplied = options.onApplied;
    this.#onProgress = options.onProgress;
  }

  /** The last entry that was handed over, applied or not. */
  get last(): Index {
    return this.#queue.at(-1)?.index ?? this.#replica.index;
  }

  /** @param entries - contiguous, the next ones in the log */
  push(entries: readonly Entry[]): void {
    for (const entry of entries) this.#queue.push(entry);
    if (!this.#isScheduled) this.#run();
  }

  #run(): void {
    this.#isScheduled = false;
    const start = this.#next;
    const position = this.#replica.position;
    for (; this.#next < this.#queue.length; this.#next++) {
      if (this.#next - start + this.#replica.position - position >= SLICE) break;
      const entry = this.#queue[this.#next] as Entry;
      this.#replica.apply(entry);
      this.#onApplied(entry);
    }
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    } else {
      this.#isScheduled = true;
      this.#scope.after(0, () => this.#run());
    }
    this.#onProgress();
  }
}
