import type { Scope } from "../../env/index.ts";
import type { Entry, Index, SnapshotMark } from "../../raft/index.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaState } from "./snapshot-format.ts";
import type { Snapshotter } from "./snapshotter.ts";

/** Entries and commands applied in one go, before the rest of the program gets its turn. */
const SLICE = 2_048;

/** Feeds committed entries to the replica, in order, in slices. Waits while a snapshot is read. */
export class Applier {
  readonly #replica: Replica;
  readonly #scope: Scope;
  readonly #onApplied: (entry: Entry) => void;
  readonly #onProgress: () => void;
  readonly #snapshotter: Snapshotter;
  #isPaused = false;
  #isRunning = false;
  #queue: Entry[] = [];
  #next = 0;
  #isScheduled = false;
  #isStopped = false;

  constructor(options: {
    replica: Replica;
    scope: Scope;
    snapshotter: Snapshotter;
    onApplied: (entry: Entry) => void;
    onProgress: () => void;
  }) {
    this.#snapshotter = options.snapshotter;
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
    if (this.#isStopped) return;
    for (const entry of entries) this.#queue.push(entry);
    if (!this.#isScheduled && !this.#isPaused) this.#run();
  }

  /** Replaces the state: what was to be applied is part of it. */
  restore(place: SnapshotMark, state: ReplicaState): void {
    this.#snapshotter.cancel();
    this.#isPaused = false;
    this.#queue = [];
    this.#next = 0;
    this.#replica.restore(place, state);
    this.#onProgress();
  }

  /** Nothing is applied or told from now on: another state may have taken the place of this one. */
  stop(): void {
    this.#isStopped = true;
    this.#queue = [];
    this.#next = 0;
  }

  #run(): void {
    this.#isScheduled = false;
    if (this.#isStopped) return;
    this.#isRunning = true;
    const start = this.#next;
    const position = this.#replica.position;
    for (; this.#next < this.#queue.length; this.#next++) {
      if (this.#next - start + this.#replica.position - position >= SLICE) break;
      const entry = this.#queue[this.#next] as Entry;
      this.#replica.apply(entry);
      this.#onApplied(entry);
      if (this.#snapshotter.isDue(entry)) this.#snapshot(entry);
      if (!this.#isPaused) continue;
      this.#next++;
      break;
    }
    this.#isRunning = false;
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    } else if (!this.#isPaused) {
      this.#isScheduled = true;
      this.#scope.after(0, () => this.#run());
    }
    this.#onProgress();
  }

  /** A small state is read at once. */
  #snapshot(entry: Entry): void {
    this.#isPaused = true;
    this.#snapshotter.take(entry, () => {
      this.#isPaused = false;
      if (!this.#isRunning && !this.#isScheduled) this.#run();
    });
  }
}
