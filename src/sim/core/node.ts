import {
  type Entry,
  type Envelope,
  type HardState,
  type Input,
  type MemberId,
  type Persist,
  Raft,
  type RaftOptions,
  type Ready,
  type Term,
} from "../../raft/index.ts";
import type { EntryFact, RaftInvariants } from "./invariants.ts";

export const KIND_VOTERS = 1;
export const KIND_COMMAND = 2;

interface Write {
  readonly persist: Persist | undefined;
  readonly after: readonly Envelope[];
}

/** One bare member with its disk. Tells the checker all that it does. */
export class CoreNode {
  readonly name: MemberId;
  /** Undefined while it is down. */
  raft: Raft | undefined;
  /** Grows with each start, so that what belongs to a former life can be told apart. */
  life = 0;
  pausedUntilUs = 0;
  /** The last term in which it committed something as leader. */
  committedInTerm: Term | undefined;
  /** When the last write under way will be done. */
  diskBusyUntilUs = 0;
  readonly #checker: RaftInvariants;
  readonly #options: Omit<RaftOptions, "self" | "hardState" | "entries" | "electionTicks">;
  #hardState: HardState;
  #entries: Entry[];
  #writes: Write[] = [];
  #ledTerm = 0;

  constructor(init: {
    name: MemberId;
    genesis: Entry;
    checker: RaftInvariants;
    options: Omit<RaftOptions, "self" | "hardState" | "entries" | "electionTicks">;
  }) {
    this.name = init.name;
    this.#checker = init.checker;
    this.#options = init.options;
    this.#hardState = { term: init.genesis.term, votedFor: undefined };
    this.#entries = [init.genesis];
  }

  get isLeader(): boolean {
    return this.raft?.role === "leader";
  }

  start(electionTicks: number): void {
    this.life++;
    const { name: self } = this;
    const entries = this.#entries.slice();
    this.raft = new Raft({ ...this.#options, self, hardState: this.#hardState, entries, electionTicks });
    this.#checker.onStart(self, this.#hardState, entries.map(factOf));
  }

  /** @param survivors - how many of the writes under way reach the disk all the same */
  crash(survivors: number): void {
    for (const write of this.#writes.slice(0, survivors)) this.#applyToDisk(write);
    this.#writes = [];
    this.raft = undefined;
    this.diskBusyUntilUs = 0;
  }

  get writesUnderWay(): number {
    return this.#writes.length;
  }

  /** One step, checked. What waits for the disk is kept until `finishWrite`. */
  step(inputs: readonly Input[]): Ready {
    const { raft } = this;
    if (raft === undefined) throw new Error(`${this.name} is down`);
    const ready = raft.step(inputs);
    this.#tell(raft, ready);
    return ready;
  }

  /** True if there is something to wait for. */
  beginWrite({ persist, sendAfterPersist: after }: Ready): boolean {
    if (persist === undefined && after.length === 0) return false;
    this.#writes.push({ persist, after });
    return true;
  }

  /** The oldest write is durable: the messages that waited for it, and the id to report. */
  finishWrite(): { after: readonly Envelope[]; writeId: number | undefined; isVote: boolean } {
    const write = this.#writes.shift();
    if (write === undefined) throw new Error(`${this.name} has no write under way`);
    this.#applyToDisk(write);
    const { persist, after } = write;
    return { after, writeId: persist?.writeId, isVote: persist?.hardState?.votedFor !== undefined };
  }

  #applyToDisk({ persist }: Write): void {
    if (persist === undefined) return;
    if (persist.truncateFrom !== undefined) this.#entries.length = persist.truncateFrom - 1;
    this.#entries.push(...persist.entries);
    if (persist.hardState === undefined) return;
    this.#hardState = persist.hardState;
    this.#checker.onHardState(this.name, persist.hardState.term, persist.hardState.votedFor);
  }

  #tell(raft: Raft, { persist, committed }: Ready): void {
    if (persist?.truncateFrom !== undefined) this.#checker.onTruncate(this.name, persist.truncateFrom);
    if (persist !== undefined) this.#checker.onAppend(this.name, persist.entries.map(factOf));
    if (raft.role === "leader" && raft.term !== this.#ledTerm) {
      this.#ledTerm = raft.term;
      this.#checker.onLeader(this.name, raft.term);
    }
    for (const entry of committed) {
      const fact = factOf(entry);
      this.#checker.onCommit(this.name, raft.term, fact);
      this.#checker.onApply(this.name, fact);
    }
  }
}

export function factOf(entry: Entry): EntryFact {
  const { index, term, kind, data } = entry;
  return { index, term, digest: `${kind}:${Buffer.from(data).toString("latin1")}`, voters: votersOf(entry) };
}

export function votersOf({ kind, data }: Entry): readonly MemberId[] | undefined {
  return kind === KIND_VOTERS ? (Buffer.from(data).toString().split(",") as MemberId[]) : undefined;
}
