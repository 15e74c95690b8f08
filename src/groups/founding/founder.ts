import type { PeerDirectory } from "../../discovery/index.ts";
import { assert, mosaikError, type Timer } from "../../env/index.ts";
import { type PeerId, UniqueId } from "../../identity/index.ts";
import type { Entry, MemberId } from "../../raft/index.ts";
import type { IncarnationId, Storage, StorageWrite } from "../../storage/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { type Bond, LEFT_MAX, type MemberStatus } from "../bonds/index.ts";
import { decodeGenesis, ENTRY_GENESIS, encodeGenesis, memberId } from "../entries/index.ts";
import { Life, type LifeContext } from "../life/index.ts";
import type { Replica } from "../replica/index.ts";
import { loadOrClose, loadStore, type StoredLog } from "../snapshots/index.ts";
import { readImport, snapshotRefused, writeImport } from "./export.ts";
import { decideFounding, type FoundingStep, type Seen, seesCompany } from "./founding.ts";
import { type Beginning, drawIncarnation, logRecovered, Recovery, tellProbe } from "./recovery.ts";
import { Review } from "./review.ts";

/** A founder waits this long for each lower id that it sees; a lone one, once. */
const BOOTSTRAP_DELAY_MS = 1_000;
/** Before it follows, a member looks around for so long if it has not met all: the lower of two rivals may come into sight a moment later. */
const LOOK_AROUND_MS = 100;
/** Of the genesis: every term that is voted on comes later. */
const GENESIS_TERM = 1;

export interface FounderOptions {
  readonly context: LifeContext;
  readonly directory: PeerDirectory;
  readonly expect: number | undefined;
  /** An export, from which the group is to be made. */
  readonly source: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | undefined;
  readonly status: () => MemberStatus;
  readonly openStorage: () => Promise<Storage>;
  readonly begin: (life: Life) => void;
  /** The life ended; this is the new store. It is free, or goes on with the state of the former one. */
  readonly end: (storage: Storage, isCarriedOn: boolean) => void;
  readonly onFailure: (cause: unknown) => void;
}

/**
 * Binds a free store to an incarnation: founds one, accepts a genesis that names it, or follows one that is open. Sets a store aside
 * that leads nowhere (`Review`). The rules are in `founding.ts`; here are their timers and writes.
 *
 * Invariant: a store is bound durably before anything is answered in its incarnation's name, and never bound twice.
 */
export class Founder {
  readonly recovery: Recovery;
  readonly #o: FounderOptions;
  readonly #review: Review;
  #storage: Storage | undefined;
  #life: Life | undefined;
  /** A write that binds or sets aside is under way. */
  #isBusy = false;
  #isSucceeding = false;
  /** The state that the group is to begin with. */
  #imported: Replica | undefined;
  #foundedHere = false;
  #hasCampaigned = false;
  #foundingSinceUs: number | undefined;
  #followingSinceUs: number | undefined;
  #timer: Timer | undefined;
  #left: readonly IncarnationId[] = [];
  /** A lone leader sees free members, and no other incarnation, since then. */
  #companySinceUs: number | undefined;

  constructor(options: FounderOptions) {
    this.#o = options;
    const { context, expect } = options;
    this.#review = new Review({ context, expect, self: () => this.#self(), others: () => this.#others() });
    this.recovery = new Recovery({
      context,
      directory: options.directory,
      isEligible: expect !== undefined,
      isLoaded: () => this.#storage !== undefined,
      life: () => (this.#isBusy ? undefined : this.#life),
      others: () => this.#others(),
      begin: (life, beginning) => this.#begin(life, beginning),
    });
  }

  /** Incarnations whose stores were set aside here, the latest last. */
  get left(): readonly IncarnationId[] {
    return this.#left;
  }

  /** The former store is given up for another one, and that is not open yet: whose vote this member has is not told by what is in its hands. */
  get isSucceeding(): boolean {
    return this.#isSucceeding;
  }

  /** Takes up the life that the store holds, or begins to look for one. */
  async start(storage: Storage): Promise<void> {
    const { source, context } = this.#o;
    if (source !== undefined) this.#imported = await readImport(context, storage, source);
    if (storage.incarnation === undefined) {
      this.#storage = storage;
      return this.evaluate();
    }
    // Until its log is read, a bound store is not there: taken for a free one it would be bound again, and its vote forgotten.
    const stored = await loadStore(storage, this.#o.context);
    this.#storage = storage;
    this.#beginLife(storage.incarnation, stored);
  }

  /** Something that the rules look at may have changed. */
  evaluate(): void {
    if (this.#storage === undefined || this.#isBusy || this.#o.context.scope.isClosed) return;
    if (this.#life !== undefined) this.#giveUpIfLost(this.#life);
    else this.#take(this.#decide());
  }

  /** Cheap: called at every step of the life. */
  onChange(): void {
    const life = this.#life;
    if (life?.leader !== undefined) this.#review.noteLeader();
    if (life === undefined || life.replica.isOpen) return;
    if (life.isLeader && life.voters.length === 1) this.#openForCompany(life);
  }

  onBondChange(bond: Bond): void {
    const life = this.#life;
    if (life?.role === "voter" && !life.replica.isOpen) {
      const genesis = life.driver.raft.entry(1);
      const isNamed = life.voters.includes(bond.member) && bond.status.role === "free";
      if (isNamed && genesis !== undefined) bond.send({ type: "genesis", entry: genesis });
      this.#campaignWhenAllHold(life);
    }
    this.evaluate();
  }

  /** @throws DecodeError */
  onGenesis(entry: Entry): void {
    if (entry.kind !== ENTRY_GENESIS || entry.term !== GENESIS_TERM) throw new DecodeError("a genesis that is none");
    const { incarnation, voters } = decodeGenesis(entry.data);
    const storage = this.#storage;
    if (storage === undefined || this.#life !== undefined || this.#isBusy || this.#o.expect === undefined) return;
    if (this.#imported !== undefined) return;
    if (!voters.includes(memberId(this.#o.context.selfId, storage.storeId))) return;
    this.#foundedHere = false;
    this.#bind(storage, incarnation, [entry]);
  }

  /** The leader of our provisional incarnation gives it up. @throws nothing: a wrong word is ignored */
  onDissolve(bond: Bond, incarnation: IncarnationId): void {
    const life = this.#life;
    if (life === undefined || life.incarnation !== incarnation || life.isOpen || life.leader !== bond.peer) return;
    if (!this.#isBusy) this.#setAside(life, "its leader dissolved the incarnation before it opened");
  }

  /**
   * A member remembers more of our store than is in it: an older copy was put back, or another process has one too. What it promised is
   * forgotten, so it never votes again. A store that was drawn in this life cannot be one.
   */
  onDoubted(by: PeerId): void {
    const storage = this.#storage;
    if (storage === undefined || storage.openingCount <= 1 || this.#isBusy) return;
    const { logger, groupId } = this.#o.context;
    const peer = UniqueId.short(by);
    logger.warn(
      { group: UniqueId.short(groupId), peer, storeId: UniqueId.short(storage.storeId) },
      "the group's store is an older copy, or one of two; it is set aside, and this member is a new one",
    );
    if (this.#life !== undefined) this.#endLife(this.#life);
    this.#replace(storage, `peer ${peer} saw a later state of this store: it was rolled back, or copied`);
  }

  /** In the turn in which nothing speaks against it: the old life ends, so that nothing that it promises is left out. */
  #begin(life: Life, beginning: Beginning): Promise<void> {
    tellProbe(this.#o.context, life, beginning);
    this.#endLife(life);
    this.#isSucceeding = true;
    return new Promise((resolve, reject) => {
      this.#busy(() =>
        this.#succeed(life, beginning).then(resolve, (cause: unknown) => {
          reject(cause);
          throw cause;
        }),
      );
    });
  }

  async #succeed({ commit }: Life, beginning: Beginning): Promise<void> {
    const { successor, incarnation, origin } = beginning;
    await successor.replace(`the group was begun anew from it, as ${incarnation}`);
    this.#left = [...this.#left, origin.incarnation].slice(-LEFT_MAX);
    const storage = await this.#o.context.room.until(() => this.#o.openStorage());
    const stored = await loadOrClose(storage, this.#o.context);
    this.#storage = storage;
    this.#life = undefined;
    this.#foundedHere = true;
    this.#isSucceeding = false;
    this.#o.end(storage, true);
    logRecovered(this.#o.context, beginning, commit);
    this.#beginLife(incarnation, stored);
    if (this.#life !== undefined) this.#o.context.onRestored();
  }

  #decide(): FoundingStep {
    const { untried } = this.#o.context.bonds;
    return decideFounding({
      self: this.#self(),
      expect: this.#o.expect,
      others: this.#others(),
      untried,
      isSurroundingsKnown: this.#o.directory.isBootstrapped && untried.length === 0,
    });
  }

  #take(step: FoundingStep): void {
    this.#timer?.cancel();
    if (step.type !== "found") this.#foundingSinceUs = undefined;
    if (step.type === "wait" || this.#storage === undefined) return;
    if (step.type === "follow" && this.#imported !== undefined)
      return this.#o.context.onStop(snapshotRefused("group-exists"));
    if (step.type === "follow") return this.#follow(this.#storage, step.incarnation);
    this.#foundingSinceUs ??= this.#nowUs();
    const leftMs = step.afterDelays * BOOTSTRAP_DELAY_MS - (this.#nowUs() - this.#foundingSinceUs) / 1_000;
    if (leftMs > 0) this.#timer = this.#o.context.scope.after(leftMs, () => this.evaluate());
    else this.#found(this.#storage, step.voters);
  }

  #follow(storage: Storage, incarnation: IncarnationId): void {
    this.#followingSinceUs ??= this.#nowUs();
    const leftMs = LOOK_AROUND_MS - (this.#nowUs() - this.#followingSinceUs) / 1_000;
    if (leftMs <= 0 || this.#o.context.bonds.untried.length === 0) this.#bind(storage, incarnation, []);
    else this.#timer = this.#o.context.scope.after(leftMs, () => this.evaluate());
  }

  #found(storage: Storage, voters: readonly MemberId[]): void {
    const { env } = this.#o.context;
    const incarnation = drawIncarnation(this.#o.context);
    if (this.#imported !== undefined) return this.#foundFrom(this.#imported, storage, incarnation);
    const data = encodeGenesis({ incarnation, timeMs: env.clock.wallMs(), voters });
    this.#foundedHere = true;
    this.#bind(storage, incarnation, [{ index: 1, term: GENESIS_TERM, kind: ENTRY_GENESIS, data }]);
  }

  #foundFrom(replica: Replica, storage: Storage, incarnation: IncarnationId): void {
    this.#foundedHere = true;
    this.#imported = undefined;
    this.#busy(async () => {
      await writeImport(this.#o.context, storage, incarnation, replica);
      this.#beginLife(incarnation, await loadStore(storage, this.#o.context));
    });
  }

  /** Durable first, then alive. */
  #bind(storage: Storage, incarnation: IncarnationId, entries: readonly Entry[]): void {
    assert(storage.incarnation === undefined, "only a free store is bound");
    const change: StorageWrite = { incarnation, entries, hardState: { term: GENESIS_TERM, votedFor: undefined } };
    this.#busy(async () => {
      await this.#o.context.room.until(() => storage.write(change));
      this.#beginLife(incarnation, { base: { index: 0, term: 0 }, entries, snapshot: undefined });
    });
  }

  #beginLife(incarnation: IncarnationId, stored: StoredLog): void {
    const storage = this.#storage;
    if (storage === undefined || this.#o.context.scope.isClosed) return;
    this.#review.begin();
    this.#foundingSinceUs = undefined;
    this.#followingSinceUs = undefined;
    this.#companySinceUs = undefined;
    this.#hasCampaigned = false;
    this.#timer?.cancel();
    this.#life = new Life(this.#o.context, { storage, incarnation, hardState: storage.hardState, stored });
    this.#o.begin(this.#life);
    this.#campaignWhenAllHold(this.#life);
    for (const bond of this.#o.context.bonds.all) this.onBondChange(bond);
  }

  /** A new group needs no election timeout: its founder asks as soon as everybody can answer. */
  #campaignWhenAllHold(life: Life): void {
    if (!this.#foundedHere || this.#hasCampaigned || life.role !== "voter" || life.leader !== undefined) return;
    const holders = this.#others().filter(
      ({ status }) => status.incarnation === life.incarnation && status.role === "voter",
    );
    if (holders.length + 1 < life.voters.length) return;
    this.#hasCampaigned = true;
    life.driver.campaign();
  }

  #giveUpIfLost(life: Life): void {
    const reason = this.#review.verdictOn(life);
    if (reason === undefined) return;
    if (life.isLeader && !life.isOpen) {
      for (const bond of this.#o.context.bonds.all) {
        if (bond.status.incarnation === life.incarnation)
          bond.send({ type: "dissolve", incarnation: life.incarnation });
      }
    }
    this.#setAside(life, reason);
  }

  #setAside(life: Life, reason: string): void {
    const { logger, groupId } = this.#o.context;
    const fields = { group: UniqueId.short(groupId), incarnation: UniqueId.short(life.incarnation), reason };
    logger[life.isOpen ? "warn" : "info"](fields, "a store was set aside");
    this.#endLife(life);
    this.#replace(life.storage, reason, life.incarnation);
  }

  #endLife(life: Life): void {
    const { probe, selfId, groupId } = this.#o.context;
    life.stop();
    probe?.onSetAside({ peer: selfId, group: groupId, member: life.self, incarnation: life.incarnation });
  }

  /** @param left - what others shall know that we gave up for good */
  #replace(old: Storage, reason: string, left?: IncarnationId): void {
    const { groupId, room } = this.#o.context;
    this.#busy(async () => {
      await room.until(() => old.setAside(reason));
      if (left !== undefined) this.#left = [...this.#left, left].slice(-LEFT_MAX);
      const storage = await room.until(() => this.#o.openStorage());
      if (storage.incarnation !== undefined)
        throw mosaikError("storage-failed", "a new store is not free", { details: { path: UniqueId.short(groupId) } });
      this.#storage = storage;
      this.#life = undefined;
      this.#foundedHere = false;
      this.#o.end(storage, false);
    });
  }

  /** One write at a time; a failure stops the member. */
  #busy(work: () => Promise<void>): void {
    this.#isBusy = true;
    this.#o.context.scope.spawn(async () => {
      try {
        await work();
      } catch (cause) {
        return this.#o.onFailure(cause);
      } finally {
        this.#isBusy = false;
      }
      this.evaluate();
    });
  }

  /** Free members wait for a lone leader to open. It waits a delay itself: if there is another like it, one of them shall give way first. */
  #openForCompany(life: Life): void {
    if (!seesCompany(life.incarnation, this.#others())) this.#companySinceUs = undefined;
    else this.#companySinceUs ??= this.#nowUs();
    if (this.#companySinceUs === undefined) return;
    if (this.#nowUs() - this.#companySinceUs >= BOOTSTRAP_DELAY_MS * 1_000) life.office.wantOpen();
  }

  get isLeaderlessForLong(): boolean {
    return this.#review.isLeaderlessForLong;
  }

  #self(): Seen {
    return { peer: this.#o.context.selfId, status: this.#o.status() };
  }

  #others(): Seen[] {
    return this.#o.context.bonds.all.map(({ peer, status }) => ({ peer, status }));
  }

  #nowUs(): number {
    return this.#o.context.env.clock.monotonicUs();
  }
}
