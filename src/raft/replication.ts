import { assert } from "../env/index.ts";
import { bytesOf, type Log } from "./log.ts";
import type { Outbox } from "./outbox.ts";
import { Progress } from "./progress.ts";
import { majority, reachedByMajority } from "./quorum.ts";
import type { AppendReply, Entry, Index, LogPosition, MemberId, RaftOptions, Term } from "./types.ts";

/**
 * One leader's work for its followers, in one term.
 *
 * Inputs only change `Progress`; `flush`, once at the end of a step, decides what leaves. So a thousand proposals in one step are a few
 * appends, and each append carries the latest commit index.
 *
 * Rounds number the leader's questions. A follower answers an append without entries only if its round is new, so that news of a commit
 * costs no answer. Heartbeats and reads begin a round with an append of its own, without entries: its answer promises nothing and need
 * not wait for the follower's disk.
 */
export class Replication {
  readonly #options: RaftOptions;
  readonly #term: Term;
  readonly #log: Log;
  readonly #outbox: Outbox;
  /** Sorted by member, without ourselves. */
  #followers: Progress[] = [];
  #isVoter = false;
  #round = 1;
  #isRoundDue = false;
  #heartbeatElapsedTicks = 0;

  constructor(options: RaftOptions, term: Term, log: Log, outbox: Outbox) {
    this.#options = options;
    this.#term = term;
    this.#log = log;
    this.#outbox = outbox;
  }

  get followers(): readonly Progress[] {
    return this.#followers;
  }

  get round(): number {
    return this.#round;
  }

  /** Keeps what is known of those that stay. */
  setVoters(voters: readonly MemberId[]): void {
    const { self } = this.#options;
    this.#isVoter = voters.includes(self);
    this.#followers = voters
      .filter((voter) => voter !== self)
      .map((voter) => this.find(voter) ?? new Progress(voter, this.#log.lastIndex + 1));
  }

  find(member: MemberId): Progress | undefined {
    return this.#followers.find((follower) => follower.member === member);
  }

  onTick(): void {
    for (const follower of this.#followers) follower.silentTicks++;
    if (++this.#heartbeatElapsedTicks >= this.#options.heartbeatTicks) this.beginRound();
  }

  /** The link to this member is new, or gone: what was under way may be lost. */
  probe(member: MemberId): void {
    this.find(member)?.probe(this.#round + 1);
  }

  /** The number of a round that no message carries yet. */
  beginRound(): number {
    if (!this.#isRoundDue) this.#round++;
    this.#isRoundDue = true;
    return this.#round;
  }

  onReply(from: MemberId, reply: AppendReply): void {
    const follower = this.find(from);
    // Round 0 was refused in an older term; what was never asked or never sent cannot have been answered.
    if (follower === undefined || reply.round < 1 || reply.round > this.#round) return;
    if (reply.index > this.#log.lastIndex) return;
    follower.silentTicks = 0;
    follower.ackedRound = Math.max(follower.ackedRound, reply.round);
    if (reply.conflict === undefined) {
      follower.onAccepted(reply.index, reply.round, this.#log.base.index);
    } else {
      const meetingPoint = this.#log.lastNotAbove(reply.conflict);
      follower.onRefused(reply.index, reply.round, meetingPoint, this.#round + 1);
    }
  }

  /** The highest index that a majority has on disk. Our own disk counts like any other, and only if we vote. */
  durableOnMajority(ownDurableIndex: Index): Index {
    return this.#reachedByMajority(ownDurableIndex, (follower) => follower.match);
  }

  /** The latest round that a majority answered. */
  roundOfMajority(): number {
    return this.#reachedByMajority(this.#round, (follower) => follower.ackedRound);
  }

  /** A majority answered within the last `ticks`. */
  hasQuorumWithin(ticks: number): boolean {
    let active = this.#isVoter ? 1 : 0;
    for (const follower of this.#followers) if (follower.silentTicks <= ticks) active++;
    return active >= majority(this.#followers.length + (this.#isVoter ? 1 : 0));
  }

  /** The follower that could lead the soonest: of those that answer, the one with most of the log. */
  bestFollower(): Progress | undefined {
    let best: Progress | undefined;
    for (const follower of this.#followers) {
      if (best === undefined || this.#isBetter(follower, best)) best = follower;
    }
    return best;
  }

  /**
   * Sends what each follower lacks and may get.
   *
   * @param snapshot - ours, for those who need what is no longer in the log
   */
  flush(commit: Index, snapshot: LogPosition | undefined): void {
    for (const follower of this.#followers) {
      if (follower.next <= this.#log.base.index) {
        this.#flushSnapshot(follower, snapshot);
        continue;
      }
      if (this.#isRoundDue) this.#send(follower, NO_ENTRIES, commit);
      if (follower.state === "probe") this.#flushProbe(follower, commit);
      else this.#flushReplicate(follower, commit);
    }
    if (this.#isRoundDue) this.#heartbeatElapsedTicks = 0;
    this.#isRoundDue = false;
  }

  /** Once when it becomes known, then with each round: no answer leads to another notice. */
  #flushSnapshot(follower: Progress, snapshot: LogPosition | undefined): void {
    assert(snapshot !== undefined, "a snapshot covers what is no longer in the log");
    if (follower.state === "snapshot" && !this.#isRoundDue) return;
    if (!this.#isRoundDue) this.#round++;
    if (follower.state !== "snapshot") follower.awaitSnapshot(this.#round);
    const { index, term } = snapshot;
    const notice = { type: "snapshot", term: this.#term, place: { index, term }, round: this.#round } as const;
    this.#outbox.send(follower.member, notice);
  }

  #flushProbe(follower: Progress, commit: Index): void {
    if (follower.isProbeSent) return;
    follower.isProbeSent = true;
    this.#round++;
    this.#send(follower, this.#nextBatch(follower), commit);
  }

  #flushReplicate(follower: Progress, commit: Index): void {
    while (follower.next <= this.#log.lastIndex && follower.window.bytes < this.#options.inflightBytesMax) {
      const entries = this.#nextBatch(follower);
      this.#send(follower, entries, commit);
      follower.next += entries.length;
      follower.window.push(follower.next - 1, sumOfBytes(entries));
    }
    if (commit > follower.sentCommit) this.#send(follower, NO_ENTRIES, commit);
  }

  #nextBatch(follower: Progress): readonly Entry[] {
    const { appendEntriesMax: entriesMax, appendBytesMax: bytesMax } = this.#options;
    return this.#log.batch(follower.next, this.#log.lastIndex, { entriesMax, bytesMax });
  }

  #send(follower: Progress, entries: readonly Entry[], commit: Index): void {
    follower.sentCommit = commit;
    this.#outbox.send(follower.member, {
      type: "append",
      term: this.#term,
      prev: this.#log.positionAt(follower.next - 1),
      entries,
      commit,
      round: this.#round,
    });
  }

  #reachedByMajority(own: number, of: (follower: Progress) => number): number {
    const values = this.#followers.map(of);
    if (this.#isVoter) values.push(own);
    return reachedByMajority(values);
  }

  #isBetter(a: Progress, b: Progress): boolean {
    const { electionTicksMin } = this.#options;
    const isReachable = a.silentTicks <= electionTicksMin;
    if (isReachable !== b.silentTicks <= electionTicksMin) return isReachable;
    return a.match > b.match;
  }
}

function sumOfBytes(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += bytesOf(entry);
  return bytes;
}

const NO_ENTRIES: readonly Entry[] = Object.freeze([]);
