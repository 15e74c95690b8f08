import { assert } from "../../env/index.ts";
import type { Entry, HardState, Index, LogPosition, Term } from "../../raft/index.ts";
import type { SnapshotHead, StorageWrite } from "../types.ts";
import { EntryIndex, type EntryPlace } from "./entry-index.ts";
import { afterRecord, type LogRecord, type Marks, type SnapshotRef } from "./records.ts";

/** A change that makes sense after all before it. */
export interface PlannedChange {
  /** None: nothing changes. */
  readonly records: readonly LogRecord[];
  /** A snapshot that nobody needs once this is durable. */
  readonly obsolete?: SnapshotRef | undefined;
  readonly snapshot?: SnapshotHead;
}

/**
 * What the store shows: all changes that were let in, durable or not. Entries that are not in a file yet are kept here.
 * Plans change nothing; whatever the caller asks for that makes no sense is found there.
 */
export class StoreView {
  #marks: Marks;
  #index: EntryIndex;
  #snapshot: SnapshotHead | undefined;
  readonly #pending = new Map<Index, Entry>();

  constructor(marks: Marks, index: EntryIndex = new EntryIndex(0), snapshot?: SnapshotHead) {
    this.#marks = marks;
    this.#index = index;
    this.#snapshot = snapshot;
  }

  get marks(): Marks {
    return this.#marks;
  }
  get snapshot(): SnapshotHead | undefined {
    return this.#snapshot;
  }

  termAt(index: Index): Term | undefined {
    if (index === 0) return 0;
    const { boundary } = this.#marks;
    return index === boundary.index ? boundary.term : this.#index.termAt(index);
  }

  /** An entry that is not in a file yet, or where it lies. */
  find(index: Index): { readonly entry: Entry } | { readonly place: EntryPlace } | undefined {
    const entry = this.#pending.get(index);
    if (entry !== undefined) return { entry };
    const place = this.#index.locate(index);
    return place && { place };
  }

  planWrite(change: StorageWrite): PlannedChange {
    const { incarnation, hardState, truncateFrom, entries } = change;
    const records: LogRecord[] = [];
    if (incarnation !== undefined && incarnation !== this.#marks.incarnation) {
      assert(this.#marks.incarnation === undefined, "a store belongs to one incarnation, ever");
      records.push({ type: "incarnation", incarnation });
    }
    if (hardState !== undefined && !isSame(hardState, this.#marks.hardState)) {
      records.push({ type: "hard-state", hardState });
    }
    let { last } = this.#marks;
    if (truncateFrom !== undefined && truncateFrom <= last.index) {
      const kept = this.#positionOf(Math.max(truncateFrom - 1, this.#marks.boundary.index));
      if (kept.index < last.index) records.push({ type: "truncate", last: kept });
      last = kept;
    }
    if (entries !== undefined && entries.length > 0) {
      for (const [i, { index }] of entries.entries()) {
        assert(index === last.index + 1 + i, `entry ${index} follows ${last.index + i}`);
      }
      records.push({ type: "entries", entries });
    }
    return { records };
  }

  planPrune(upTo: Index): PlannedChange {
    const index = Math.min(upTo, this.#marks.last.index);
    if (index <= this.#marks.boundary.index) return { records: [] };
    return { records: [{ type: "prune", boundary: this.#positionOf(index) }] };
  }

  planSave(snapshot: SnapshotRef, head: SnapshotHead): PlannedChange {
    const old = this.#marks.snapshot;
    if (snapshot.index <= (old?.index ?? 0)) return { records: [], obsolete: snapshot };
    assert(snapshot.index <= this.#marks.last.index, "a snapshot is of a state that the log led to");
    return { records: [{ type: "snapshot", snapshot }], obsolete: old, snapshot: head };
  }

  planReset(snapshot: SnapshotRef, head: SnapshotHead, whose: StorageWrite = {}): PlannedChange {
    const { records } = this.planWrite(whose);
    return { records: [...records, { type: "reset", snapshot }], obsolete: this.#marks.snapshot, snapshot: head };
  }

  /** @returns the lowest segment that is needed from now on; undefined if that is as before */
  apply({ records, snapshot }: PlannedChange, tail: number): number | undefined {
    let hasRemoved = false;
    for (const record of records) {
      if (record.type === "entries") {
        this.#append(record.entries);
        continue;
      }
      const before = this.#marks;
      this.#marks = afterRecord(before, record);
      if (record.type === "truncate") this.#forget(record.last.index + 1, before.last.index);
      if (record.type === "prune") this.#forget(before.boundary.index + 1, record.boundary.index);
      if (record.type === "truncate") this.#index.truncate(record.last.index + 1);
      if (record.type === "prune") this.#index.prune(record.boundary.index);
      if (record.type === "reset") this.#reset(record.snapshot.index);
      hasRemoved ||= record.type === "truncate" || record.type === "prune" || record.type === "reset";
    }
    if (snapshot !== undefined) this.#snapshot = snapshot;
    return hasRemoved ? (this.#index.firstSegment ?? tail) : undefined;
  }

  /** The entry is in a file now. Without effect if it was removed, or replaced, meanwhile. */
  place(entry: Entry, segment: number, position: number): void {
    if (this.#pending.get(entry.index) !== entry) return;
    this.#pending.delete(entry.index);
    this.#index.place(entry.index, segment, position);
  }

  #append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#index.append(entry.index, entry.term, entry.data.length);
      this.#pending.set(entry.index, entry);
    }
    const { index, term } = entries.at(-1) ?? this.#marks.last;
    this.#marks = { ...this.#marks, last: { index, term } };
  }

  #reset(index: Index): void {
    this.#pending.clear();
    this.#index = new EntryIndex(index);
  }

  #forget(from: Index, to: Index): void {
    if (this.#pending.size === 0) return;
    for (let index = from; index <= to; index++) this.#pending.delete(index);
  }

  #positionOf(index: Index): LogPosition {
    const term = this.termAt(index);
    assert(term !== undefined, "a kept entry has a term");
    return { index, term };
  }
}

function isSame(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.votedFor === b.votedFor;
}
