import type { PeerId } from "../../identity/index.ts";
import type { Term } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import type { Bond } from "../bonds/index.ts";

export interface SurroundingsOptions {
  readonly incarnation: IncarnationId;
  readonly bonds: () => readonly Bond[];
  /** Mostly not bonded with the leader. */
  readonly isObserver: boolean;
  /** Ours from a voter. */
  readonly distance: () => number;
}

interface Word {
  readonly leader: PeerId;
  readonly term: Term;
}

/** What the bonds of a member without a vote tell of its incarnation. */
export class Surroundings {
  readonly #o: SurroundingsOptions;

  constructor(options: SurroundingsOptions) {
    this.#o = options;
  }

  /** Who leads: by its own word, or, for an observer, by the word of those that it follows. */
  get hearsay(): Word | undefined {
    return this.#o.isObserver ? this.#fromNearer() : this.#fromLeader();
  }

  /** May it pull? Other than observers, members may be fed by a leader at any moment, so they wait until they see one. */
  get mayPull(): boolean {
    return this.#o.isObserver || this.#fromLeader() !== undefined;
  }

  #fromLeader(): Word | undefined {
    return this.#latest((bond) => bond.status.leader === bond.peer);
  }

  /** What those say who are no nearer to the voters, they may have from us. */
  #fromNearer(): Word | undefined {
    const own = this.#o.distance();
    return this.#latest(({ status }) => status.distance < own);
  }

  /** In the highest term. */
  #latest(counts: (bond: Bond) => boolean): Word | undefined {
    let best: Word | undefined;
    for (const bond of this.#o.bonds()) {
      const { incarnation, leader, term } = bond.status;
      if (incarnation !== this.#o.incarnation || leader === undefined || !counts(bond)) continue;
      if (best === undefined || term > best.term) best = { leader, term };
    }
    return best;
  }
}
