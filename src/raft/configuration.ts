import { assert } from "../env/index.ts";
import type { Entry, Index, MemberId, RaftOptions } from "./types.ts";

interface Established {
  readonly index: Index;
  /** Sorted, each once. */
  readonly voters: readonly MemberId[];
}

/**
 * Who votes: what the latest configuration entry in the log says, committed or not (Ongaro's thesis, section 4.1). A truncation that
 * removes it brings its predecessor back.
 */
export class Configuration {
  readonly #votersOf: RaftOptions["votersOf"];
  readonly #history: Established[] = [];

  constructor(votersOf: RaftOptions["votersOf"]) {
    this.#votersOf = votersOf;
  }

  get voters(): readonly MemberId[] {
    return this.#history[this.#history.length - 1]?.voters ?? NOBODY;
  }

  /** Index of the entry that established them; 0: none did. */
  get index(): Index {
    return this.#history[this.#history.length - 1]?.index ?? 0;
  }

  /** The voters that an entry would establish. */
  read(entry: Entry): readonly MemberId[] | undefined {
    const voters = this.#votersOf(entry);
    return voters === undefined ? undefined : [...new Set(voters)].sort();
  }

  /** To be called for each appended entry. True if the voters changed. */
  onAppend(entry: Entry): boolean {
    const voters = this.read(entry);
    if (voters === undefined) return false;
    assert(entry.index > this.index, "configurations follow each other");
    this.#history.push({ index: entry.index, voters });
    return true;
  }

  onTruncate(from: Index): void {
    while (this.index >= from) this.#history.pop();
  }
}

const NOBODY: readonly MemberId[] = Object.freeze([]);
