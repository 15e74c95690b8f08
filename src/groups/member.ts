import { ConditionWaits, type GroupState, type MosaikError, mosaikError, Scope } from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import type { Storage } from "../storage/index.ts";
import {
  type Bond,
  type BondFrame,
  Bonds,
  type MemberStatus,
  NO_OPENINGS,
  NO_STORE,
  observersOf,
  openingsOf,
  StatusTeller,
} from "./bonds/index.ts";
import { Departure } from "./departure.ts";
import { Ending } from "./ending.ts";
import { exportState, Founder, openStore } from "./founding/index.ts";
import { Compatibility, DiskRoom, type Life, type LifeContext, type MemberOptions, TICK_MS } from "./life/index.ts";
import { statusOfLife } from "./member-status.ts";
import { Observations } from "./observations.ts";
import { type MachineFailure, machineFailed } from "./replica/index.ts";
import { Proposer, Reads } from "./requests/index.ts";
import { Router } from "./router.ts";

const TICKS_PER_SECOND = 1_000 / TICK_MS;

/**
 * This node's part in one group: bonds, the life of its store, and the node's own commands and reads on their way to the leader.
 */
export class Member {
  readonly bonds: Bonds;
  readonly proposer: Proposer;
  readonly reads: Reads;
  readonly conditions = new ConditionWaits("the group");
  readonly departure: Departure;
  readonly ending: Ending;
  readonly observations: Observations;
  readonly compatibility: Compatibility;
  readonly founder: Founder;
  readonly room: DiskRoom;
  readonly #o: MemberOptions;
  /** Under which it is found by those who want to be bonded with it. */
  readonly #advertisedId: UniqueId;
  readonly #scope: Scope;
  readonly #context: LifeContext;
  readonly #router: Router;
  readonly #teller = new StatusTeller(() => this.bonds);
  readonly #unsubscribe: () => void;
  #storage: Storage | undefined;
  #life: Life | undefined;
  #wasOnline = false;
  #machineFailure: MosaikError | undefined;
  #isDemandKnown = false;
  #ticks = 0;

  constructor(options: MemberOptions) {
    this.#o = options;
    const { env, selfId, groupId, directory, logger, support } = options;
    this.#advertisedId = options.isObserver ? observersOf(groupId) : groupId;
    this.observations = new Observations(logger, options.name, () => ({
      life: this.#life,
      bonds: this.bonds.all,
      status: this.status(),
    }));
    this.#scope = new Scope(env, (cause) => this.ending.stop(cause));
    this.room = new DiskRoom({ group: options.name, scope: this.#scope, logger, onChange: () => this.#onChange() });
    const nowUs = (): number => env.clock.monotonicUs();
    this.proposer = new Proposer(() => Buffer.from(env.random.bytes(16)).toString("hex"), nowUs);
    this.reads = new Reads(nowUs, () => this.#life?.replica.index ?? 0);
    this.#router = new Router(selfId, this.proposer, this.reads);
    this.compatibility = new Compatibility({ own: support, selfId, bonds: () => this.bonds, life: () => this.#life });
    this.bonds = this.#makeBonds(options);
    this.departure = new Departure({
      scope: this.#scope,
      bonds: this.bonds,
      conditions: this.conditions,
      selfId,
      isEligible: !options.isObserver,
      life: () => this.#life,
      isSucceeding: () => this.founder.isSucceeding,
      state: () => this.state,
      onChange: () => this.#onChange(),
    });
    this.ending = new Ending({
      name: options.name,
      logger,
      isDurable: options.storage.isDurable,
      scope: this.#scope,
      bonds: this.bonds,
      departure: this.departure,
      storage: () => this.#storage,
      onEnd: (cause) => this.#onEnd(cause),
    });
    this.#context = this.#makeContext(options);
    this.founder = new Founder({
      context: this.#context,
      directory,
      expect: options.expect,
      source: options.from,
      status: () => this.status(),
      openStorage: () => options.storage.open(groupId),
      begin: (life) => this.#begin(life),
      end: (storage, isCarriedOn) => this.#end(storage, isCarriedOn),
      onFailure: (cause) => this.ending.onStorageFailure(cause),
    });
    this.#unsubscribe = directory.onChange(({ entry }) => {
      this.bonds.refresh(entry.id);
      this.founder.evaluate();
    });
    this.#scope.spawn(() => this.#open());
  }

  get life(): Life | undefined {
    return this.#life;
  }
  get position(): number {
    return this.#life?.replica.position ?? 0;
  }
  get leader(): PeerId | undefined {
    return this.ending.isUnderWay ? undefined : this.#life?.leader;
  }
  get isLeader(): boolean {
    return !this.ending.isUnderWay && this.#life?.leads === true;
  }
  get term(): number {
    return this.#life?.term ?? 0;
  }
  get isOnline(): boolean {
    return this.state === "online";
  }

  /** Why no command and no query can be answered any more. */
  get failure(): MosaikError | undefined {
    return this.ending.failure ?? this.#machineFailure;
  }

  get state(): GroupState {
    if (this.ending.isUnderWay) return "closed";
    if (this.#life?.isOnline === true) return "online";
    const hasWaited = this.#wasOnline || (this.#life?.isOpen === true && this.founder.isLeaderlessForLong);
    if (hasWaited && this.leader === undefined && this.#life?.seesQuorum !== true) return "no-quorum";
    return this.#wasOnline ? "offline" : "joining";
  }

  status(): MemberStatus {
    return {
      storeId: this.#storage?.storeId ?? NO_STORE,
      isEligible: !this.#o.isObserver,
      isLeaving: this.departure.isLeaving,
      isReluctant: this.#o.timing.electionFactor > 1 || this.#machineFailure !== undefined,
      isFull: this.room.isFull || (this.#life?.isLeader === true && !this.#life.office.hasRoom),
      left: this.founder.left,
      ...statusOfLife(this.#life),
    };
  }

  /** A command or read of this node waits: send it with all others of this turn, and open a lone incarnation for it. */
  onDemand(): void {
    if (this.#isDemandKnown) return;
    this.#isDemandKnown = true;
    queueMicrotask(() => {
      this.#isDemandKnown = false;
      this.#life?.office.wantOpen();
      this.bonds.visit(this.leader);
      this.proposer.pump();
    });
  }

  export(signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    return exportState(this.#context, this.#life, signal);
  }

  #makeBonds(options: MemberOptions): Bonds {
    const { runtime } = options;
    return new Bonds({
      ...options,
      scope: this.#scope,
      group: options.groupId,
      machine: { name: runtime.name, version: runtime.version, codec: runtime.codecName },
      status: () => this.status(),
      openings: () => (this.#storage === undefined ? NO_OPENINGS : openingsOf(this.#storage)),
      refusalOf: (peer, version) => this.compatibility.refusalOf(peer, version),
      handlers: {
        onOpen: (bond) => this.#onBondUp(bond),
        onFrame: (bond, frame) => this.#onFrame(bond, frame),
        onDrain: (bond) => {
          this.#life?.onDrain(bond);
          this.proposer.pump();
        },
        onClose: (bond) => this.#onBondDown(bond),
        onAttempted: () => this.founder.evaluate(),
        onDoubted: (by) => this.founder.onDoubted(by),
      },
    });
  }

  #makeContext(options: MemberOptions): LifeContext {
    return {
      ...options,
      scope: this.#scope,
      bonds: this.bonds,
      compatibility: this.compatibility,
      room: this.room,
      replicaEvents: {
        onBatch: (batch) => this.proposer.onBatch(batch),
        onSession: (key, session) => this.proposer.onSession(key, session),
        onSessionEnd: (session, last) => this.proposer.onSessionEnd(session, last),
        onAgreed: () => {
          this.bonds.dropOutdated();
          this.#resume();
        },
        onFailure: (failure) => this.#onMachineFailure(failure),
        isWatched: () => this.observations.isWatched,
        onCommand: (command) => this.observations.tell(command),
      },
      onChange: () => this.#onChange(),
      onApplied: () => this.#onApplied(),
      onRestored: () => this.#onRestored(),
      onStorageFailure: (cause) => this.ending.onStorageFailure(cause),
      onStop: (cause) => this.ending.stop(cause),
      isLeaving: () => this.departure.isLeaving,
    };
  }

  async #open(): Promise<void> {
    // Deadlines pass while the store is opened, too.
    this.#scope.every(TICK_MS, () => this.#onTick());
    try {
      const { storage, groupId, discard } = this.#o;
      this.#storage = await this.room.until(() => openStore(storage, groupId, discard));
    } catch (cause) {
      return this.ending.onStorageFailure(cause);
    }
    this.observations.noteStore(this.#storage);
    if (this.#scope.isClosed) return this.#storage.close();
    this.#o.directory.advertiseGroup(this.#advertisedId);
    await this.founder.start(this.#storage);
    this.bonds.refresh();
  }

  #begin(life: Life): void {
    this.#life = life;
    // First who we are: what we ask for next is asked in its name.
    this.#tellStatus();
    for (const bond of this.bonds.all) life.onBond(bond);
    this.#onChange();
  }

  /** The store was given up, and another drawn. @param isCarriedOn - with the same state, and at once with a life of its own */
  #end(storage: Storage, isCarriedOn: boolean): void {
    this.#life?.stop();
    this.#life = undefined;
    this.#storage = storage;
    this.reads.forget();
    if (isCarriedOn) return;
    this.proposer.forget();
    this.observations.tell({ type: "reset", position: 0 });
    this.#onChange();
  }

  #onBondUp(bond: Bond): void {
    bond.send({ type: "machine", support: this.compatibility.own });
    this.#life?.onBond(bond);
    this.#onChange();
    // Our hello may be older than what we became since.
    bond.send({ type: "status", status: this.status() });
    this.founder.onBondChange(bond);
  }

  #onBondDown(bond: Bond): void {
    this.#life?.onBondDown(bond);
    this.founder.evaluate();
    this.#onChange();
  }

  #onFrame(bond: Bond, frame: BondFrame): void {
    switch (frame.type) {
      case "status":
        this.#life?.onBond(bond);
        this.observations.reportRivals();
        this.founder.onBondChange(bond);
        return this.#onChange();
      case "genesis":
        return this.founder.onGenesis(frame.entry);
      case "dissolve":
        return this.founder.onDissolve(bond, frame.incarnation);
      case "released":
        return this.departure.onReleased(bond, frame.incarnation);
      case "machine":
        return this.#onChange();
      case "commands-unsupported":
      case "commands-refused":
      case "read-reply":
        return this.#router.onFrame(bond, frame);
      default:
        this.#life?.onFrame(bond, frame);
    }
  }

  #onTick(): void {
    this.#ticks++;
    this.#life?.tick();
    this.departure.tick();
    this.proposer.sweep();
    this.reads.sweep();
    this.#resume();
    if (this.#ticks % TICKS_PER_SECOND !== 0 || this.#storage === undefined) return;
    this.observations.reportRivals();
    if (!this.#scope.isClosed) this.#teller.tellPosition(this.status());
    this.founder.evaluate();
    this.bonds.refresh();
    this.conditions.notify();
  }

  /** What waits may go on now. With nothing to ask for, the leader is left alone: each observer would make a bond with it. */
  #resume(): void {
    if (this.proposer.isBusy || this.reads.pending > 0) this.onDemand();
  }

  #onApplied(): void {
    this.reads.onApplied();
    this.conditions.notify();
  }

  #onRestored(): void {
    const { replica } = this.#life as Life;
    this.observations.tell({ type: "reset", position: replica.position });
    this.proposer.onRestored(replica.sessions, replica.position);
  }

  #onChange(): void {
    this.observations.update(this.#life);
    this.#router.update(this.#life, (peer) => this.bonds.get(peer));
    this.#tellStatus();
    this.founder.onChange();
    if (this.isOnline) this.#wasOnline = true;
    this.conditions.notify();
  }

  #tellStatus(): void {
    if (this.#storage !== undefined && !this.#scope.isClosed) this.#teller.tell(this.status());
  }

  #onMachineFailure(failure: MachineFailure): void {
    const { position, command, cause } = failure;
    this.#machineFailure = machineFailed(failure, "not-applied");
    this.#o.logger.error(
      { group: this.#o.name, position, command, cause },
      "the state machine failed and is halted on this member",
    );
    this.proposer.fail(machineFailed(failure, "unknown"), this.#machineFailure);
    this.reads.close(this.#machineFailure);
    this.conditions.close(this.#machineFailure);
    this.#life?.office.handOver();
  }

  #onEnd(cause: MosaikError | undefined): void {
    this.proposer.close(cause);
    this.reads.close(cause ?? mosaikError("closed", "the group was closed"));
    this.conditions.close(cause);
    this.observations.close();
    this.#unsubscribe();
    this.#o.directory.withdrawGroup(this.#advertisedId);
    this.#life?.stop();
  }
}
