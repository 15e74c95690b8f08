import { assert } from "../env/index.ts";
import type { Entry, Index, LogPosition, Term } from "./types.ts";

/** What an entry costs on the wire besides its data; counted so that many empty entries do not pass for nothing. */
export const ENTRY_OVERHEAD_BYTES = 32;

export function bytesOf(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + entry.data.length;
}

/** True if a log that ends at `a` is less up to date than one that ends at `b` (Raft paper, section 5.4.1). */
export function isBehind(a: LogPosition, b: LogPosition): boolean {
  return a.term !== b.term ? a.term < b.term : a.index < b.index;
}

/**
 * The log in memory: contiguous entries after `base`, which is 0/0, or the last entry that a snapshot covers.
 *
 * Terms never fall along the log, so places are found by bisection. Ranges are handed out as arrays that nobody changes; the same
 * range asked for twice in a row (disk, then each follower) is the same array.
 */
export class Log {
  #base: LogPosition;
  #entries: Entry[];
  #recent: { from: Index; to: Index; entries: readonly Entry[] } | undefined;

  constructor(base: LogPosition, entries: readonly Entry[]) {
    this.#base = { index: base.index, term: base.term };
    this.#entries = [];
    for (const entry of entries) this.append(entry);
  }

  /** The place before the first entry. */
  get base(): LogPosition {
    return this.#base;
  }

  get lastIndex(): Index {
    return this.#base.index + this.#entries.length;
  }

  get lastTerm(): Term {
    return this.#entries[this.#entries.length - 1]?.term ?? this.#base.term;
  }

  get last(): LogPosition {
    return { index: this.lastIndex, term: this.lastTerm };
  }

  at(index: Index): Entry | undefined {
    return this.#entries[index - this.#base.index - 1];
  }

  /** Undefined before `base` and beyond the end. */
  termAt(index: Index): Term | undefined {
    return index === this.#base.index ? this.#base.term : this.at(index)?.term;
  }

  has(position: LogPosition): boolean {
    return this.termAt(position.index) === position.term;
  }

  positionAt(index: Index): LogPosition {
    const term = this.termAt(index);
    assert(term !== undefined, `index ${index} is in the log`);
    return { index, term };
  }

  /** The last place whose index and term are both not above `limit`'s: where two logs may agree at the latest. */
  lastNotAbove(limit: LogPosition): LogPosition {
    let low = 0; // entries before `low` have a term that is low enough
    let high = Math.max(0, Math.min(limit.index, this.lastIndex) - this.#base.index);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      if (entry !== undefined && entry.term <= limit.term) low = middle + 1;
      else high = middle;
    }
    return this.positionAt(this.#base.index + low);
  }

  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, `entry ${entry.index} follows entry ${this.lastIndex}`);
    assert(entry.term >= this.lastTerm, `term ${entry.term} of entry ${entry.index} is not below its predecessor's`);
    this.#entries.push(entry);
  }

  /** Removes the entries from `index` on. */
  truncateFrom(index: Index): void {
    assert(index > this.#base.index, `truncation at ${index} keeps what the snapshot covers`);
    if (index > this.lastIndex) return;
    this.#entries.length = index - this.#base.index - 1;
    this.#recent = undefined;
  }

  /** Forgets the entries up to `index`, which is in the log. */
  dropUpTo(index: Index): void {
    const base = this.positionAt(index);
    this.#entries = this.#entries.slice(index - this.#base.index);
    this.#base = base;
    this.#recent = undefined;
  }

  /** Forgets everything; goes on after `base`. */
  restartAt({ index, term }: LogPosition): void {
    this.#base = { index, term };
    this.#entries = [];
    this.#recent = undefined;
  }

  /** Entries from..to, both included and both in the log. */
  range(from: Index, to: Index): readonly Entry[] {
    if (from > to) return NO_ENTRIES;
    assert(from > this.#base.index && to <= this.lastIndex, `range ${from}..${to} is in the log`);
    if (this.#recent === undefined || this.#recent.from !== from || this.#recent.to !== to) {
      const start = from - this.#base.index - 1;
      this.#recent = { from, to, entries: this.#entries.slice(start, start + to - from + 1) };
    }
    return this.#recent.entries;
  }

  /** As `range`, but ends early: by count, or with the entry that reaches `bytesMax`. At least one entry if there is one. */
  batch(from: Index, to: Index, limits: { entriesMax: number; bytesMax: number }): readonly Entry[] {
    const end = Math.min(to, this.lastIndex, from + limits.entriesMax - 1);
    let bytes = 0;
    let index = from;
    while (index <= end && bytes < limits.bytesMax) {
      const entry = this.at(index);
      assert(entry !== undefined, `entry ${index} is in the log`);
      bytes += bytesOf(entry);
      index++;
    }
    return this.range(from, index - 1);
  }
}

const NO_ENTRIES: readonly Entry[] = Object.freeze([]);
