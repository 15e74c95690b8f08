import { assert } from "../../env/index.ts";
import type { Index, Term } from "../../raft/index.ts";

/** Where an entry lies. `position` 0: not in a file yet. */
export interface EntryPlace {
  readonly segment: number;
  readonly position: number;
  /** Of its data. */
  readonly dataBytes: number;
}

/** From `first` on, up to the next run, all have `value`. */
interface Run {
  readonly first: Index;
  readonly value: number;
}

const CAPACITY_MIN = 64;

/**
 * Where each kept entry lies, in eight bytes. Terms and segments come in runs, since both only ever grow along a log. Entries
 * are appended first, and placed once their bytes are in a file.
 */
export class EntryIndex {
  /** Slot 0 is for the entry after this. */
  #base: Index;
  #count = 0;
  /** Slots of pruned entries, before the first live one. */
  #dead = 0;
  #positions = new Uint32Array(CAPACITY_MIN);
  #dataBytes = new Uint32Array(CAPACITY_MIN);
  #terms: Run[] = [];
  #segments: Run[] = [];

  constructor(base: Index) {
    this.#base = base;
  }

  /** Entries after this one are kept. */
  get base(): Index {
    return this.#base;
  }
  get end(): Index {
    return this.#base + this.#count;
  }

  append(index: Index, term: Term, dataBytes: number): void {
    assert(index === this.end + 1, "the index has no gap");
    const slot = this.#dead + this.#count;
    if (slot === this.#positions.length) this.#grow();
    const at = this.#dead + this.#count++;
    this.#positions[at] = 0;
    this.#dataBytes[at] = dataBytes;
    if (this.#terms.at(-1)?.value !== term) this.#terms.push({ first: index, value: term });
  }

  /** Entries are placed in their order. */
  place(index: Index, segment: number, position: number): void {
    this.#positions[this.#slot(index)] = position;
    if (this.#segments.at(-1)?.value !== segment) this.#segments.push({ first: index, value: segment });
  }

  locate(index: Index): EntryPlace | undefined {
    if (index <= this.#base || index > this.end) return undefined;
    const slot = this.#slot(index);
    const position = this.#positions[slot] ?? 0;
    const segment = position === 0 ? 0 : (find(this.#segments, index) ?? 0);
    return { segment, position, dataBytes: this.#dataBytes[slot] ?? 0 };
  }

  termAt(index: Index): Term | undefined {
    return index <= this.#base || index > this.end ? undefined : find(this.#terms, index);
  }

  /** The lowest segment that a kept entry lies in. */
  get firstSegment(): number | undefined {
    return this.#segments[0]?.value;
  }

  truncate(from: Index): void {
    if (from > this.end) return;
    if (from <= this.#base) {
      this.#base = from - 1;
      this.#count = 0;
    } else this.#count = from - 1 - this.#base;
    while ((this.#terms.at(-1)?.first ?? 0) >= from) this.#terms.pop();
    while ((this.#segments.at(-1)?.first ?? 0) >= from) this.#segments.pop();
    if (this.#count === 0) this.#clear();
  }

  prune(upTo: Index): void {
    if (upTo <= this.#base) return;
    assert(upTo <= this.end, "only what is there is pruned");
    this.#dead += upTo - this.#base;
    this.#count -= upTo - this.#base;
    this.#base = upTo;
    dropBefore(this.#terms, upTo + 1);
    dropBefore(this.#segments, upTo + 1);
    if (this.#count === 0) this.#clear();
  }

  /** Runs that begin at or before the base are of entries that went. */
  #clear(): void {
    this.#terms = [];
    this.#segments = [];
    this.#dead = 0;
  }

  #slot(index: Index): number {
    return this.#dead + index - this.#base - 1;
  }

  /** Makes room: of the dead slots, if they are many, else by doubling. */
  #grow(): void {
    const isRoomy = this.#dead * 2 > this.#positions.length;
    const capacity = isRoomy ? this.#positions.length : this.#positions.length * 2;
    this.#positions = moved(this.#positions, this.#dead, capacity);
    this.#dataBytes = moved(this.#dataBytes, this.#dead, capacity);
    this.#dead = 0;
  }
}

function moved(old: Uint32Array, from: number, capacity: number): Uint32Array<ArrayBuffer> {
  const next = new Uint32Array(capacity);
  next.set(old.subarray(from));
  return next;
}

/** The value at `index`: of the last run that begins at or before it. */
function find(runs: readonly Run[], index: Index): number | undefined {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.first ?? 0) <= index) low = middle + 1;
    else high = middle;
  }
  return runs[low - 1]?.value;
}

/** Removes runs that end before `index`. */
function dropBefore(runs: Run[], index: Index): void {
  let count = 0;
  while (count + 1 < runs.length && (runs[count + 1]?.first ?? 0) <= index) count++;
  runs.splice(0, count);
}
