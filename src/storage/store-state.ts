import { assert, LIMITS } from "../env/index.ts";
import type { Entry, HardState, Index, LogPosition } from "../raft/index.ts";
import type { HeldSnapshot } from "./chunked-bytes.ts";
import type { IncarnationId, StorageWrite, StoreId } from "./types.ts";

/** Before the log: index 0 of term 0. */
const NOWHERE: LogPosition = { index: 0, term: 0 };

/**
 * What one store holds, without a word about durability: the part that every driver shares. All changes are checked, since a gap in a
 * log, or a second incarnation, is a bug of the caller that no disk should keep.
 */
export class StoreState {
  readonly storeId: StoreId;
  #incarnation: IncarnationId | undefined;
  #hardState: HardState = { term: 0, votedFor: undefined };
  #snapshot: HeldSnapshot | undefined;
  #openingIds: readonly string[] = [];
  #openingCount = 0;
  /** The last index that is pruned, or that the snapshot covers, with its term. */
  #boundary = NOWHERE;
  /** Contiguous from `#boundary.index + 1`. */
  #entries: Entry[] = [];

  constructor(storeId: StoreId) {
    this.storeId = storeId;
  }

  get incarnation(): IncarnationId | undefined {
    return this.#incarnation;
  }
  get hardState(): HardState {
    return this.#hardState;
  }
  get snapshot(): HeldSnapshot | undefined {
    return this.#snapshot;
  }
  get openingIds(): readonly string[] {
    return this.#openingIds;
  }
  get openingCount(): number {
    return this.#openingCount;
  }
  get last(): LogPosition {
    const last = this.#entries.at(-1);
    return last === undefined ? this.#boundary : { index: last.index, term: last.term };
  }
  get available(): { readonly start: Index; readonly end: Index } {
    return { start: this.#boundary.index, end: this.last.index };
  }

  clone(): StoreState {
    const copy = new StoreState(this.storeId);
    copy.#incarnation = this.#incarnation;
    copy.#hardState = this.#hardState;
    copy.#snapshot = this.#snapshot;
    copy.#openingIds = this.#openingIds;
    copy.#openingCount = this.#openingCount;
    copy.#boundary = this.#boundary;
    copy.#entries = [...this.#entries];
    return copy;
  }

  get(index: Index): Entry | undefined {
    return this.#entries[index - this.#boundary.index - 1];
  }

  getRange(from: Index, to: Index): readonly Entry[] {
    const first = this.#boundary.index + 1;
    return this.#entries.slice(Math.max(0, from - first), Math.max(0, to - first + 1));
  }

  termAt(index: Index): number | undefined {
    if (index === 0) return 0;
    return index === this.#boundary.index ? this.#boundary.term : this.get(index)?.term;
  }

  write(change: StorageWrite): void {
    if (change.incarnation !== undefined) {
      const isNew = this.#incarnation === undefined || this.#incarnation === change.incarnation;
      assert(isNew, "a store belongs to one incarnation, ever");
      this.#incarnation = change.incarnation;
    }
    if (change.hardState !== undefined) this.#hardState = change.hardState;
    if (change.truncateFrom !== undefined) this.truncate(change.truncateFrom);
    for (const entry of change.entries ?? []) {
      assert(entry.index === this.last.index + 1, `entry ${entry.index} follows ${this.last.index}`);
      this.#entries.push(entry);
    }
  }

  truncate(from: Index): void {
    this.#entries.length = Math.min(this.#entries.length, Math.max(0, from - this.#boundary.index - 1));
  }

  prunePrefix(upTo: Index): void {
    const index = Math.min(upTo, this.last.index);
    if (index <= this.#boundary.index) return;
    const term = this.termAt(index);
    assert(term !== undefined, "a kept entry has a term");
    this.#entries = this.#entries.slice(index - this.#boundary.index);
    this.#boundary = { index, term };
  }

  noteOpening(id: string): void {
    this.#openingIds = [...this.#openingIds, id].slice(-LIMITS.openingIdsMax);
    this.#openingCount++;
  }

  saveSnapshot(snapshot: HeldSnapshot): void {
    if (snapshot.index <= (this.#snapshot?.index ?? 0)) return;
    assert(snapshot.index <= this.last.index, "a snapshot is of a state that the log led to");
    this.#snapshot = snapshot;
  }

  /** @internal For who rebuilds a state from what a driver shows. */
  replaceSnapshot(snapshot: HeldSnapshot | undefined): void {
    this.#snapshot = snapshot;
  }

  resetTo(snapshot: HeldSnapshot, whose: StorageWrite = {}): void {
    this.write(whose);
    this.#snapshot = snapshot;
    this.#boundary = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
  }
}
