import {
  type Entry,
  type Envelope,
  type HardState,
  type Index,
  type Input,
  type LogPosition,
  type MemberId,
  type Persist,
  Raft,
  type RaftOptions,
  type Ready,
  type SnapshotMark,
  type Term,
} from "../../raft/index.ts";
import { digestAfter, type EntryFact, type RaftInvariants } from "./invariants.ts";

export const KIND_VOTERS = 1;
export const KIND_COMMAND = 2;

/** A snapshot as it lies on a disk: its place, and the state of the machine there. */
export interface CoreSnapshot {
  readonly mark: SnapshotMark;
  readonly state: string;
}

interface Write {
  readonly persist: Persist | undefined;
  readonly afterHardState: readonly Envelope[];
  readonly after: readonly Envelope[];
  isHardStateDone: boolean;
}

/** What a part of a write that is durable leads to: messages that waited for it, and the id to report. */
interface Done {
  readonly after: readonly Envelope[];
  readonly writeId: number | undefined;
  readonly isVote: boolean;
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
  /** When the last write under way will be done, and the last hard state. */
  diskBusyUntilUs = 0;
  hardStateBusyUntilUs = 0;
  /** Until then its disk has room for terms and votes alone. */
  fullUntilUs = 0;
  readonly #checker: RaftInvariants;
  readonly #options: Omit<RaftOptions, "self" | "hardState" | "entries" | "electionTicks">;
  #hardState: HardState;
  #snapshot: CoreSnapshot | undefined;
  #base: LogPosition = { index: 0, term: 0 };
  #entries: Entry[];
  #writes: Write[] = [];
  #ledTerm = 0;
  /** What it applied, and what that made of its machine. */
  #applied: Index = 0;
  #state = "";
  /** Snapshots that came from others, until Raft says what becomes of them. */
  readonly #received = new Map<Index, CoreSnapshot>();

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
    const self = this.name;
    const entries = this.#entries.slice();
    const base = this.#base;
    const snapshot = this.#snapshot?.mark;
    const hardState = this.#hardState;
    this.raft = new Raft({ ...this.#options, self, hardState, snapshot, base, entries, electionTicks });
    this.#applied = snapshot?.index ?? 0;
    this.#state = this.#snapshot?.state ?? "";
    this.#received.clear();
    const start = snapshot && { base, snapshot, state: this.#state };
    this.#checker.onStart(self, hardState, entries.map(factOf), start);
  }

  get applied(): Index {
    return this.raft === undefined ? 0 : this.#applied;
  }

  /** The snapshot on its disk, for others. */
  get snapshot(): CoreSnapshot | undefined {
    return this.#snapshot;
  }

  /** Takes a snapshot of what it applied, if that is on disk, and forgets the log up to `tail` entries before its end. */
  compact(tail: number): Input | undefined {
    const { raft } = this;
    const index = this.#applied;
    // An entry of that index may be there of another term, which a write under way replaces.
    if (raft === undefined || index <= (this.#snapshot?.mark.index ?? 0) || index > raft.status().durable)
      return undefined;
    const upTo = Math.max(index - tail, this.#base.index);
    return { type: "compact", snapshot: index, upTo };
  }

  /** A snapshot came from another. */
  receive(snapshot: CoreSnapshot): Input {
    this.#received.set(snapshot.mark.index, snapshot);
    return { type: "installed", snapshot: snapshot.mark };
  }

  /** How many of the writes under way reach the disk all the same; of those after them some hard states may. */
  crash(survivors: number, hardStateSurvivors: number): void {
    for (const write of this.#writes.slice(0, survivors)) this.#applyToDisk(write);
    for (const write of this.#writes.slice(survivors, hardStateSurvivors)) this.#applyHardState(write);
    this.#writes = [];
    this.raft = undefined;
    this.diskBusyUntilUs = 0;
    this.hardStateBusyUntilUs = 0;
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
    if (inputs.some(({ type }) => type === "compact")) this.#onCompacted(raft);
    return ready;
  }

  /** True if there is something to wait for. */
  beginWrite({ persist, sendAfterHardState: afterHardState, sendAfterPersist: after }: Ready): boolean {
    if (persist === undefined && afterHardState.length === 0 && after.length === 0) return false;
    this.#writes.push({ persist, afterHardState, after, isHardStateDone: false });
    return true;
  }

  /** The oldest hard state that is not durable yet is. */
  finishHardState(): Done {
    const write = this.#writes.find(({ isHardStateDone }) => !isHardStateDone);
    if (write === undefined) throw new Error(`${this.name} has no hard state under way`);
    this.#applyHardState(write);
    const { persist, afterHardState } = write;
    return {
      after: afterHardState,
      writeId: persist?.hardState && persist.writeId,
      isVote: persist?.hardState?.votedFor !== undefined,
    };
  }

  /** The rest of the oldest write is durable, too. */
  finishWrite(): Done {
    const write = this.#writes.shift();
    if (write === undefined) throw new Error(`${this.name} has no write under way`);
    this.#applyToDisk(write);
    return { after: write.after, writeId: write.persist?.writeId, isVote: false };
  }

  #onInstalled(index: Index): void {
    const snapshot = this.#received.get(index);
    if (snapshot === undefined) throw new Error(`a snapshot of ${index} that nobody sent`);
    this.#applied = index;
    this.#state = snapshot.state;
    this.#checker.onSnapshot(this.name, snapshot.mark, snapshot.state);
  }

  #applyToDisk(write: Write): void {
    const { persist } = write;
    this.#applyHardState(write);
    if (persist === undefined) return;
    if (persist.snapshot !== undefined) {
      this.#snapshot = this.#received.get(persist.snapshot.index);
      this.#base = persist.snapshot;
      this.#entries = [];
    }
    if (persist.truncateFrom !== undefined) this.#entries.length = persist.truncateFrom - this.#base.index - 1;
    this.#entries.push(...persist.entries);
  }

  #applyHardState(write: Write): void {
    const hardState = write.persist?.hardState;
    if (write.isHardStateDone) return;
    write.isHardStateDone = true;
    if (hardState === undefined) return;
    this.#hardState = hardState;
    this.#checker.onHardState(this.name, hardState.term, hardState.votedFor);
  }

  /** Both are on the disk already: the snapshot is of what was applied, and nothing under way changes what it covers. */
  #onCompacted(raft: Raft): void {
    const mark = raft.snapshot;
    if (mark === undefined || mark.index !== this.#applied) return;
    this.#snapshot = { mark, state: this.#state };
    this.#entries = this.#entries.filter(({ index }) => index > raft.base.index);
    this.#base = raft.base;
    this.#checker.onCompact(this.name, raft.base.index, mark.index);
  }

  #tell(raft: Raft, { persist, committed }: Ready): void {
    if (persist?.snapshot !== undefined) this.#onInstalled(persist.snapshot.index);
    if (persist?.truncateFrom !== undefined) this.#checker.onTruncate(this.name, persist.truncateFrom);
    if (persist !== undefined) this.#checker.onAppend(this.name, persist.entries.map(factOf));
    if (raft.role === "leader" && raft.term !== this.#ledTerm) {
      this.#ledTerm = raft.term;
      this.#checker.onLeader(this.name, raft.term);
    }
    for (const entry of committed) {
      const fact = factOf(entry);
      this.#applied = entry.index;
      this.#state = digestAfter(this.#state, fact);
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
