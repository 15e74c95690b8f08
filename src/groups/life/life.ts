import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { HardState, Index, MemberId, SnapshotMark, Term } from "../../raft/index.ts";
import type { IncarnationId, Storage } from "../../storage/index.ts";
import { DecodeError } from "../../wire/index.ts";
import type { Bond, BondFrame } from "../bonds/index.ts";
import { ENTRY_COMMANDS, ENTRY_OPEN, memberId, peerOf } from "../entries/index.ts";
import { Applier, Replica, type ReplicaState } from "../replica/index.ts";
import type { StoredLog } from "../snapshots/index.ts";
import { CommandIntake, type CommandsAnswer } from "./command-intake.ts";
import { RaftDriver } from "./driver.ts";
import { committedLogOf, FollowServer } from "./follow-server.ts";
import type { LifeContext } from "./life-context.ts";
import { Office } from "./office.ts";
import type { ProbeSource } from "./probe.ts";
import { Puller } from "./puller.ts";
import { sendRaft } from "./raft-sender.ts";
import { Snapshots } from "./snapshots.ts";
import { Surroundings } from "./surroundings.ts";

/** Elections that a member may have missed. A term near the end of all numbers would leave none for the next one. */
const TERM_STEP_MAX = 2 ** 20;

/**
 * The life of one store in one incarnation: Raft runs in every life, for whoever is asked votes by its log alone; who is no
 * voter by that log, or hears no leader, pulls what is committed. Begins when the store is bound, or loaded bound, and
 * ends with the member or when the store is set aside.
 */
export class Life {
  readonly incarnation: IncarnationId;
  readonly storage: Storage;
  readonly self: MemberId;
  readonly replica: Replica;
  readonly driver: RaftDriver;
  readonly office: Office;
  readonly commands: CommandIntake;
  readonly snapshots: Snapshots;
  readonly #c: LifeContext;
  readonly #puller: Puller;
  readonly #applier: Applier;
  readonly #followServer: FollowServer;
  readonly #surroundings: Surroundings;
  readonly #source: ProbeSource;
  /** The bond and store that Raft was told of, for each peer. */
  readonly #linked = new Map<PeerId, { readonly bond: Bond; readonly member: MemberId }>();
  /** Applied so far, one counts as caught up with the leader of this term. */
  #onlineAt: { readonly term: Term; readonly index: Index } | undefined;
  #toldCommit: Index = 0;
  #hasOpenEntry = false;

  constructor(
    context: LifeContext,
    store: { storage: Storage; incarnation: IncarnationId; hardState: HardState; stored: StoredLog },
  ) {
    const { stored } = store;
    this.#c = context;
    this.storage = store.storage;
    this.incarnation = store.incarnation;
    this.self = memberId(context.selfId, store.storage.storeId);
    this.#source = { peer: context.selfId, group: context.groupId, member: this.self, incarnation: store.incarnation };
    const { runtime, groupId, networkId, replicaEvents, compatibility } = context;
    const { format } = compatibility.own;
    this.replica = new Replica({ runtime, groupId, networkId, events: replicaEvents, format });
    if (stored.snapshot !== undefined) this.replica.restore(stored.snapshot.mark, stored.snapshot.state);
    const start = stored.snapshot && { base: stored.base, snapshot: stored.snapshot.mark };
    context.probe?.onStart(this.#source, store.hardState, stored.entries, start);
    this.driver = this.#makeDriver(store.hardState, stored);
    this.snapshots = new Snapshots({
      context,
      storage: this.storage,
      incarnation: this.incarnation,
      replica: this.replica,
      driver: this.driver,
      leader: () => this.leader,
    });
    this.#applier = new Applier({
      replica: this.replica,
      scope: context.scope,
      snapshotter: this.snapshots.snapshotter,
      onApplied: (entry) => context.probe?.onApply(this.#source, entry, this.replica.position),
      onProgress: () => context.onApplied(),
    });
    this.office = new Office({
      context,
      driver: this.driver,
      replica: this.replica,
      incarnation: this.incarnation,
      self: this.self,
      onElected: (term, index) => {
        this.#onlineAt = { term, index };
      },
    });
    this.commands = new CommandIntake(context, this.office);
    this.#surroundings = new Surroundings({
      isObserver: context.isObserver,
      incarnation: this.incarnation,
      bonds: () => context.bonds.all,
      distance: () => this.distance,
    });
    this.#followServer = new FollowServer({
      incarnation: this.incarnation,
      log: committedLogOf(this.driver.raft),
      nowUs: () => context.env.clock.monotonicUs(),
      pullersMax: () => (this.isLeader ? LIMITS.leaderPullersMax : LIMITS.pullersMax),
    });
    this.#puller = this.#makePuller();
    if (!this.replica.isOpen) this.#findOpenEntry();
  }

  get role(): "voter" | "reader" {
    return this.voters.includes(this.self) ? "voter" : "reader";
  }
  get voters(): readonly MemberId[] {
    return this.driver.raft.voters;
  }
  get isLeader(): boolean {
    return this.driver.isLeader;
  }
  /** As the leader: takes commands and strong reads. */
  get isServing(): boolean {
    return this.office.isServing;
  }
  /** It leads, as its node's user sees it: it serves, or, being alone, would at the first need. */
  get leads(): boolean {
    if (this.isServing) return true;
    return this.isLeader && this.voters.length === 1 && this.#isPast(this.term);
  }
  /** In our log, committed or not. One that is learnt and applied in a single step is never looked for in the log. */
  get isOpen(): boolean {
    return this.replica.isOpen || this.#hasOpenEntry;
  }
  /** A command is in our log, committed or not. */
  get hasCommands(): boolean {
    const { raft } = this.driver;
    if (this.replica.position > 0 || this.replica.failure !== undefined) return true;
    const tail = raft.entriesFrom(this.replica.index + 1, raft.last.index, Number.MAX_SAFE_INTEGER);
    return tail.some(({ kind }) => kind === ENTRY_COMMANDS);
  }
  get commit(): Index {
    return this.driver.raft.commit;
  }

  get term(): Term {
    const { term } = this.driver.raft;
    return this.role === "voter" ? term : Math.max(term, this.#surroundings.hearsay?.term ?? 0);
  }

  get leader(): PeerId | undefined {
    const { leader } = this.driver.raft;
    if (leader !== undefined) return peerOf(leader);
    return this.role === "voter" ? undefined : this.#surroundings.hearsay?.leader;
  }

  /** From a voter, over those who pull from each other. */
  get distance(): number {
    return this.role === "voter" ? 0 : this.#puller.distance;
  }

  /** Whom it pulls from, and who pulls from it. For people. */
  get following(): { readonly source: PeerId | undefined; readonly pullers: number; readonly counts: object } {
    return { source: this.#puller.source, pullers: this.#followServer.pullers, counts: { ...this.#puller.counts } };
  }

  /** Caught up with a leader that serves. */
  get isOnline(): boolean {
    if (this.replica.failure !== undefined) return false;
    if (this.isLeader) return this.leads && this.#isPast(this.term);
    if (!this.replica.isOpen) return false;
    if (!this.#isServed) return false;
    if (this.role === "voter" && this.#isPast(this.term)) return true;
    return this.#puller.isCaughtUp && this.replica.index >= this.commit;
  }

  /** A majority of the voters is in sight, ourselves included if we vote. */
  get seesQuorum(): boolean {
    const isSeen = (voter: MemberId): boolean => this.#c.bonds.get(peerOf(voter))?.member === voter;
    const seen = this.voters.filter((voter) => voter === this.self || isSeen(voter));
    return seen.length * 2 > this.voters.length;
  }

  /** Handles what concerns the log. */
  onFrame(bond: Bond, frame: BondFrame): void {
    switch (frame.type) {
      case "raft":
        if (bond.isBound(frame, this.self, this.incarnation)) this.#onRaft(bond, frame);
        break;
      case "open-session":
        this.#onOpenSession(bond, frame.key);
        break;
      case "close-session":
        this.office.closeSession(frame.key, bond.peer);
        break;
      case "commands":
        this.#answer(bond, this.commands.fromPeer(bond, frame.session, frame.batches));
        break;
      case "read":
        this.office.read((index) => bond.send({ type: "read-reply", request: frame.request, index }));
        break;
      case "fetch":
        this.#followServer.onFetch(bond, frame);
        break;
      case "entries":
        this.#puller.onEntries(bond, frame);
        break;
      case "log-begins":
        this.#puller.onLogBegins(bond, frame);
        break;
      case "fetch-refused":
        this.#puller.onRefused(bond, frame);
        break;
      case "snapshot-ask":
      case "snapshot-offer":
      case "snapshot-fetch":
      case "snapshot-chunk":
        this.snapshots.onFrame(bond, frame);
        break;
      case "transfer":
        if (this.isLeader) this.office.handOver(frame.to);
        break;
    }
  }

  /** A bond is new, or its peer told something new of itself. */
  onBond(bond: Bond): void {
    const known = this.#linked.get(bond.peer);
    const isOurs = bond.status.incarnation === this.incarnation;
    if (isOurs && (known?.bond !== bond || known.member !== bond.member)) {
      this.#linked.set(bond.peer, { bond, member: bond.member });
      this.driver.enqueue({ type: "link-opened", peer: bond.member });
    }
    this.#updatePuller();
  }

  onBondDown(bond: Bond): void {
    this.#followServer.onBondDown(bond);
    this.#puller.onBondDown(bond);
    this.snapshots.onBondDown(bond);
    const known = this.#linked.get(bond.peer);
    if (known?.bond === bond) {
      this.#linked.delete(bond.peer);
      this.driver.onLinkClosed(known.member);
    }
    this.#updatePuller();
  }

  onDrain(bond: Bond): void {
    this.#followServer.onDrain(bond);
  }

  tick(): void {
    this.driver.tick();
    this.office.tick();
    this.snapshots.tick();
  }

  stop(): void {
    this.driver.stop();
    this.#applier.stop();
    this.#puller.stop();
    this.snapshots.stop();
    this.office.stop();
    this.#c.room.forget(this);
  }

  #makeDriver(hardState: HardState, { base, entries, snapshot }: StoredLog): RaftDriver {
    const { env, timing, probe } = this.#c;
    const driver = new RaftDriver({
      env,
      self: this.self,
      storage: this.storage,
      hardState,
      entries,
      base,
      snapshot: snapshot?.mark,
      timing,
      probe,
      source: this.#source,
      events: {
        send: (envelopes) => sendRaft(this.#c.bonds, this, envelopes),
        onCommitted: (committed) => this.#applier.push(committed),
        onRestored: (place, state) => this.#onRestored(place, state),
        onSnapshotWanted: ({ index }) => this.snapshots.want(index),
        onReads: (reads, refused) => this.office.onReads(reads, refused),
        onStep: () => this.#onStep(),
        takeDrafts: (firstIndex) => this.office.takeDrafts(firstIndex),
        onRoom: () => this.#c.room.note(this, driver.refusal),
        onStorageFailure: (cause) => this.#c.onStorageFailure(cause),
        onBug: (cause) => this.#c.onStop(cause),
      },
    });
    probe?.onVoter(this.#source, {
      campaign: () => driver.campaign(),
      transfer: (to) => driver.enqueue({ type: "transfer", to }),
    });
    return driver;
  }

  #makePuller(): Puller {
    const { env, scope, bonds } = this.#c;
    const { raft } = this.driver;
    return new Puller({
      env,
      scope,
      incarnation: this.incarnation,
      bonds: () => bonds.all,
      leader: () => this.leader,
      last: () => raft.last,
      committed: () => ({ index: raft.commit, term: raft.termAt(raft.commit) ?? 0 }),
      termAt: (index) => raft.termAt(index),
      onSnapshotNeeded: (index) => this.snapshots.want(index),
      onLearnt: (prev, entries, commit) => this.driver.enqueue({ type: "learn", prev, entries, commit }),
    });
  }

  /** A voter that hears its leader is fed by it. */
  #updatePuller(): void {
    const isFed = this.role === "voter" && this.driver.raft.leader !== undefined;
    // Without room what is pulled would gather in memory.
    const hasRoom = this.driver.refusal === undefined;
    this.#puller.update(hasRoom && !isFed && this.#surroundings.mayPull);
  }

  /** There is a leader that serves. An observer mostly has no bond with it; in an incarnation that ever served, whoever leads does. */
  get #isServed(): boolean {
    const { leader } = this;
    if (leader === undefined) return false;
    const status = this.#c.bonds.get(leader)?.status;
    if (status === undefined) return this.#c.isObserver && this.replica.establishedIndex !== undefined;
    return status.isServing && status.incarnation === this.incarnation;
  }

  #onRaft(bond: Bond, frame: BondFrame & { type: "raft" }): void {
    for (const message of frame.messages) {
      if (message.term > this.term + TERM_STEP_MAX) throw new DecodeError("a term that no election led to");
      if (message.type === "append" && (this.#onlineAt?.term ?? 0) < message.term) {
        this.#onlineAt = { term: message.term, index: message.commit };
      }
      // As if the wire had lost it: it is sent again.
      if (message.type === "append" && message.entries.length > 0 && this.driver.isOverfull) continue;
      this.driver.enqueue({ type: "message", from: bond.member, message });
    }
  }

  /** A member has one session at a time: another comes when the one before is at its end. */
  #onOpenSession(bond: Bond, key: string): void {
    if (!this.isServing) return;
    const { sessionKey } = bond;
    const isSecond = sessionKey !== undefined && sessionKey !== key && this.office.hasSession(sessionKey);
    if (isSecond) throw new DecodeError("a second session over one bond");
    bond.sessionKey = key;
    this.office.openSession(key, bond.peer);
  }

  #answer(bond: Bond, answer: CommandsAnswer | undefined): void {
    if (answer !== undefined) bond.send(answer);
  }

  #onRestored(place: SnapshotMark, state: ReplicaState): void {
    this.#applier.restore(place, state);
    this.#c.onRestored();
  }

  #onStep(): void {
    const { raft } = this.driver;
    if (!this.replica.isOpen) this.#findOpenEntry();
    this.office.update();
    if (raft.commit > this.#toldCommit) {
      this.#toldCommit = raft.commit;
      this.#followServer.onCommit();
    }
    this.#updatePuller();
    this.#c.onChange();
  }

  /** Until it is applied it may still be truncated; the log is short as long as that lasts. */
  #findOpenEntry(): void {
    const { raft } = this.driver;
    const entries = raft.entriesFrom(1, raft.last.index, Number.MAX_SAFE_INTEGER);
    this.#hasOpenEntry = entries.some(({ kind }) => kind === ENTRY_OPEN);
  }

  #isPast(term: Term): boolean {
    return this.#onlineAt !== undefined && this.#onlineAt.term === term && this.replica.index >= this.#onlineAt.index;
  }
}
