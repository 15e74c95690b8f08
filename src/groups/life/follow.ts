import { type Env, LIMITS, type Scope, type Timer } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Entry, Index, LogPosition, Raft } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import type { Bond, BondFrame } from "../bonds/index.ts";

/** A provider that has no news for so long is left for another: it may be cut off without knowing. */
const ASK_ANOTHER_AFTER_MS = 1_000;

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

/** Answers members that follow: what is committed, as soon as it is. One question of each is open at a time. */
export class FollowServer {
  readonly #incarnation: IncarnationId;
  readonly #log: CommittedLog;
  readonly #waiting = new Map<Bond, BondFrame & { type: "fetch" }>();

  constructor(incarnation: IncarnationId, log: CommittedLog) {
    this.#incarnation = incarnation;
    this.#log = log;
  }

  onFetch(bond: Bond, question: BondFrame & { type: "fetch" }): void {
    if (question.incarnation !== this.#incarnation || bond.status.incarnation !== this.#incarnation) return;
    this.#waiting.set(bond, question);
    this.#answer(bond, question);
  }

  onBondDown(bond: Bond): void {
    this.#waiting.delete(bond);
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

  #answer(bond: Bond, { after, commit }: BondFrame & { type: "fetch" }): void {
    const log = this.#log;
    // Who does not read what it asked for gets no more of it until it does.
    if (log.commit <= commit || bond.isSlow) return;
    if (after.index < log.begin) {
      this.#waiting.delete(bond);
      bond.send({ type: "log-begins", incarnation: this.#incarnation, index: log.snapshot });
      return;
    }
    // A place that is not in our log: we are behind, or it is of no committed history. Silence sends it elsewhere.
    if (log.termAt(after.index) !== after.term) return;
    this.#waiting.delete(bond);
    const entries = log.read(after.index, LIMITS.appendBytesMax);
    bond.send({ type: "entries", incarnation: this.#incarnation, prev: after, entries, commit: log.commit });
  }
}

export interface PullerOptions {
  readonly env: Env;
  readonly scope: Scope;
  readonly incarnation: IncarnationId;
  readonly bonds: () => readonly Bond[];
  readonly leader: () => PeerId | undefined;
  /** Where our log ends, and how far it is known to be committed. */
  readonly last: () => LogPosition;
  readonly committed: () => LogPosition;
  /** Whoever was asked has a snapshot up to here instead of what comes next. */
  readonly onSnapshotNeeded: (index: Index) => void;
  readonly onLearnt: (prev: LogPosition, entries: readonly Entry[], commit: Index) => void;
}

/**
 * Follows an incarnation without being fed by a leader: pulls what is committed from one member at a time, the leader last. Acknowledges
 * nothing, so it costs the leader nothing.
 *
 * It asks from the end of its own log. A log may end in entries that were never committed; then nobody answers, and it asks from its commit
 * index next.
 */
export class Puller {
  readonly #o: PullerOptions;
  #isActive = false;
  #source: Bond | undefined;
  #asked: LogPosition | undefined;
  #fromCommit = false;
  #hasNews = false;
  /** What comes next is in a snapshot up to here. */
  #missing: Index | undefined;
  #remoteCommit: Index = 0;
  #timer: Timer | undefined;

  constructor(options: PullerOptions) {
    this.#o = options;
  }

  /** Holds all that its source had committed at its last answer. */
  get isCaughtUp(): boolean {
    return this.#source !== undefined && this.#remoteCommit > 0 && this.#o.committed().index >= this.#remoteCommit;
  }

  /** Called after each step and each change of a bond. */
  update(isWanted: boolean): void {
    if (!isWanted) return this.stop();
    const isNew = !this.#isActive;
    this.#isActive = true;
    if (isNew || this.#source === undefined || !this.#fits(this.#source)) this.#askAnother();
    else if (this.#hasNews || this.#hasSnapshot) this.#ask(this.#source);
  }

  onEntries(bond: Bond, frame: BondFrame & { type: "entries" }): void {
    if (!this.#isActive || bond !== this.#source || frame.incarnation !== this.#o.incarnation) return;
    if (frame.prev.index !== this.#asked?.index || frame.prev.term !== this.#asked.term) return;
    this.#asked = undefined;
    this.#hasNews = true;
    this.#fromCommit = false;
    this.#remoteCommit = frame.commit;
    this.#o.onLearnt(frame.prev, frame.entries, frame.commit);
  }

  /** That source has it no longer; another one may, and it is asked in its time. */
  onLogBegins(bond: Bond, frame: BondFrame & { type: "log-begins" }): void {
    if (!this.#isActive || bond !== this.#source || frame.incarnation !== this.#o.incarnation) return;
    if (frame.index <= this.#o.committed().index) return;
    this.#missing = frame.index;
    this.#o.onSnapshotNeeded(frame.index);
  }

  stop(): void {
    this.#isActive = false;
    this.#source = undefined;
    this.#missing = undefined;
    this.#timer?.cancel();
  }

  /** The snapshot that was missing is installed: what follows it need not wait for the next question. */
  get #hasSnapshot(): boolean {
    return this.#missing !== undefined && this.#o.committed().index >= this.#missing;
  }

  #fits({ isOpen, status }: Bond): boolean {
    return isOpen && status.incarnation === this.#o.incarnation && status.isOpen;
  }

  #askAnother(): void {
    const leader = this.#o.leader();
    const fitting = this.#o.bonds().filter((bond) => this.#fits(bond));
    const others = fitting.filter((bond) => bond.peer !== leader && bond.status.role === "voter");
    const choices = others.length > 0 ? others : fitting;
    this.#source = choices.length > 0 ? choices[this.#o.env.random.below(choices.length)] : undefined;
    this.#timer?.cancel();
    if (this.#source !== undefined) this.#ask(this.#source);
  }

  #ask(bond: Bond): void {
    this.#hasNews = false;
    const committed = this.#o.committed();
    if (this.#hasSnapshot) this.#missing = undefined;
    this.#asked = this.#fromCommit ? committed : this.#o.last();
    bond.send({ type: "fetch", incarnation: this.#o.incarnation, after: this.#asked, commit: committed.index });
    this.#timer?.cancel();
    this.#timer = this.#o.scope.after(ASK_ANOTHER_AFTER_MS, () => {
      this.#fromCommit = !this.#fromCommit;
      if (this.#isActive) this.#askAnother();
    });
  }
}
