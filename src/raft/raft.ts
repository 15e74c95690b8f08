import { assert } from "../env/index.ts";
import { Core } from "./core.ts";
import * as election from "./election.ts";
import { Follower } from "./follower.ts";
import type { Proposal } from "./leadership.ts";
import type {
  Entry,
  HardState,
  Index,
  Input,
  LogPosition,
  MemberId,
  Message,
  ProgressStatus,
  RaftOptions,
  RaftStatus,
  Ready,
  Role,
  SnapshotMark,
  Term,
} from "./types.ts";

/**
 * One member of one group. Inputs in, effects out: no clock, no randomness, no promise, no socket, no file.
 *
 * Follows the Raft paper and Ongaro's thesis, with PreVote, CheckQuorum and ReadIndex always on. `docs/design/raft.md` says why it is
 * safe. The driver's duties are at `Ready` and `Input`.
 */
export class Raft {
  readonly #core: Core;
  readonly #follower: Follower;
  /** Entries up to here were given out as committed. */
  #delivered: Index;
  #confirmed: { id: number; index: Index }[] = [];
  #dropped: Proposal[] = [];

  constructor(options: RaftOptions) {
    this.#core = new Core(options);
    this.#follower = new Follower(this.#core);
    this.#delivered = this.#core.commit;
  }

  get role(): Role {
    return this.#core.role;
  }

  get term(): Term {
    return this.#core.term;
  }

  /** As it is in memory; durable when the last `persist` is. */
  get hardState(): HardState {
    return this.#core.durability.hardState;
  }

  /** Who leads this term, as far as known; unknown while its link is closed. */
  get leader(): MemberId | undefined {
    return this.#core.leader;
  }

  get commit(): Index {
    return this.#core.commit;
  }

  get last(): LogPosition {
    return this.#core.last;
  }

  /** The place before the first entry of the log. */
  get base(): LogPosition {
    return this.#core.log.base;
  }

  /** What the latest snapshot covers, on disk or on its way there. */
  get snapshot(): SnapshotMark | undefined {
    return this.#core.snapshot;
  }

  /** Sorted. Those of the latest configuration in the log, committed or not. */
  get voters(): readonly MemberId[] {
    return this.#core.voters;
  }

  /** Leads, but takes no proposals. */
  get isHandingOver(): boolean {
    return this.#core.leadership?.handingOverTo !== undefined;
  }

  /** Leader only (else empty): one per other voter, sorted. */
  progress(): ProgressStatus[] {
    return (this.#core.leadership?.replication.followers ?? []).map((follower) => follower.status());
  }

  entry(index: Index): Entry | undefined {
    return this.#core.log.at(index);
  }

  /** Undefined before the log's base and beyond its end. */
  termAt(index: Index): Term | undefined {
    return this.#core.log.termAt(index);
  }

  /** Entries from..upTo as far as they are here; ends with the entry that reaches `bytesMax`. Not to be changed. */
  entriesFrom(from: Index, upTo: Index, bytesMax: number): readonly Entry[] {
    const { log } = this.#core;
    if (from <= log.base.index) return [];
    return log.batch(from, upTo, { entriesMax: Number.MAX_SAFE_INTEGER, bytesMax });
  }

  /** Plain data, for people. */
  status(): RaftStatus {
    const { self, role, leader, commit, last, voters, configuration, durability, timer, leadership } = this.#core;
    const { term, votedFor } = durability.hardState;
    return {
      self,
      role,
      term,
      votedFor,
      leader,
      commit,
      durable: durability.durableIndex,
      last,
      base: this.base,
      snapshotIndex: this.snapshot?.index ?? 0,
      voters,
      configurationIndex: configuration.index,
      handingOverTo: leadership?.handingOverTo,
      electionRemainingTicks: timer.remainingTicks,
      readsWaiting: leadership?.reads.waiting ?? 0,
      progress: this.progress(),
    };
  }

  /** Takes the inputs in order, and gives the work that follows from all of them together. */
  step(inputs: readonly Input[]): Ready {
    for (const input of inputs) this.#onInput(input);
    return this.#takeReady();
  }

  #onInput(input: Input): void {
    switch (input.type) {
      case "tick":
        this.#onTick(input.electionTicks);
        break;
      case "message":
        this.#onMessage(input.from, input.message);
        break;
      case "propose":
        this.#onPropose(input.entries);
        break;
      case "read":
        if (this.#core.leadership !== undefined) this.#core.leadership.reads.arrive(input.id);
        else this.#core.readsRefused.push(input.id);
        break;
      case "hard-state-persisted":
        this.#core.durability.onHardStatePersisted(input.writeId);
        election.onPersisted(this.#core);
        break;
      case "persisted":
        this.#core.durability.onPersisted(input.writeId);
        election.onPersisted(this.#core);
        break;
      case "link-closed":
        this.#onLinkClosed(input.peer, input.campaignTicks);
        break;
      case "link-opened":
        this.#core.leadership?.replication.probe(input.peer);
        election.onVoterReachable(this.#core, input.peer);
        break;
      case "learn":
        this.#follower.onLearnt(input);
        break;
      case "compact":
        assert(input.snapshot <= this.#delivered, "a snapshot is of what was given out as committed");
        this.#core.compact(input.snapshot, input.upTo);
        break;
      case "installed":
        this.#follower.onInstalled(input.snapshot);
        break;
      case "campaign":
        this.#onCampaign(input.electionTicks);
        break;
      case "transfer":
        this.#core.leadership?.transfer(input.to);
        break;
      default:
        input satisfies never;
    }
  }

  #onTick(electionTicks: number): void {
    if (this.#core.leadership !== undefined) {
      this.#core.leadership.onTick();
    } else {
      this.#core.leaderSilentTicks++;
      if (this.#core.timer.tick(electionTicks)) election.beginPreVote(this.#core);
    }
  }

  #onPropose(proposals: readonly Proposal[]): void {
    for (const proposal of proposals) {
      if (this.#core.leadership?.propose(proposal) !== true) this.#dropped.push(proposal);
    }
  }

  #onLinkClosed(peer: MemberId, campaignTicks: number): void {
    this.#core.leadership?.replication.probe(peer);
    if (peer !== this.#core.leader) return;
    this.#core.leader = undefined;
    this.#core.timer.restartWith(campaignTicks);
  }

  #onCampaign(electionTicks: number): void {
    if (this.#core.role === "leader") return;
    this.#core.timer.restartWith(electionTicks);
    election.beginPreVote(this.#core);
  }

  #onMessage(from: MemberId, message: Message): void {
    const core = this.#core;
    if (message.term > core.term && raisesTerm(message)) core.becomeFollower(message.term, undefined);
    switch (message.type) {
      case "pre-vote":
        election.onPreVoteRequest(core, from, message);
        break;
      case "pre-vote-reply":
        election.onPreVoteReply(core, from, message);
        break;
      case "vote":
        election.onVoteRequest(core, from, message);
        break;
      case "vote-reply":
        election.onVoteReply(core, from, message);
        break;
      case "append":
        this.#follower.onAppendRequest(from, message);
        break;
      case "snapshot":
        this.#follower.onSnapshotNotice(from, message);
        break;
      case "append-reply":
        if (message.term === core.term) core.leadership?.replication.onReply(from, message);
        break;
      case "timeout-now":
        election.onTimeoutNow(core, message);
        break;
      default:
        message satisfies never;
    }
  }

  #takeReady(): Ready {
    const core = this.#core;
    core.leadership?.flush(this.#confirmed);
    this.#follower.flush();
    const persist = core.durability.take(core.log);
    // What a snapshot covers is not given out: the driver restores it.
    const committed = core.log.range(Math.max(this.#delivered, persist?.snapshot?.index ?? 0) + 1, core.commit);
    this.#delivered = core.commit;
    const ready: Ready = {
      persist,
      ...core.outbox.take(core.durability),
      committed,
      snapshotWanted: this.#follower.takeSnapshotWanted(),
      reads: this.#confirmed,
      readsRefused: core.readsRefused,
      dropped: this.#dropped,
    };
    if (ready.reads.length > 0) this.#confirmed = [];
    if (ready.readsRefused.length > 0) core.readsRefused = [];
    if (ready.dropped.length > 0) this.#dropped = [];
    return ready;
  }
}

/** A pre-vote is about a term that may never begin, and its answer is for those alone who asked. */
function raisesTerm(message: Message): boolean {
  return message.type !== "pre-vote" && message.type !== "pre-vote-reply";
}
