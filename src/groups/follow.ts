import { assert, type Env, LIMITS, type Scope, type Timer } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import type { Entry, Index, LogPosition, Raft } from "../raft/index.ts";
import type { IncarnationId, Storage } from "../storage/index.ts";
import type { Bond } from "./bond.ts";
import type { BondFrame } from "./frames.ts";

/** A provider that has no news for so long is left for another: it may be cut off without knowing. */
const ASK_ANOTHER_AFTER_MS = 1_000;

/** The part of a log that is committed, wherever it lies. */
export interface CommittedLog {
  readonly commit: Index;
  /** The term of entry `index`; undefined beyond the end. */
  termAt(index: Index): number | undefined;
  /** Entries after `after`, up to the commit index, at least one, about `bytesMax`. */
  read(after: Index, bytesMax: number): readonly Entry[];
}

/** A voter's own. */
export function committedLogOf(raft: Raft): CommittedLog {
  return {
    commit: raft.commit,
    termAt: (index) => (index === 0 ? 0 : raft.entry(index)?.term),
    read: (after, bytesMax) => {
      const upTo = Math.min(raft.commit, after + LIMITS.appendEntriesMax);
      return raft.entriesFrom(after + 1, upTo, bytesMax);
    },
  };
}

/** Answers members that follow without a vote: what is committed, as soon as it is. One question of each is open at a time. */
export class FollowServer {
  readonly #log: () => CommittedLog | undefined;
  readonly #waiting = new Map<Bond, LogPosition>();

  constructor(log: () => CommittedLog | undefined) {
    this.#log = log;
  }

  onFetch(bond: Bond, incarnation: IncarnationId, after: LogPosition): void {
    if (bond.status.incarnation !== incarnation) return;
    this.#waiting.set(bond, after);
    this.#answer(bond, incarnation, after);
  }

  onBondDown(bond: Bond): void {
    this.#waiting.delete(bond);
  }

  /** It reads again. */
  onDrain(bond: Bond, incarnation: IncarnationId): void {
    const after = this.#waiting.get(bond);
    if (after !== undefined) this.#answer(bond, incarnation, after);
  }

  /** The commit index grew. */
  onCommit(incarnation: IncarnationId): void {
    for (const [bond, after] of [...this.#waiting]) this.#answer(bond, incarnation, after);
  }

  #answer(bond: Bond, incarnation: IncarnationId, after: LogPosition): void {
    const log = this.#log();
    // Who does not read what it asked for gets no more of it until it does.
    if (log === undefined || log.commit <= after.index || bond.isSlow) return;
    // A place that is not in our log: not of this history, whatever it claims. Silence sends it elsewhere.
    if (log.termAt(after.index) !== after.term) return;
    this.#waiting.delete(bond);
    const entries = log.read(after.index, LIMITS.appendBytesMax);
    bond.send({ type: "entries", incarnation, prev: after, entries, commit: log.commit });
  }
}

/**
 * Follows an incarnation without a vote: pulls what is committed from one member at a time, the leader last, and checks that it continues
 * our log. Acknowledges nothing, so it costs the leader nothing.
 */
export class Follower implements CommittedLog {
  readonly #env: Env;
  readonly #scope: Scope;
  readonly #storage: Storage;
  readonly #incarnation: IncarnationId;
  readonly #bonds: () => readonly Bond[];
  readonly #leader: () => PeerId | undefined;
  readonly #onEntries: (entries: readonly Entry[]) => void;
  readonly #onFailure: (cause: unknown) => void;
  readonly #entries: Entry[];
  #source: Bond | undefined;
  #timer: Timer | undefined;
  #remoteCommit: Index = 0;
  #isStopped = false;

  constructor(options: {
    env: Env;
    scope: Scope;
    storage: Storage;
    incarnation: IncarnationId;
    entries: readonly Entry[];
    bonds: () => readonly Bond[];
    leader: () => PeerId | undefined;
    onEntries: (entries: readonly Entry[]) => void;
    onFailure: (cause: unknown) => void;
  }) {
    this.#env = options.env;
    this.#scope = options.scope;
    this.#storage = options.storage;
    this.#incarnation = options.incarnation;
    this.#bonds = options.bonds;
    this.#leader = options.leader;
    this.#onEntries = options.onEntries;
    this.#onFailure = options.onFailure;
    this.#entries = [...options.entries];
  }

  /** All that a reader holds is committed. */
  get commit(): Index {
    return this.#entries.length;
  }
  /** Holds all that its source has committed, as of the last answer. */
  get isCaughtUp(): boolean {
    return this.#source !== undefined && this.#remoteCommit > 0 && this.commit >= this.#remoteCommit;
  }

  termAt(index: Index): number | undefined {
    return index === 0 ? 0 : this.#entries[index - 1]?.term;
  }

  read(after: Index, bytesMax: number): readonly Entry[] {
    const entries: Entry[] = [];
    let bytes = 0;
    for (let at = after; at < this.#entries.length && entries.length < LIMITS.appendEntriesMax; at++) {
      const entry = this.#entries[at] as Entry;
      bytes += entry.data.length;
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    return entries;
  }

  /** A bond came, went or changed. */
  refresh(): void {
    if (this.#source !== undefined && this.#fits(this.#source)) return;
    this.#askAnother();
  }

  onEntries(bond: Bond, frame: BondFrame & { type: "entries" }): void {
    if (bond !== this.#source || frame.incarnation !== this.#incarnation || this.#isStopped) return;
    const last = this.#last();
    if (frame.prev.index !== last.index || frame.prev.term !== last.term) return;
    this.#remoteCommit = frame.commit;
    this.#entries.push(...frame.entries);
    if (frame.entries.length > 0) {
      this.#storage.write({ entries: frame.entries }).catch((cause: unknown) => {
        if (!this.#isStopped) this.#onFailure(cause);
      });
      this.#onEntries(frame.entries);
    }
    if (!this.#isStopped) this.#ask(bond);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #last(): LogPosition {
    return this.#entries.at(-1) ?? { index: 0, term: 0 };
  }

  #fits(bond: Bond): boolean {
    const { status } = bond;
    return bond.isOpen && status.incarnation === this.#incarnation && status.isOpen;
  }

  #askAnother(): void {
    if (this.#isStopped) return;
    this.#timer?.cancel();
    const leader = this.#leader();
    const fitting = this.#bonds().filter((bond) => this.#fits(bond));
    const others = fitting.filter((bond) => bond.peer !== leader && bond.status.role === "voter");
    const choices = others.length > 0 ? others : fitting;
    this.#source = choices.length > 0 ? choices[this.#env.random.below(choices.length)] : undefined;
    if (this.#source !== undefined) this.#ask(this.#source);
  }

  #ask(bond: Bond): void {
    assert(bond === this.#source, "one source at a time");
    bond.send({ type: "fetch", incarnation: this.#incarnation, after: this.#last() });
    this.#timer?.cancel();
    this.#timer = this.#scope.after(ASK_ANOTHER_AFTER_MS, () => this.#askAnother());
  }
}
