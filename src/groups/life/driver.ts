import { assert, type Env, LIMITS, type MosaikError, mosaikError } from "../../env/index.ts";
import {
  type Entry,
  type Envelope,
  type HardState,
  type Index,
  type Input,
  keepNewest,
  type LogPosition,
  type MemberId,
  type Persist,
  Raft,
  type Ready,
  type SnapshotMark,
} from "../../raft/index.ts";
import type { Storage } from "../../storage/index.ts";
import { votersOf } from "../entries/index.ts";
import type { ReplicaState } from "../replica/index.ts";
import type { FetchedSnapshot } from "../snapshots/index.ts";
import type { GroupProbe, ProbeSource } from "./probe.ts";
import { StoreWriter } from "./store-writer.ts";

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

/** A write that is under way, or several that end as one. */
interface Write {
  readonly writing: Promise<void>;
  readonly done: Promise<void>;
  /** The last of them. */
  persist: Persist;
  /** What may leave when it is done. */
  promises: readonly Envelope[];
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
  /** The disk has no room for entries, or has again. */
  onRoom(): void;
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
  readonly #timing: Timing;
  readonly #events: DriverEvents;
  readonly #probe: GroupProbe | undefined;
  readonly #source: ProbeSource;
  #inbox: Input[] = [];
  #isScheduled = false;
  #isStopped = false;
  readonly #writer: StoreWriter;
  /** Of the last write that was begun, while it lasts; those before it end first. */
  #lastHardState: Write | undefined;
  #lastWrite: Write | undefined;
  /** Of `written`: told also when there is no room. */
  readonly #awaitingWrite = new Set<() => void>();
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
    this.#writer = new StoreWriter(options.env, options.storage, () => {
      for (const resolve of this.#awaitingWrite) resolve();
      this.#awaitingWrite.clear();
      options.events.onRoom();
      this.wake();
    });
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

  /** Why writes wait for room on the disk; undefined while there is room. */
  get refusal(): MosaikError | undefined {
    return this.#writer.refusal;
  }

  /** So much waits for room that nothing more should come. A leader's window, and one more, fit. */
  get isOverfull(): boolean {
    return this.refusal !== undefined && this.#writer.waitingBytes > 2 * LIMITS.inflightBytesMax;
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

  /** Resolves when all that was to be written until now is. @throws `storage-full` it waits for room; `closed` it never will be */
  async written(): Promise<void> {
    const write = this.#lastWrite;
    if (write !== undefined && this.refusal === undefined) {
      await new Promise<void>((resolve) => {
        this.#awaitingWrite.add(resolve);
        void write.done.then(() => {
          this.#awaitingWrite.delete(resolve);
          resolve();
        });
      });
    }
    if (this.#isStopped) throw mosaikError("closed", "the driver is stopped");
    if (this.refusal !== undefined) throw this.refusal;
  }

  /** No input has any effect from now on; writes under way go on. */
  stop(): void {
    this.#isStopped = true;
    this.#inbox = [];
    this.#writer.stop();
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
    if (ready.sendAfterHardState.length > 0) this.#sendAfter(this.#lastHardState, ready.sendAfterHardState);
    if (ready.sendAfterPersist.length > 0) this.#sendAfter(this.#lastWrite, ready.sendAfterPersist);
    if (fetched !== undefined) this.#events.onRestored(fetched.mark, fetched.state);
    if (ready.snapshotWanted !== undefined) this.#events.onSnapshotWanted(ready.snapshotWanted);
    if (ready.committed.length > 0) this.#events.onCommitted(ready.committed);
    if (ready.reads.length > 0 || ready.readsRefused.length > 0) this.#events.onReads(ready.reads, ready.readsRefused);
  }

  #write(persist: Persist, fetched: FetchedSnapshot | undefined): void {
    this.#probe?.onWrite(this.#source, persist);
    const { hardState, all } = this.#writer.write(persist, fetched?.writer);
    if (persist.hardState !== undefined) {
      this.#lastHardState = this.#joined(this.#lastHardState, hardState, persist, (write) => {
        if (this.#lastHardState === write) this.#lastHardState = undefined;
        const { writeId, hardState } = write.persist;
        if (hardState !== undefined) this.#probe?.onHardStateDurable(this.#source, writeId, hardState);
        this.enqueue({ type: "hard-state-persisted", writeId });
      });
    }
    this.#lastWrite = this.#joined(this.#lastWrite, all, persist, (write) => {
      if (this.#lastWrite === write) this.#lastWrite = undefined;
      const { writeId } = write.persist;
      this.#probe?.onDurable(this.#source, writeId);
      this.enqueue({ type: "persisted", writeId });
    });
  }

  /** @param onDone - unless the driver stopped before */
  #joined(last: Write | undefined, writing: Promise<void>, persist: Persist, onDone: (write: Write) => void): Write {
    if (last?.writing === writing) {
      last.persist = persist;
      return last;
    }
    const done = writing.then(
      () => {
        if (!this.#isStopped) onDone(write);
      },
      (cause: unknown) => this.#onWriteFailure(cause),
    );
    const write: Write = { writing, done, persist, promises: [] };
    return write;
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
    if (index <= this.#base || this.#writer.isInstalling) return;
    this.#base = index;
    this.#writer.prune(index).catch((cause: unknown) => this.#onWriteFailure(cause));
    this.#probe?.onCompact(this.#source, index, this.raft.snapshot?.index ?? 0);
  }

  /** Stops here and now: whoever is told may be busy with closing, and what waited for the write must not leave meanwhile. */
  #onWriteFailure(cause: unknown): void {
    if (this.#isStopped) return;
    this.stop();
    this.#events.onStorageFailure(cause);
  }

  /** Promises leave only once all writes before them are durable; after a failed one they never leave. */
  #sendAfter(write: Write | undefined, envelopes: readonly Envelope[]): void {
    if (write === undefined) return this.#leave(envelopes);
    const isFirst = write.promises.length === 0;
    write.promises = isFirst ? envelopes : keepNewest(write.promises, envelopes);
    if (isFirst) void write.done.then(() => this.#leave(write.promises.filter((envelope) => isDue(envelope, write))));
  }

  #leave(envelopes: readonly Envelope[]): void {
    if (this.#isStopped || envelopes.length === 0) return;
    this.#tellVotes(envelopes);
    this.#events.send(envelopes);
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

/** A vote that a later term overtook before it was written is of no use to anybody. */
function isDue({ message }: Envelope, { persist: { hardState } }: Write): boolean {
  return message.type !== "vote-reply" || hardState === undefined || message.term >= hardState.term;
}

export function ticks(ms: number): number {
  return Math.max(1, Math.round(ms / TICK_MS));
}
