import { assert, type Env, LIMITS } from "../env/index.ts";
import {
  type Entry,
  type Envelope,
  type HardState,
  type Index,
  type Input,
  type MemberId,
  Raft,
  type Ready,
} from "../raft/index.ts";
import type { Storage, StorageWrite } from "../storage/index.ts";
import { votersOf } from "./entries.ts";
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
  #commit: Index = 0;
  #wasLeader = false;

  constructor(options: {
    env: Env;
    self: MemberId;
    storage: Storage;
    hardState: HardState;
    entries: readonly Entry[];
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
    this.raft = new Raft({
      self: options.self,
      hardState: options.hardState,
      entries: options.entries,
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

  /** No input has any effect from now on; writes under way go on. */
  stop(): void {
    this.#isStopped = true;
    this.#inbox = [];
  }

  #flush(): void {
    this.#isScheduled = false;
    if (this.#isStopped) return;
    const inputs = this.#inbox;
    this.#inbox = [];
    if (inputs.length > 0) this.#handle(this.raft.step(inputs));
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
    this.#tellProbe(ready);
    if (ready.persist !== undefined) this.#write(ready);
    if (ready.send.length > 0) this.#events.send(ready.send);
    if (ready.sendAfterPersist.length > 0) this.#sendAfterPersist(ready.sendAfterPersist);
    if (ready.committed.length > 0) this.#events.onCommitted(ready.committed);
    if (ready.reads.length > 0 || ready.readsRefused.length > 0) this.#events.onReads(ready.reads, ready.readsRefused);
  }

  #write(ready: Ready): void {
    const persist = ready.persist;
    if (persist === undefined) return;
    const { writeId, hardState, truncateFrom, entries } = persist;
    const change: StorageWrite = { hardState, truncateFrom, entries };
    const write = this.#storage.write(change).then(
      () => {
        if (this.#isStopped) return;
        if (hardState !== undefined) this.#probe?.onHardState(this.#source, hardState);
        if (this.#lastWrite === write) this.#lastWrite = undefined;
        this.enqueue({ type: "persisted", writeId });
      },
      (cause: unknown) => {
        if (!this.#isStopped) this.#events.onStorageFailure(cause);
      },
    );
    this.#lastWrite = write;
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
