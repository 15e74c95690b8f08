import { assert } from "../env/index.ts";
import type { Entry, Index, MemberId, RaftOptions, SnapshotMark } from "./types.ts";

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
    return voters === undefined ? undefined : sorted(voters);
  }

  /** To be called for each appended entry. True if the voters changed. */
  onAppend(entry: Entry): boolean {
    const voters = this.read(entry);
    if (voters === undefined) return false;
    assert(entry.index > this.index, "configurations follow each other");
    this.#history.push({ index: entry.index, voters });
    return true;
  }

  /** Who votes at this place, which is not before the last `forgetBefore`. */
  votersAt(index: Index): readonly MemberId[] {
    return this.#history.findLast((established) => established.index <= index)?.voters ?? NOBODY;
  }

  /** Votes, or did before a change that is not known to be committed. */
  isNeeded(member: MemberId, commit: Index): boolean {
    const inForce = this.#history.findLastIndex((established) => established.index <= commit);
    return this.#history.some(({ voters }, at) => at >= inForce && voters.includes(member));
  }

  /** What was in force before this place will not be asked for. */
  forgetBefore(index: Index): void {
    const inForce = this.#history.findLastIndex((established) => established.index <= index);
    if (inForce > 0) this.#history.splice(0, inForce);
  }

  /** A snapshot takes the place of all entries. */
  restartAt({ index, voters }: SnapshotMark): void {
    this.#history.length = 0;
    if (voters.length > 0) this.#history.push({ index, voters: sorted(voters) });
  }

  onTruncate(from: Index): void {
    while (this.index >= from) this.#history.pop();
  }
}

function sorted(voters: readonly MemberId[]): readonly MemberId[] {
  return [...new Set(voters)].sort();
}

const NOBODY: readonly MemberId[] = Object.freeze([]);
