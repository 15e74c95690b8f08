import { assert } from "../env/index.ts";
import type { Log } from "./log.ts";
import type { HardState, Index, Persist, SnapshotMark } from "./types.ts";

/**
 * What has been handed to the disk, and what of it is known to be there.
 *
 * A member promises nothing that a crash could take back: its own entries count for commit, and its own vote for an election, only
 * once the write that holds them was reported as durable.
 */
export class Durability {
  #hard: HardState;
  #isHardDirty = false;
  /** The last write that has a hard state, and the last whose hard state is known to be durable. */
  #hardWriteId = 0;
  #hardDurableId = 0;
  /** All entries up to here are in some write, and the log was not truncated below it since. */
  #handed: Index;
  #truncateFrom: Index | undefined;
  /** Replaces the log on disk, with the next write. */
  #snapshot: SnapshotMark | undefined;
  #durable: Index;
  #lastWriteId = 0;
  readonly #pending: { readonly writeId: number; upTo: Index }[] = [];

  constructor(hardState: HardState, lastIndex: Index) {
    this.#hard = hardState;
    this.#handed = lastIndex;
    this.#durable = lastIndex;
  }

  get hardState(): HardState {
    return this.#hard;
  }

  set hardState(next: HardState) {
    assert(next.term >= this.#hard.term, "terms never go back");
    this.#hard = next;
    this.#isHardDirty = true;
  }

  /** The current term and vote would survive a crash. */
  get isHardStateDurable(): boolean {
    return !this.#isHardDirty && this.#hardDurableId >= this.#hardWriteId;
  }

  /** Entries up to here would survive a crash, and are those of the log as it is now. */
  get durableIndex(): Index {
    return this.#durable;
  }

  /** Nothing is on its way to the disk. */
  get isIdle(): boolean {
    return this.#pending.length === 0;
  }

  onTruncate(from: Index): void {
    if (from <= this.#handed) {
      this.#truncateFrom = Math.min(this.#truncateFrom ?? from, from);
      this.#handed = from - 1;
    }
    this.#durable = Math.min(this.#durable, from - 1);
    for (const write of this.#pending) write.upTo = Math.min(write.upTo, from - 1);
  }

  /**
   * A snapshot replaced the log. Until that is on disk a crash gives the old log back, which is equal up to what was committed.
   *
   * @param commit - before the snapshot
   */
  onSnapshot(snapshot: SnapshotMark, commit: Index): void {
    this.onTruncate(commit + 1);
    this.#truncateFrom = undefined;
    this.#snapshot = snapshot;
    this.#handed = snapshot.index;
  }

  /** The hard state of this write is durable, whatever becomes of its entries: they may have to wait for room. */
  onHardStatePersisted(writeId: number): void {
    assert(writeId <= this.#lastWriteId, `write ${writeId} was asked for`);
    this.#hardDurableId = Math.max(this.#hardDurableId, writeId);
  }

  onPersisted(writeId: number): void {
    this.onHardStatePersisted(writeId);
    while (this.#pending[0] !== undefined && this.#pending[0].writeId <= writeId) {
      this.#durable = Math.max(this.#durable, this.#pending[0].upTo);
      this.#pending.shift();
    }
  }

  /** The one write of this step, if there is something to write. */
  take(log: Log): Persist | undefined {
    const { lastIndex } = log;
    const isLogDirty = this.#snapshot !== undefined || this.#truncateFrom !== undefined || this.#handed !== lastIndex;
    if (!this.#isHardDirty && !isLogDirty) return undefined;
    const writeId = ++this.#lastWriteId;
    const persist: Persist = {
      writeId,
      hardState: this.#isHardDirty ? this.#hard : undefined,
      snapshot: this.#snapshot,
      truncateFrom: this.#truncateFrom,
      entries: log.range(this.#handed + 1, lastIndex),
    };
    if (this.#isHardDirty) this.#hardWriteId = writeId;
    this.#isHardDirty = false;
    this.#snapshot = undefined;
    this.#truncateFrom = undefined;
    this.#handed = lastIndex;
    this.#push({ writeId, upTo: lastIndex });
    return persist;
  }

  /** A write that makes no entry durable need not be remembered once another one comes: terms come and go while entries wait for room. */
  #push(write: { readonly writeId: number; upTo: Index }): void {
    const pending = this.#pending;
    const last = pending[pending.length - 1];
    if (last !== undefined && last.upTo <= (pending[pending.length - 2]?.upTo ?? this.#durable)) pending.pop();
    pending.push(write);
  }
}
