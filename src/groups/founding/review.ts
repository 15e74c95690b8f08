import type { Life, LifeContext } from "../life/index.ts";
import { haveOthersLeft, isGone, isSucceeded, type Seen, shouldSetAside } from "./founding.ts";

/** A provisional incarnation that does not open, or has no leader, is given up after this; so is one that was begun anew elsewhere. */
const ABANDON_AFTER_MS = 10_000;

interface ReviewOptions {
  readonly context: LifeContext;
  readonly expect: number | undefined;
  readonly self: () => Seen;
  readonly others: () => readonly Seen[];
}

/** Whether a life leads nowhere, and since when it looks so. */
export class Review {
  readonly #o: ReviewOptions;
  #boundUs = 0;
  #leaderSeenUs = 0;

  constructor(options: ReviewOptions) {
    this.#o = options;
  }

  /** A life begins. */
  begin(): void {
    this.#boundUs = this.#nowUs();
    this.#leaderSeenUs = this.#boundUs;
  }

  noteLeader(): void {
    this.#leaderSeenUs = this.#nowUs();
  }

  get isLeaderlessForLong(): boolean {
    return this.#nowUs() - this.#leaderSeenUs > ABANDON_AFTER_MS * 1_000;
  }

  /** Why the store of this life is to be set aside; undefined: it is not. */
  verdictOn(life: Life): string | undefined {
    if (this.#hasSuccessor(life)) return "its group was begun anew from a log that holds all of it";
    if (this.#isGone(life)) return "nothing is left of the incarnation that this observer followed";
    if (life.role !== "voter") return undefined;
    if (life.isOpen) return this.#isLeft(life) ? "its other voters left before it held a command" : undefined;
    return this.#isStuck(life) ? "it did not open in time" : undefined;
  }

  /** Whoever is missing may be late, and a majority may elect a leader yet. */
  #hasSuccessor(life: Life): boolean {
    if (life.seesQuorum || !this.isLeaderlessForLong) return false;
    const own = this.#o.self().status;
    return this.#o.others().some(({ status }) => status.isOpen && isSucceeded(own, status));
  }

  #isGone(life: Life): boolean {
    const { isObserver, timing } = this.#o.context;
    if (!isObserver || life.role === "voter") return false;
    const isLeaderless = this.#nowUs() - this.#leaderSeenUs > timing.removeDeadAfterMs * 1_000;
    return isLeaderless && isGone(this.#o.self().status, this.#o.others());
  }

  /** An open store goes only if nothing was ever asked of it, and all its fellow voters gave it up. */
  #isLeft(life: Life): boolean {
    return life.voters.length > 1 && !life.hasCommands && haveOthersLeft(life, this.#o.others());
  }

  /** Of a provisional incarnation. */
  #isStuck(life: Life): boolean {
    const sinceUs = life.isLeader ? this.#boundUs : this.#leaderSeenUs;
    return shouldSetAside({
      incarnation: life.incarnation,
      voters: life.voters,
      expect: this.#o.expect ?? life.voters.length,
      self: this.#o.self(),
      others: this.#o.others(),
      isLeader: life.isLeader,
      hasLeader: life.leader !== undefined,
      isPatienceOver: this.#nowUs() - sinceUs > ABANDON_AFTER_MS * 1_000,
    });
  }

  #nowUs(): number {
    return this.#o.context.env.clock.monotonicUs();
  }
}
