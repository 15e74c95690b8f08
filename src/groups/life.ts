import { type Env, LIMITS, type Logger, type Scope } from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import type { Entry, Envelope, HardState, Index, MemberId, Term } from "../raft/index.ts";
import type { IncarnationId, Storage } from "../storage/index.ts";
import { DecodeError } from "../wire/index.ts";
import { Applier } from "./applier.ts";
import type { Bond } from "./bond.ts";
import type { Bonds } from "./bonds.ts";
import { ENTRY_OPEN, votersOf } from "./entries.ts";
import { type CommittedLog, committedLogOf, Follower, FollowServer } from "./follow.ts";
import type { BondFrame } from "./frames.ts";
import { checkBatches, LeaderTerm } from "./leader.ts";
import type { MachineRuntime } from "./machine/index.ts";
import type { GroupProbe, ProbeSource } from "./probe.ts";
import { ReadServer } from "./reads.ts";
import { type AppliedBatch, type MachineFailure, Replica } from "./replica.ts";
import { memberId, peerOf } from "./status.ts";
import { type Timing, Voter } from "./voter.ts";

/** Elections that a member may have missed. A term near the end of all numbers would leave none for the next one. */
const TERM_STEP_MAX = 2 ** 20;

/** What a life needs of the member that it belongs to. */
export interface LifeContext {
  readonly env: Env;
  readonly scope: Scope;
  readonly selfId: PeerId;
  readonly groupId: UniqueId;
  readonly networkId: UniqueId;
  readonly runtime: MachineRuntime;
  readonly timing: Timing;
  readonly logger: Logger;
  readonly probe: GroupProbe | undefined;
  readonly bonds: Bonds;
  /** Leader, term, role or progress may have changed. */
  onChange(): void;
  onApplied(index: Index): void;
  onBatch(batch: AppliedBatch): void;
  onSession(key: string, session: Index): void;
  onMachineFailure(failure: MachineFailure): void;
  onStorageFailure(cause: unknown): void;
  /** An invariant of ours does not hold: the member must not go on. */
  onBug(cause: unknown): void;
}

/**
 * The life of one store in one incarnation: as voter it runs Raft, as reader it follows. Begins when the store is bound, or loaded bound, and
 * ends with the member or when the store is set aside.
 */
export class Life {
  readonly incarnation: IncarnationId;
  readonly storage: Storage;
  readonly self: MemberId;
  readonly replica: Replica;
  readonly voter: Voter | undefined;
  readonly #c: LifeContext;
  readonly #follower: Follower | undefined;
  readonly #applier: Applier;
  readonly #readServer = new ReadServer();
  readonly #followServer: FollowServer;
  readonly #source: ProbeSource;
  #leaderTerm: LeaderTerm | undefined;
  /** Applied so far, one counts as caught up with the present leader. */
  #onlineAt: { readonly term: Term; readonly index: Index } | undefined;
  #toldCommit: Index = 0;
  #hasOpenEntry: boolean;
  #knownVoters: readonly MemberId[] = [];

  constructor(
    context: LifeContext,
    store: { storage: Storage; incarnation: IncarnationId; hardState: HardState; entries: readonly Entry[] },
  ) {
    this.#c = context;
    this.storage = store.storage;
    this.incarnation = store.incarnation;
    this.self = memberId(context.selfId, store.storage.storeId);
    this.#source = { peer: context.selfId, group: context.groupId, member: this.self, incarnation: store.incarnation };
    this.#hasOpenEntry = store.entries.some(({ kind }) => kind === ENTRY_OPEN);
    const { runtime, groupId, networkId, scope, probe } = context;
    this.replica = new Replica({
      runtime,
      groupId,
      networkId,
      events: {
        onBatch: (batch) => context.onBatch(batch),
        onSession: (key, session) => context.onSession(key, session),
        onFailure: (failure) => context.onMachineFailure(failure),
      },
    });
    this.#applier = new Applier({
      replica: this.replica,
      scope,
      onApplied: (entry) => probe?.onApply(this.#source, entry, this.replica.position),
      onProgress: () => context.onApplied(this.replica.index),
    });
    this.#followServer = new FollowServer(() => this.#committedLog());
    probe?.onStart(this.#source, store.hardState, store.entries);
    const voters = lastVoters(store.entries);
    if (voters?.includes(this.self)) this.voter = this.#makeVoter(store.hardState, store.entries);
    else this.#follower = this.#makeFollower(store.entries);
  }

  get role(): "voter" | "reader" {
    return this.voter === undefined ? "reader" : "voter";
  }
  get voters(): readonly MemberId[] {
    return this.voter?.raft.voters ?? this.#knownVoters;
  }
  get isLeader(): boolean {
    return this.voter?.isLeader === true;
  }
  /** As the leader: takes commands and strong reads. */
  get isServing(): boolean {
    return this.#leaderTerm?.isServing === true;
  }
  /** It leads, as its node's user sees it: it serves, or, being alone, would at the first need. */
  get leads(): boolean {
    if (this.isServing) return true;
    return this.isLeader && this.voters.length === 1 && this.#isPast(this.term);
  }
  /** In our log, committed or not. */
  get isOpen(): boolean {
    return this.#hasOpenEntry;
  }
  get commit(): Index {
    return this.voter?.raft.commit ?? this.#follower?.commit ?? 0;
  }

  get term(): Term {
    if (this.voter !== undefined) return this.voter.raft.term;
    return this.#leaderBond()?.status.term ?? 0;
  }

  get leader(): PeerId | undefined {
    if (this.voter === undefined) return this.#leaderBond()?.peer;
    const { leader } = this.voter.raft;
    return leader === undefined ? undefined : peerOf(leader);
  }

  /** Caught up with a leader that serves. */
  get isOnline(): boolean {
    if (this.replica.failure !== undefined) return false;
    if (this.isLeader) return this.leads && this.#isPast(this.term);
    if (!this.replica.isOpen) return false;
    const leader = this.leader;
    const bond = leader === undefined ? undefined : this.#c.bonds.get(leader);
    if (bond?.status.isServing !== true || bond.status.incarnation !== this.incarnation) return false;
    if (this.voter !== undefined) return this.#isPast(this.voter.raft.term);
    return this.#follower?.isCaughtUp === true && this.replica.index >= this.commit;
  }

  /** Handles what concerns the log. */
  onFrame(bond: Bond, frame: BondFrame): void {
    switch (frame.type) {
      case "raft":
        if (this.voter !== undefined && bond.isBound(frame, this.self, this.incarnation)) this.#onRaft(bond, frame);
        break;
      case "open-session":
        bond.checkSession(frame.key);
        this.openSession(frame.key);
        break;
      case "commands":
        this.#onCommands(bond, frame);
        break;
      case "read":
        this.read((index) => bond.send({ type: "read-reply", request: frame.request, index }));
        break;
      case "fetch":
        this.#followServer.onFetch(bond, frame.incarnation, frame.after);
        break;
      case "entries":
        this.#follower?.onEntries(bond, frame);
        break;
    }
  }

  onBondUp(bond: Bond): void {
    bond.isNews();
    if (bond.status.incarnation === this.incarnation) this.voter?.enqueue({ type: "link-opened", peer: bond.member });
    this.#follower?.refresh();
  }

  onBondDown(bond: Bond): void {
    this.#followServer.onBondDown(bond);
    this.voter?.onLinkClosed(bond.member);
    this.#follower?.refresh();
  }

  onDrain(bond: Bond): void {
    this.#followServer.onDrain(bond, this.incarnation);
  }

  onStatus(bond: Bond): void {
    this.#follower?.refresh();
    // Only then: whoever is probed anew is sent again what is on its way.
    if (bond.isNews() && bond.status.incarnation === this.incarnation) {
      this.voter?.enqueue({ type: "link-opened", peer: bond.member });
    }
  }

  /** Ignored by all but a serving leader: whoever asked asks again. */
  openSession(key: string): void {
    this.#leaderTerm?.openSession(key);
    this.voter?.wake();
  }

  /** The number that is expected instead, if the leader cannot take these. */
  takeBatches(session: Index, batches: (BondFrame & { type: "commands" })["batches"]): number | undefined {
    if (!this.isServing) return undefined;
    const expected = this.#leaderTerm?.takeBatches(session, batches);
    this.voter?.wake();
    return expected;
  }

  /** Confirms a read as the leader; `undefined` if this is not one that serves. */
  read(reply: (index: Index | undefined) => void): void {
    if (!this.isServing || this.voter === undefined) return reply(undefined);
    const id = this.#readServer.register(reply);
    if (id === undefined) reply(undefined);
    else this.voter.enqueue({ type: "read", id });
  }

  /** A lone leader opens at the first need; others as soon as all voters hold the genesis. */
  wantOpen(): void {
    if (this.#leaderTerm === undefined || this.#leaderTerm.isOpening) return;
    this.#leaderTerm.wantOpen();
    this.voter?.wake();
  }

  stop(): void {
    this.voter?.stop();
    this.#follower?.stop();
    this.#readServer.refuseAll();
  }

  #makeVoter(hardState: HardState, entries: readonly Entry[]): Voter {
    const { env, timing, probe } = this.#c;
    const voter = new Voter({
      env,
      self: this.self,
      storage: this.storage,
      hardState,
      entries,
      timing,
      probe,
      source: this.#source,
      events: {
        send: (envelopes) => this.#send(envelopes),
        onCommitted: (committed) => this.#applier.push(committed),
        onReads: (reads, refused) => {
          for (const { id, index } of reads) this.#readServer.answer(id, index);
          for (const id of refused) this.#readServer.answer(id, undefined);
        },
        onStep: () => this.#onStep(),
        takeDrafts: (firstIndex) => this.#leaderTerm?.takeDrafts(firstIndex) ?? [],
        onStorageFailure: (cause) => this.#c.onStorageFailure(cause),
        onBug: (cause) => this.#c.onBug(cause),
      },
    });
    probe?.onVoter(this.#source, {
      campaign: () => voter.campaign(),
      transfer: (to) => voter.enqueue({ type: "transfer", to }),
    });
    return voter;
  }

  #makeFollower(entries: readonly Entry[]): Follower {
    const { env, scope, bonds } = this.#c;
    this.#onFollowed(entries);
    return new Follower({
      env,
      scope,
      storage: this.storage,
      incarnation: this.incarnation,
      entries,
      bonds: () => bonds.all,
      leader: () => this.leader,
      onEntries: (more) => {
        this.#onFollowed(more);
        this.#followServer.onCommit(this.incarnation);
        this.#c.onChange();
      },
      onFailure: (cause) => this.#c.onStorageFailure(cause),
    });
  }

  #onFollowed(entries: readonly Entry[]): void {
    this.#knownVoters = lastVoters(entries) ?? this.#knownVoters;
    this.#hasOpenEntry ||= entries.some(({ kind }) => kind === ENTRY_OPEN);
    if (entries.length > 0) this.#applier.push(entries);
  }

  #onRaft(bond: Bond, frame: BondFrame & { type: "raft" }): void {
    for (const message of frame.messages) {
      if (message.term > this.term + TERM_STEP_MAX) throw new DecodeError("a term that no election led to");
      if (message.type === "append" && (this.#onlineAt?.term ?? 0) < message.term) {
        this.#onlineAt = { term: message.term, index: message.commit };
      }
      this.voter?.enqueue({ type: "message", from: bond.member, message });
    }
  }

  #onCommands(bond: Bond, frame: BondFrame & { type: "commands" }): void {
    checkBatches(this.#c.runtime, frame.batches);
    const expected = this.takeBatches(frame.session, frame.batches);
    if (expected !== undefined) bond.send({ type: "commands-refused", session: frame.session, expected });
  }

  #onStep(): void {
    const voter = this.voter;
    if (voter === undefined) return;
    const { raft } = voter;
    // Until it is applied it may still be truncated; the log is short as long as that lasts.
    if (!this.replica.isOpen) {
      this.#hasOpenEntry = raft
        .entriesFrom(1, raft.last.index, Number.MAX_SAFE_INTEGER)
        .some(({ kind }) => kind === ENTRY_OPEN);
    }
    this.#updateLeaderTerm(voter);
    if (raft.commit > this.#toldCommit) {
      this.#toldCommit = raft.commit;
      this.#followServer.onCommit(this.incarnation);
    }
    this.#c.onChange();
  }

  #updateLeaderTerm(voter: Voter): void {
    const { raft } = voter;
    if (!voter.isLeader || this.#leaderTerm?.term !== raft.term) {
      if (this.#leaderTerm !== undefined) this.#readServer.refuseAll();
      this.#leaderTerm = undefined;
    }
    if (!voter.isLeader) return;
    if (this.#leaderTerm === undefined) {
      const tail = raft.entriesFrom(this.replica.index + 1, raft.last.index, Number.MAX_SAFE_INTEGER);
      this.#leaderTerm = new LeaderTerm(raft.term, this.replica, tail, () => this.#c.env.clock.monotonicUs());
      this.#onlineAt = { term: raft.term, index: raft.last.index };
      voter.wake();
    }
    if (this.#leaderTerm.isServing) return;
    const { progress, durable } = raft.status();
    this.#leaderTerm.updateServing({
      commit: raft.commit,
      voters: raft.voters.length,
      holders: (index) => progress.filter(({ match }) => match >= index).length + (durable >= index ? 1 : 0),
      isLone: raft.voters.length === 1,
    });
    if (this.#leaderTerm.wantsToAppend) voter.wake();
  }

  #send(envelopes: readonly Envelope[]): void {
    const byPeer = new Map<MemberId, Envelope[]>();
    for (const envelope of envelopes) {
      const list = byPeer.get(envelope.to);
      if (list === undefined) byPeer.set(envelope.to, [envelope]);
      else list.push(envelope);
    }
    for (const [to, list] of byPeer) {
      const bond = this.#c.bonds.get(peerOf(to));
      // To another store, or before it is bound, nothing is meant: Raft sends again.
      if (bond?.member !== to || bond.status.incarnation !== this.incarnation) continue;
      for (let at = 0; at < list.length; at += LIMITS.raftMessagesMax) {
        bond.sendRaft(this.self, this.incarnation, list.slice(at, at + LIMITS.raftMessagesMax));
      }
    }
  }

  /** Whoever says that it leads, in the highest term. */
  #leaderBond(): Bond | undefined {
    let best: Bond | undefined;
    for (const bond of this.#c.bonds.all) {
      const { status } = bond;
      if (status.incarnation !== this.incarnation || status.leader !== bond.peer) continue;
      if (best === undefined || status.term > best.status.term) best = bond;
    }
    return best;
  }

  #isPast(term: Term): boolean {
    return this.#onlineAt !== undefined && this.#onlineAt.term === term && this.replica.index >= this.#onlineAt.index;
  }

  #committedLog(): CommittedLog | undefined {
    if (this.#follower !== undefined) return this.#follower;
    return this.voter && committedLogOf(this.voter.raft);
  }
}

function lastVoters(entries: readonly Entry[]): readonly MemberId[] | undefined {
  let voters: readonly MemberId[] | undefined;
  for (const entry of entries) voters = votersOf(entry) ?? voters;
  return voters;
}
