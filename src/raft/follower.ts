import { assert } from "../env/index.ts";
import { type AppendPlan, planAppend } from "./append.ts";
import type { Core } from "./core.ts";
import type {
  AppendReply,
  AppendRequest,
  Index,
  Input,
  LogPosition,
  MemberId,
  SnapshotMark,
  SnapshotNotice,
  Term,
} from "./types.ts";

interface Answer {
  readonly to: MemberId;
  readonly term: Term;
  index: Index;
  round: number;
}

/**
 * A follower's side of replication: makes its log equal to the leader's, and answers.
 *
 * An append with entries is answered when they are on disk. One without entries is a question (heartbeat, read, probe): it is answered at
 * once, with what is on disk already, and only if its round is new. All appends of one step get one answer of each kind.
 */
export class Follower {
  readonly #core: Core;
  #promise: Answer | undefined;
  #question: Answer | undefined;
  #answered: Answer | undefined;
  /** The leader's last notice of a snapshot, as it will be answered once we have one. */
  #notice: Answer | undefined;
  #snapshotWanted: LogPosition | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  onAppendRequest(from: MemberId, request: AppendRequest): void {
    const core = this.#core;
    if (request.term < core.term) {
      this.#refuseOldTerm(from, request.prev.index);
      return;
    }
    this.#onLeaderHeard(from);
    this.#append(from, request);
  }

  /**
   * What is committed here is in the leader's log, so the answer names it. Where the place is in our log, all before it is equal too, and no
   * snapshot is needed.
   */
  onSnapshotNotice(from: MemberId, { term, place, round }: SnapshotNotice): void {
    const core = this.#core;
    if (term < core.term) {
      this.#refuseOldTerm(from, place.index);
      return;
    }
    this.#onLeaderHeard(from);
    if (core.log.has(place)) core.commit = Math.max(core.commit, place.index);
    const answer: Answer = { to: from, term, index: core.commit, round };
    this.#question = later(this.#question, answer);
    if (place.index <= core.commit) return;
    this.#snapshotWanted = place;
    this.#notice = answer;
  }

  /** A snapshot at or below the commit index says nothing new; one whose place is in the log says that it is committed. */
  onInstalled(snapshot: SnapshotMark): void {
    const core = this.#core;
    if (core.role === "leader" || snapshot.index <= core.commit) return;
    this.#onNewer(Math.max(core.term, snapshot.term));
    if (core.log.has(snapshot)) core.commit = snapshot.index;
    else core.restartAt(snapshot);
    this.#snapshotWanted = undefined;
    if (this.#notice?.term === core.term) {
      this.#promise = later(this.#promise, { ...this.#notice, index: snapshot.index });
    }
    this.#notice = undefined;
  }

  /** What a majority has on disk already needs no promise of ours. */
  onLearnt({ prev, entries, commit }: Extract<Input, { type: "learn" }>): void {
    const core = this.#core;
    if (core.role === "leader") return;
    const term = Math.max(core.term, prev.term, entries[entries.length - 1]?.term ?? 0);
    const plan = planAppend(core.log, core.commit, { prev, entries, term });
    if (plan.type !== "fits") return;
    if (plan.missing.length > 0 || term > core.term) this.#onNewer(term);
    this.#take(plan);
    core.commit = Math.max(core.commit, Math.min(commit, plan.matched));
  }

  takeSnapshotWanted(): LogPosition | undefined {
    const wanted = this.#snapshotWanted;
    this.#snapshotWanted = undefined;
    return wanted !== undefined && wanted.index > this.#core.commit ? wanted : undefined;
  }

  /** At the end of a step. */
  flush(): void {
    const { outbox, durability, term } = this.#core;
    const promise = this.#promise;
    const question = this.#question;
    this.#promise = undefined;
    this.#question = undefined;
    // What was said to the leader of an older term need not be true any more.
    if (question?.term === term && !this.#isAnswered(question)) {
      this.#answered = question;
      this.#reply(question.to, accepted({ ...question, index: Math.min(question.index, durability.durableIndex) }));
    }
    if (promise?.term === term) outbox.sendAfterPersist(promise.to, accepted(promise));
  }

  /**
   * Others hold what we lack, so whoever campaigns gives up: a ballot counts the voters of the log that it began with, and a vote that was asked
   * for with a newer log could make it a second leader of its term.
   */
  #onNewer(term: Term): void {
    const core = this.#core;
    if (term > core.term || core.ballot !== undefined) core.becomeFollower(term, core.leader);
  }

  #onLeaderHeard(from: MemberId): void {
    const core = this.#core;
    assert(core.role !== "leader", `one leader in term ${core.term}, not ${core.self} and ${from}`);
    if (core.role !== "follower" || core.leader !== from) core.becomeFollower(core.term, from);
    core.leaderSilentTicks = 0;
    core.timer.restart();
  }

  #append(from: MemberId, request: AppendRequest): void {
    const core = this.#core;
    const { prev, entries, round, term } = request;
    const plan = planAppend(core.log, core.commit, request);
    if (plan.type === "malformed") return;
    if (plan.type === "conflict") {
      this.#reply(from, { type: "append-reply", term, round, conflict: plan.hint, index: prev.index });
      return;
    }
    this.#take(plan);
    core.commit = Math.max(core.commit, Math.min(request.commit, plan.matched));
    const answer: Answer = { to: from, term, index: plan.matched, round };
    if (entries.length > 0) this.#promise = later(this.#promise, answer);
    else this.#question = later(this.#question, answer);
  }

  #take({ truncateFrom, missing }: AppendPlan & { type: "fits" }): void {
    if (truncateFrom !== undefined) this.#core.truncateFrom(truncateFrom);
    for (const entry of missing) this.#core.append(entry);
  }

  #refuseOldTerm(from: MemberId, index: Index): void {
    const { term, last } = this.#core;
    // Round 0: this answers no question of a leader of our term, whoever that is.
    this.#reply(from, { type: "append-reply", term, round: 0, conflict: last, index });
  }

  /** For what holds already, but for our term, which may still be on its way to the disk. */
  #reply(to: MemberId, reply: AppendReply): void {
    const { outbox, durability } = this.#core;
    if (durability.isHardStateDurable) outbox.send(to, reply);
    else outbox.sendAfterHardState(to, reply);
  }

  #isAnswered(question: Answer): boolean {
    return this.#answered?.term === question.term && this.#answered.round >= question.round;
  }
}

/** The logs are equal as far as the furthest of both. */
function later(earlier: Answer | undefined, answer: Answer): Answer {
  if (earlier?.term !== answer.term) return answer;
  earlier.index = Math.max(earlier.index, answer.index);
  earlier.round = Math.max(earlier.round, answer.round);
  return earlier;
}

function accepted({ term, round, index }: Answer): AppendReply {
  return { type: "append-reply", term, round, conflict: undefined, index };
}
