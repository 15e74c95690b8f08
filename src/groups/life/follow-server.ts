import { LIMITS } from "../../env/index.ts";
import type { Entry, Index, Raft } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import type { Bond, BondFrame } from "../bonds/index.ts";

/** Who has not asked for so long pulls from somebody else. */
const GONE_AFTER_US = 3_000_000;

/** A member's log, as those see it who follow. */
export interface CommittedLog {
  readonly commit: Index;
  /** Entries up to here are no longer in it. */
  readonly begin: Index;
  /** What the snapshot covers that stands for them. */
  readonly snapshot: Index;
  /** The term of entry `index`; undefined beyond the end. */
  termAt(index: Index): number | undefined;
  /** Entries after `after`, up to the commit index, about `bytesMax`; none beyond it. */
  read(after: Index, bytesMax: number): readonly Entry[];
}

/** A member's own. */
export function committedLogOf(raft: Raft): CommittedLog {
  return {
    get commit() {
      return raft.commit;
    },
    get begin() {
      return raft.base.index;
    },
    get snapshot() {
      return raft.snapshot?.index ?? 0;
    },
    termAt: (index) => raft.termAt(index),
    read: (after, bytesMax) => {
      const upTo = Math.min(raft.commit, after + LIMITS.appendEntriesMax);
      return raft.entriesFrom(after + 1, upTo, bytesMax);
    },
  };
}

export interface FollowServerOptions {
  readonly incarnation: IncarnationId;
  readonly log: CommittedLog;
  readonly nowUs: () => number;
  /** How many may pull from here now, voters not counted: a leader has other work. */
  readonly pullersMax: () => number;
}

/** Answers members that follow: what is committed, as soon as it is. One question of each is open at a time. */
export class FollowServer {
  readonly #o: FollowServerOptions;
  readonly #waiting = new Map<Bond, BondFrame & { type: "fetch" }>();
  /** Who has a place here, and when it last asked. */
  readonly #pullers = new Map<Bond, number>();

  constructor(options: FollowServerOptions) {
    this.#o = options;
  }

  /** Who pulls from here, voters not counted. */
  get pullers(): number {
    return this.#pullers.size;
  }

  onFetch(bond: Bond, question: BondFrame & { type: "fetch" }): void {
    const { incarnation } = this.#o;
    if (question.incarnation !== incarnation || bond.status.incarnation !== incarnation) return;
    if (bond.status.role !== "voter" && !this.#hasPlace(bond)) {
      this.#waiting.delete(bond);
      bond.send({ type: "fetch-refused", incarnation });
      return;
    }
    this.#waiting.set(bond, question);
    this.#answer(bond, question);
  }

  onBondDown(bond: Bond): void {
    this.#waiting.delete(bond);
    this.#pullers.delete(bond);
  }

  /** It reads again. */
  onDrain(bond: Bond): void {
    const question = this.#waiting.get(bond);
    if (question !== undefined) this.#answer(bond, question);
  }

  /** The commit index grew. */
  onCommit(): void {
    for (const [bond, question] of [...this.#waiting]) this.#answer(bond, question);
  }

  /** Whoever has one keeps it, unless there are too many by now: a leader was a follower before. */
  #hasPlace(bond: Bond): boolean {
    const nowUs = this.#o.nowUs();
    const max = this.#o.pullersMax();
    this.#pullers.delete(bond);
    if (this.#pullers.size >= max) {
      for (const [other, askedUs] of this.#pullers) if (nowUs - askedUs > GONE_AFTER_US) this.#pullers.delete(other);
    }
    if (this.#pullers.size >= max) return false;
    this.#pullers.set(bond, nowUs);
    return true;
  }

  #answer(bond: Bond, { after, commit }: BondFrame & { type: "fetch" }): void {
    const { log, incarnation } = this.#o;
    // Who does not read what it asked for gets no more of it until it does.
    if (log.commit <= commit || bond.isSlow) return;
    if (after.index < log.begin) {
      this.#waiting.delete(bond);
      bond.send({ type: "log-begins", incarnation, index: log.snapshot });
      return;
    }
    // A place that is not in our log: we are behind, or it is of no committed history. Silence sends it elsewhere.
    if (log.termAt(after.index) !== after.term) return;
    this.#waiting.delete(bond);
    const entries = log.read(after.index, LIMITS.appendBytesMax);
    bond.send({ type: "entries", incarnation, prev: after, entries, commit: log.commit });
  }
}
