import { assert } from "../env/index.ts";
import type { Ballot } from "./ballot.ts";
import { Configuration } from "./configuration.ts";
import { Durability } from "./durability.ts";
import { ElectionTimer } from "./election-timer.ts";
import type { Leadership } from "./leadership.ts";
import { Log } from "./log.ts";
import { Outbox } from "./outbox.ts";
import type { Entry, Index, LogPosition, MemberId, RaftOptions, Role, SnapshotMark, Term } from "./types.ts";

/**
 * What all roles of one member share, and the way back to follower, from anywhere. Internal to the folder: `Raft` is its only owner,
 * and election, follower and leadership change it on its behalf.
 */
export class Core {
  readonly options: RaftOptions;
  readonly log: Log;
  readonly configuration: Configuration;
  readonly durability: Durability;
  readonly outbox: Outbox;
  readonly timer: ElectionTimer;
  role: Role = "follower";
  leader: MemberId | undefined;
  /** Ticks since the leader was heard. */
  leaderSilentTicks = 0;
  commit: Index;
  /** What our latest durable snapshot covers. The log may begin before its end, never after it. */
  snapshot: SnapshotMark | undefined;
  /** While a candidate of either kind. */
  ballot: Ballot | undefined;
  isTransferCampaign = false;
  /** While leader. */
  leadership: Leadership | undefined;
  /** To be told at the end of the step. */
  readsRefused: number[] = [];

  constructor(options: RaftOptions) {
    this.options = options;
    const { snapshot } = options;
    this.snapshot = snapshot;
    this.commit = snapshot?.index ?? 0;
    this.log = new Log(options.base ?? { index: 0, term: 0 }, options.entries);
    assert(this.log.base.index <= this.commit, "the log begins where the snapshot ends, or before");
    assert(snapshot === undefined || this.log.has(snapshot), "the log goes on from the snapshot");
    assert(this.log.lastTerm <= options.hardState.term, "the term on disk is not below the log's");
    this.configuration = new Configuration(options.votersOf);
    if (snapshot !== undefined) this.configuration.restartAt(snapshot);
    for (const entry of options.entries) if (entry.index > this.commit) this.configuration.onAppend(entry);
    this.durability = new Durability(options.hardState, this.log.lastIndex);
    this.outbox = new Outbox(options.self);
    this.timer = new ElectionTimer(options.electionTicks);
  }

  get self(): MemberId {
    return this.options.self;
  }

  get term(): Term {
    return this.durability.hardState.term;
  }

  get last(): LogPosition {
    return this.log.last;
  }

  get voters(): readonly MemberId[] {
    return this.configuration.voters;
  }

  get isVoter(): boolean {
    return this.voters.includes(this.self);
  }

  /**
   * Whoever is removed by an entry that it alone holds must be elected to commit it: the others vote for nobody whose log is behind (the
   * thesis, section 4.2.2).
   */
  get mayCampaign(): boolean {
    return this.configuration.isNeeded(this.self, this.commit);
  }

  /** @param term - ours or a later one */
  becomeFollower(term: Term, leader: MemberId | undefined): void {
    if (this.role !== "follower") this.timer.restart();
    if (term > this.term) this.durability.hardState = { term, votedFor: undefined };
    this.leadership?.reads.refuseAll(this.readsRefused);
    this.leadership = undefined;
    this.ballot = undefined;
    this.role = "follower";
    this.leader = leader;
  }

  append(entry: Entry): void {
    this.log.append(entry);
    if (this.configuration.onAppend(entry)) this.leadership?.replication.setVoters(this.voters);
  }

  /** A snapshot of what we applied is durable: the entries that it covers may go. */
  compact(index: Index, upTo: Index): void {
    assert(upTo <= index && index <= this.commit, `a snapshot at ${index} is of what is committed, and covers ${upTo}`);
    if (index > (this.snapshot?.index ?? 0)) {
      this.snapshot = { ...this.log.positionAt(index), voters: this.configuration.votersAt(index) };
      this.configuration.forgetBefore(index);
    }
    if (upTo > this.log.base.index) this.log.dropUpTo(upTo);
  }

  /** A snapshot from elsewhere takes the place of our log. */
  restartAt(snapshot: SnapshotMark): void {
    assert(snapshot.index > this.commit, "a snapshot never takes back what is committed");
    this.durability.onSnapshot(snapshot, this.commit);
    this.log.restartAt(snapshot);
    this.configuration.restartAt(snapshot);
    this.snapshot = snapshot;
    this.commit = snapshot.index;
  }

  truncateFrom(index: Index): void {
    assert(index > this.commit, `committed entry ${index} is never removed`);
    this.log.truncateFrom(index);
    this.configuration.onTruncate(index);
    this.durability.onTruncate(index);
  }
}
