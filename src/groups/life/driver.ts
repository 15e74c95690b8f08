import { assert, type Env, LIMITS } from "../../env/index.ts";
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
  type Ready,
  type SnapshotMark,
} from "../../raft/index.ts";
import type { Storage, StorageWrite } from "../../storage/index.ts";
import { votersOf } from "../entries/index.ts";
import type { ReplicaState } from "../replica/index.ts";
import type { FetchedSnapshot } from "../snapshots/index.ts";
import type { GroupProbe, ProbeSource } from "./probe.ts";

/** Raft counts in ticks of this length. */
export const TICK_MS = 25;
/** A voter whose leader's link closed campaigns within this time. */
const LINK_CLOSED_CAMPAIGN_MS = 150;

export interface Timing {
  readonly heartbeatIntervalMs: number;
  /** The shortest; each wait is drawn between it and its double. */
  readonly electionTimeoutMs: number;
  /** `reluctant`: how many times longer this member waits before it campaigns. */
  readonly electionFactor: number;
  /** A spare is in sight so long before it becomes a voter. */
  readonly promoteAfterMs: number;
  /** A voter is silent so long before a spare takes its place. */
  readonly removeDeadAfterMs: number;
  /** The owner of a session is away so long before it ends. */
  readonly sessionTtlMs: number;
}

/** A proposal: an entry before it has a place. */
export interface Draft {
  readonly kind: number;
  readonly data: Uint8Array;
}

export interface DriverEvents {
  send(envelopes: readonly Envelope[]): void;
  onCommitted(entries: readonly Entry[]): void;
  /** A snapshot took the place of the log: its state is in force before anything that is committed next. */
  onRestored(place: SnapshotMark, state: ReplicaState): void;
  /** The leader has no longer what we need next: a snapshot of this place or a later one is. */
  onSnapshotWanted(place: LogPosition): void;
  onReads(reads: Ready["reads"], refused: readonly number[]): void;
  /** Role, term, leader or commit may have changed. Called after each step, last. */
  onStep(): void;
  /** What the leader wants to append now: asked in each step in which it leads and may append. */
  takeDrafts(firstIndex: Index): readonly Draft[];
  /** The store failed: nothing more may be promised. */
  onStorageFailure(cause: unknown): void;
  /** The core broke an invariant: a bug, after which this member must not go on. */
  onBug(cause: unknown): void;
}

/**
 * Drives one Raft core: the only loop that touches its world.
 *
 * Inputs gather in an inbox and are stepped together at the end of the turn, so that one step is one disk write and one message to each
 * peer. The loop never waits for the disk: that a write is done comes back as one more input.
 */
export class RaftDriver {
  readonly raft: Raft;
  readonly #env: Env;
  readonly #storage: Storage;
  readonly #timing: Timing;
  readonly #events: DriverEvents;
  readonly #probe: GroupProbe | undefined;
  readonly #source: ProbeSource;
  #inbox: Input[] = [];
  #isScheduled = false;
  #isStopped = false;
  /** The last write that was begun; those before it end first. */
  #lastWrite: Promise<void> | undefined;
  /** While a snapshot is being put into the store, and writes wait behind it. */
  #installing: Promise<void> | undefined;
  #fetched: FetchedSnapshot | undefined;
  /** Where the log on disk begins, or is about to. */
  #base: Index;
  #commit: Index = 0;
  #wasLeader = false;

  constructor(options: {
    env: Env;
    self: MemberId;
    storage: Storage;
    hardState: HardState;
    entries: readonly Entry[];
    base: LogPosition;
    snapshot: SnapshotMark | undefined;
    timing: Timing;
    events: DriverEvents;
    probe: GroupProbe | undefined;
    source: ProbeSource;
  }) {
    this.#env = options.env;
    this.#storage = options.storage;
    this.#timing = options.timing;
    this.#events = options.events;
    this.#probe = options.probe;
    this.#source = options.source;
    this.#base = options.base.index;
    this.#commit = options.snapshot?.index ?? 0;
    this.raft = new Raft({
      self: options.self,
      hardState: options.hardState,
      entries: options.entries,
      base: options.base,
      snapshot: options.snapshot,
      votersOf,
      electionTicks: this.#drawElectionTicks(),
      electionTicksMin: ticks(this.#timing.electionTimeoutMs),
      heartbeatTicks: ticks(this.#timing.heartbeatIntervalMs),
      appendBytesMax: LIMITS.appendBytesMax,
      appendEntriesMax: LIMITS.appendEntriesMax,
      inflightBytesMax: LIMITS.inflightBytesMax,
    });
  }

  get isLeader(): boolean {
    return this.raft.role === "leader";
  }

  /** Steps soon, together with what else comes in this turn. */
  enqueue(input: Input): void {
    if (this.#isStopped) return;
    this.#inbox.push(input);
    this.wake();
  }

  /** Makes a step soon, even without an input: there are drafts. */
  wake(): void {
    if (this.#isScheduled || this.#isStopped) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      try {
        this.#flush();
      } catch (cause) {
        this.stop();
        this.#events.onBug(cause);
      }
    });
  }

  tick(): void {
    this.enqueue({ type: "tick", electionTicks: this.#drawElectionTicks() });
  }

  campaign(): void {
    this.enqueue({ type: "campaign", electionTicks: this.#drawElectionTicks() });
  }

  onLinkClosed(peer: MemberId): void {
    const campaignTicks = this.#env.random.below(ticks(LINK_CLOSED_CAMPAIGN_MS) + 1);
    this.enqueue({ type: "link-closed", peer, campaignTicks });
  }

  /** A snapshot of what was applied is durable: the log up to `upTo` may go. */
  compact(snapshot: Index, upTo: Index): void {
    this.enqueue({ type: "compact", snapshot, upTo });
  }

  /** A snapshot came from others. It takes the place of the log if it is needed, and is given up if not. */
  install(fetched: FetchedSnapshot): void {
    this.#discard();
    this.#fetched = fetched;
    this.enqueue({ type: "installed", snapshot: fetched.mark });
  }

  /** Resolves when all that was to be written until now is. */
  async written(): Promise<void> {
    await this.#lastWrite;
  }

  /** No input has any effect from now on; writes under way go on. */
  stop(): void {
    this.#isStopped = true;
    this.#inbox = [];
    this.#discard();
  }

  #flush(): void {
    this.#isScheduled = false;
    if (this.#isStopped) return;
    const inputs = this.#inbox;
    this.#inbox = [];
    if (inputs.length > 0) this.#handle(this.raft.step(inputs));
    if (inputs.some(({ type }) => type === "installed")) this.#discard();
    this.#prune();
    if (this.isLeader && !this.raft.isHandingOver) {
      const drafts = this.#events.takeDrafts(this.raft.last.index + 1);
      if (drafts.length > 0) {
        const ready = this.raft.step([{ type: "propose", entries: drafts }]);
        assert(ready.dropped.length === 0, "a leader that does not hand over appends");
        this.#handle(ready);
      }
    }
    if (!this.#isStopped) this.#events.onStep();
  }

  #handle(ready: Ready): void {
    const { snapshot } = ready.persist ?? {};
    const fetched = snapshot && this.#takeFetched(snapshot);
    this.#tellProbe(ready);
    if (ready.persist !== undefined) this.#write(ready.persist, fetched);
    if (ready.send.length > 0) this.#events.send(ready.send);
    if (ready.sendAfterPersist.length > 0) this.#sendAfterPersist(ready.sendAfterPersist);
    if (fetched !== undefined) this.#events.onRestored(fetched.mark, fetched.state);
    if (ready.snapshotWanted !== undefined) this.#events.onSnapshotWanted(ready.snapshotWanted);
    if (ready.committed.length > 0) this.#events.onCommitted(ready.committed);
    if (ready.reads.length > 0 || ready.readsRefused.length > 0) this.#events.onReads(ready.reads, ready.readsRefused);
  }

  #write(persist: Persist, fetched: FetchedSnapshot | undefined): void {
    const { writeId, hardState, truncateFrom, entries } = persist;
    const isBehind = fetched !== undefined || this.#installing !== undefined;
    this.#probe?.onWrite(this.#source, persist);
    const change: StorageWrite = { hardState, truncateFrom, entries };
    const begun = isBehind ? this.#writeBehind(persist, fetched) : this.#storage.write(change);
    const write = begun.then(
      () => {
        if (this.#isStopped) return;
        this.#probe?.onDurable(this.#source, persist);
        if (this.#lastWrite === write) this.#lastWrite = undefined;
        this.enqueue({ type: "persisted", writeId });
      },
      (cause: unknown) => this.#onWriteFailure(cause),
    );
    this.#lastWrite = write;
  }

  /** The term first, for a log is never of a later one; then the snapshot, alone; then what follows it. */
  #writeBehind(persist: Persist, fetched: FetchedSnapshot | undefined): Promise<void> {
    const { hardState, truncateFrom, entries } = persist;
    const before = this.#installing ?? this.#lastWrite;
    const all = async (): Promise<void> => {
      await before;
      if (hardState !== undefined) await this.#storage.write({ hardState });
      await fetched?.writer.install();
      if (truncateFrom !== undefined || entries.length > 0) await this.#storage.write({ truncateFrom, entries });
    };
    const installing = all().finally(() => {
      if (this.#installing === installing) this.#installing = undefined;
    });
    this.#installing = installing;
    return installing;
  }

  /** What Raft made of the last snapshot that came. */
  #takeFetched(snapshot: SnapshotMark): FetchedSnapshot {
    const fetched = this.#fetched;
    assert(fetched?.mark.index === snapshot.index, "the snapshot that replaces the log is the one that came");
    this.#fetched = undefined;
    this.#base = snapshot.index;
    return fetched;
  }

  #discard(): void {
    this.#fetched?.writer.discard().catch(() => undefined);
    this.#fetched = undefined;
  }

  /** The log in memory begins later now: so does that on disk. */
  #prune(): void {
    const { index } = this.raft.base;
    if (index <= this.#base || this.#installing !== undefined) return;
    this.#base = index;
    this.#storage.prunePrefix(index).catch((cause: unknown) => this.#onWriteFailure(cause));
    this.#probe?.onCompact(this.#source, index, this.raft.snapshot?.index ?? 0);
  }

  /** Stops here and now: whoever is told may be busy with closing, and what waited for the write must not leave meanwhile. */
  #onWriteFailure(cause: unknown): void {
    if (this.#isStopped) return;
    this.stop();
    this.#events.onStorageFailure(cause);
  }

  /** Promises leave only once all writes before them are durable; after a failed one they never leave. */
  #sendAfterPersist(envelopes: readonly Envelope[]): void {
    const leave = (): void => {
      if (this.#isStopped) return;
      this.#tellVotes(envelopes);
      this.#events.send(envelopes);
    };
    if (this.#lastWrite === undefined) leave();
    else void this.#lastWrite.then(leave);
  }

  #drawElectionTicks(): number {
    const min = ticks(this.#timing.electionTimeoutMs);
    return Math.round((min + this.#env.random.below(min + 1)) * this.#timing.electionFactor);
  }

  #tellProbe(ready: Ready): void {
    const probe = this.#probe;
    if (probe === undefined) return;
    const { persist } = ready;
    if (persist?.snapshot !== undefined) {
      this.#commit = persist.snapshot.index;
      probe.onRestore(this.#source, persist.snapshot);
    }
    if (persist?.truncateFrom !== undefined) probe.onTruncate(this.#source, persist.truncateFrom);
    if (persist !== undefined && persist.entries.length > 0) probe.onAppend(this.#source, persist.entries);
    if (this.isLeader && !this.#wasLeader) probe.onLeader(this.#source, this.raft.term, this.raft.voters);
    this.#wasLeader = this.isLeader;
    if (this.raft.commit > this.#commit) {
      this.#commit = this.raft.commit;
      probe.onCommit(this.#source, this.#commit, this.raft.term);
    }
  }

  #tellVotes(envelopes: readonly Envelope[]): void {
    if (this.#probe === undefined) return;
    for (const { to, message } of envelopes) {
      if (message.type === "vote-reply" && message.granted) this.#probe.onVote(this.#source, message.term, to);
    }
  }
}

export function ticks(ms: number): number {
  return Math.max(1, Math.round(ms / TICK_MS));
}
