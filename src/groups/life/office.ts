import type { PeerId } from "../../identity/index.ts";
import { UniqueId } from "../../identity/index.ts";
import type { Index, MemberId, Term } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import type { Bond } from "../bonds/index.ts";
import { type NumberedBatch, peerOf, type Support } from "../entries/index.ts";
import type { Replica } from "../replica/index.ts";
import { ReadServer } from "../requests/index.ts";
import type { Draft, RaftDriver } from "./driver.ts";
import { ticks } from "./driver.ts";
import { Keeper } from "./keeper.ts";
import { LeaderTerm } from "./leader.ts";
import type { LifeContext } from "./life-context.ts";
import { SessionKeeper, type SessionView } from "./session-keeper.ts";

/** How often a leader looks whose owners are away. */
const SESSIONS_LOOK_MS = 500;

/** Who leads best, comes first. */
const Reluctance = { none: 0, reluctant: 1, full: 2 } as const;

export interface OfficeOptions {
  readonly context: LifeContext;
  readonly driver: RaftDriver;
  readonly replica: Replica;
  readonly incarnation: IncarnationId;
  readonly self: MemberId;
  /** Elected: its log ends here. */
  readonly onElected: (term: Term, last: Index) => void;
}

/**
 * What a member does while it leads: appends commands, confirms reads, looks after the voters, lets go of those who leave, and hands over when
 * somebody else should lead. Empty-handed while it does not lead.
 */
export class Office {
  readonly #o: OfficeOptions;
  readonly #reads = new ReadServer();
  readonly #removals = new Map<PeerId, number>();
  #term: LeaderTerm | undefined;
  #keeper: Keeper | undefined;
  #sessionKeeper: SessionKeeper;
  /** Until the next attempt to hand over to a member that would rather lead. */
  #patienceTicks = 0;

  constructor(options: OfficeOptions) {
    this.#o = options;
    this.#sessionKeeper = this.#newSessionKeeper();
  }

  /** An outdated member leads for a moment, if nobody else can; it takes nothing that it cannot judge. */
  get isServing(): boolean {
    return this.#term?.isServing === true && !this.#o.replica.isOutdated;
  }

  /** What is appended can come to be committed: neither our own disk is full, nor those of too many voters. */
  get hasRoom(): boolean {
    const { driver } = this.#o;
    if (driver.refusal !== undefined) return false;
    const { voters } = driver.raft;
    return voters.filter((voter) => this.#bondOf(voter)?.status.isFull === true).length * 2 < voters.length;
  }

  /** After each step: takes office, leaves it, or begins to serve. */
  update(): void {
    const { driver } = this.#o;
    const { raft } = driver;
    if (this.#term !== undefined && (!driver.isLeader || this.#term.term !== raft.term)) {
      this.#term = undefined;
      this.#keeper = undefined;
      this.#reads.refuseAll();
    }
    if (!driver.isLeader) return;
    this.#term ??= this.#begin();
    if (!this.#term.isServing) this.#updateServing(this.#term);
    this.#term.onCommit(raft.commit);
    if (this.#term.agreed === undefined) this.#agree(this.#term);
    // A step that changes nothing must not ask for the next.
    if (this.#term.wantsToAppend && this.#mayAppend) driver.wake();
  }

  /** Each tick. */
  tick(): void {
    if (this.#o.driver.isLeader) this.#yieldIfFull();
    if (this.#term === undefined || this.#keeper === undefined || !this.#o.replica.isOpen) return;
    this.#endSessions(this.#term);
    this.#agree(this.#term);
    const { raft } = this.#o.driver;
    const { configurationIndex, progress, commit } = raft.status();
    const isSettled = configurationIndex <= commit && raft.termAt(commit) === raft.term;
    const change = this.#keeper.tick({
      self: this.#o.self,
      voters: raft.voters,
      progress,
      others: this.#o.context.bonds.all,
      incarnation: this.#o.incarnation,
      commit,
      isLeaving: this.#o.context.isLeaving(),
      votersMax: this.#o.context.maxVoters,
      isFit: (peer) => this.#o.context.compatibility.isFit(this.#o.context.bonds.get(peer)),
    });
    if (isSettled) this.#release(raft.voters);
    if (change !== undefined && isSettled && this.#mayAppend) {
      const { logger, groupId } = this.#o.context;
      const fields = {
        group: UniqueId.short(groupId),
        peer: UniqueId.short(peerOf(change.member)),
        voters: change.voters.length,
      };
      logger.info(fields, change.type === "add" ? "a voter is added" : "a voter is removed");
      if (change.type === "remove") this.#keeper.onRemoved(change.member);
      this.#term.changeVoters(change.voters);
      this.#o.driver.wake();
    }
    if (--this.#patienceTicks < 0) this.#yieldIfReluctant();
  }

  takeDrafts(firstIndex: Index): readonly Draft[] {
    return this.hasRoom ? (this.#term?.takeDrafts(firstIndex) ?? []) : [];
  }

  /** What our log may hold from now on; as leader also before it is applied. */
  get agreed(): Support | undefined {
    return this.#term?.agreed ?? this.#o.replica.agreed;
  }

  openSession(key: string, owner: PeerId): void {
    this.#term?.openSession(key, owner, (isEnding) => this.#sessionKeeper.oldest(this.#sessionView(), isEnding));
    this.#o.driver.wake();
  }

  hasSession(key: string): boolean {
    return this.#term?.hasSession(key) === true;
  }

  closeSession(key: string, owner: PeerId): void {
    this.#term?.closeSession(key, owner);
    this.#o.driver.wake();
  }

  endSession(session: Index): void {
    this.#term?.endSessions([session]);
    this.#o.driver.wake();
  }

  /** The number that is expected instead, if these cannot be taken. @throws DecodeError */
  takeBatches(session: Index, owner: PeerId, batches: readonly NumberedBatch[]): number | undefined {
    if (!this.isServing) return undefined;
    const expected = this.#term?.takeBatches(session, owner, batches);
    this.#o.driver.wake();
    return expected;
  }

  /** `undefined`: not confirmed by us. */
  read(reply: (index: Index | undefined) => void): void {
    const id = this.isServing ? this.#reads.register(reply) : undefined;
    if (id === undefined) reply(undefined);
    else this.#o.driver.enqueue({ type: "read", id });
  }

  onReads(confirmed: readonly { readonly id: number; readonly index: Index }[], refused: readonly number[]): void {
    for (const { id, index } of confirmed) this.#reads.answer(id, index);
    for (const id of refused) this.#reads.answer(id, undefined);
  }

  wantOpen(): void {
    if (this.#term === undefined || this.#term.isOpening) return;
    this.#term.wantOpen();
    this.#o.driver.wake();
  }

  /** Hands over to `to`, or to the best that is neither leaving nor reluctant, or else not leaving. False: there is nobody. */
  handOver(to?: PeerId): boolean {
    const target = this.#successor(to);
    if (target === undefined) return false;
    this.#o.driver.enqueue({ type: "transfer", to: target });
    return true;
  }

  stop(): void {
    this.#reads.refuseAll();
  }

  #begin(): LeaderTerm {
    const { driver, replica, context } = this.#o;
    const { raft } = driver;
    const { heartbeatIntervalMs, electionTimeoutMs, promoteAfterMs, removeDeadAfterMs } = context.timing;
    const tail = raft.entriesFrom(replica.index + 1, raft.last.index, Number.MAX_SAFE_INTEGER);
    this.#keeper = new Keeper(
      {
        heartbeatTicks: ticks(heartbeatIntervalMs),
        promoteAfterTicks: ticks(promoteAfterMs),
        removeDeadAfterTicks: ticks(removeDeadAfterMs),
      },
      this.#removals,
    );
    this.#sessionKeeper = this.#newSessionKeeper();
    this.#patienceTicks = ticks(electionTimeoutMs);
    this.#o.onElected(raft.term, raft.last.index);
    return new LeaderTerm(raft.term, replica, tail, () => context.env.clock.monotonicUs());
  }

  #agree(term: LeaderTerm): void {
    if (this.#o.replica.isOutdated) return;
    const next = this.#o.context.compatibility.next(term.agreed);
    if (next === undefined) return;
    term.agreeOn(next);
    if (term.wantsToAppend && this.#mayAppend) this.#o.driver.wake();
  }

  get #mayAppend(): boolean {
    return !this.#o.driver.raft.isHandingOver && this.hasRoom;
  }

  #newSessionKeeper(): SessionKeeper {
    return new SessionKeeper({
      ttlTicks: ticks(this.#o.context.timing.sessionTtlMs),
      lookTicks: ticks(SESSIONS_LOOK_MS),
    });
  }

  #endSessions(term: LeaderTerm): void {
    const ended = this.#sessionKeeper.tick(this.#sessionView());
    if (ended.length === 0) return;
    term.endSessions(ended);
    this.#o.driver.wake();
  }

  #sessionView(): SessionView {
    const { context, replica } = this.#o;
    const isInSight = (peer: PeerId): boolean => peer === context.selfId || context.bonds.get(peer) !== undefined;
    return { open: replica.sessions.open, isInSight };
  }

  #updateServing(term: LeaderTerm): void {
    const { raft } = this.#o.driver;
    const { progress, durable } = raft.status();
    term.updateServing({
      commit: raft.commit,
      voters: raft.voters.length,
      holders: (index) => progress.filter(({ match }) => match >= index).length + (durable >= index ? 1 : 0),
      isLone: raft.voters.length === 1,
    });
  }

  /** Told again each tick until the bond closes: cheap, and nothing to remember. */
  #release(voters: readonly MemberId[]): void {
    const { incarnation, context } = this.#o;
    for (const bond of context.bonds.all) {
      const isGone = bond.status.isLeaving && bond.status.incarnation === incarnation && !voters.includes(bond.member);
      if (isGone) bond.send({ type: "released", incarnation });
    }
  }

  /** Others can write what we cannot. Tried again each tick. */
  #yieldIfFull(): void {
    const { driver } = this.#o;
    if (driver.refusal === undefined || driver.raft.isHandingOver) return;
    const target = this.#successor();
    if (target !== undefined && this.#reluctance(target) < Reluctance.full) {
      driver.enqueue({ type: "transfer", to: target });
    }
  }

  #yieldIfReluctant(): void {
    const { context } = this.#o;
    this.#patienceTicks = ticks(context.timing.electionTimeoutMs);
    const isReluctant = context.timing.electionFactor > 1 || this.#o.replica.failure !== undefined;
    if (!isReluctant || this.#term?.isServing !== true) return;
    const target = this.#successor();
    if (target !== undefined && this.#reluctance(target) === Reluctance.none) {
      this.#o.driver.enqueue({ type: "transfer", to: target });
    }
  }

  #successor(to?: PeerId): MemberId | undefined {
    const heartbeatTicks = ticks(this.#o.context.timing.heartbeatIntervalMs);
    const candidates = this.#o.driver.raft
      .progress()
      .filter(({ member, silentTicks }) => silentTicks <= 2 * heartbeatTicks && this.#bondOf(member) !== undefined)
      .filter(({ member }) =>
        to === undefined ? this.#bondOf(member)?.status.isLeaving === false : peerOf(member) === to,
      )
      .sort((a, b) => this.#reluctance(a.member) - this.#reluctance(b.member) || b.match - a.match);
    return candidates[0]?.member;
  }

  #reluctance(member: MemberId): number {
    const status = this.#bondOf(member)?.status;
    if (status?.isFull === true) return Reluctance.full;
    return status?.isReluctant === true ? Reluctance.reluctant : Reluctance.none;
  }

  #bondOf(member: MemberId): Bond | undefined {
    const bond = this.#o.context.bonds.get(peerOf(member));
    return bond?.member === member ? bond : undefined;
  }
}
