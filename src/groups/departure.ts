import { type ConditionWaits, type GroupState, type MosaikError, mosaikError, type Scope } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import type { IncarnationId } from "../storage/index.ts";
import type { Bond, Bonds } from "./bonds/index.ts";
import { peerOf } from "./entries/index.ts";
import type { Life } from "./life/index.ts";

export interface DepartureOptions {
  readonly scope: Scope;
  readonly bonds: Bonds;
  readonly conditions: ConditionWaits;
  readonly selfId: PeerId;
  /** May be made a voter. */
  readonly isEligible: boolean;
  readonly life: () => Life | undefined;
  /** One store is about to take the place of another, so that life is at its end, and the next one has not begun. */
  readonly isSucceeding: () => boolean;
  readonly state: () => GroupState;
  /** What we tell others of ourselves changed. */
  readonly onChange: () => void;
}

/** How leadership and membership are given up: in order, and within a time. */
export class Departure {
  readonly #o: DepartureOptions;
  #isLeaving = false;
  /** A leader of this incarnation let us go. */
  #releasedFrom: IncarnationId | undefined;

  constructor(options: DepartureOptions) {
    this.#o = options;
  }

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** A leader that leaves hands over as soon as there is somebody; until then it lets the others go. */
  tick(): void {
    const life = this.#o.life();
    if (this.#isLeaving && life?.isLeader === true && !life.driver.raft.isHandingOver) life.office.handOver();
  }

  /** The leader says that we have no vote, and get none. One that was deposed cannot know. */
  onReleased(by: Bond, incarnation: IncarnationId): void {
    if (!this.#isLeaving || this.#o.life()?.incarnation !== incarnation) return;
    const isDeposed = this.#o.bonds.all.some(
      ({ peer, status }) =>
        status.incarnation === incarnation && status.leader === peer && status.term > by.status.term,
    );
    if (isDeposed) return;
    this.#releasedFrom = incarnation;
    this.#o.conditions.notify();
  }

  /** Hands leadership to the best other voter. Resolves when we no longer lead, or after `timeoutMs`. */
  async handOver(timeoutMs: number): Promise<void> {
    const life = this.#o.life();
    if (life?.isLeader !== true || !life.office.handOver()) return;
    await this.#within(timeoutMs, undefined, () => (life.isLeader ? undefined : true)).catch(() => undefined);
  }

  /**
   * Asks the leader, whoever it is, to hand over.
   * @throws `group-offline` it did not come to that in time
   */
  async transfer(to: PeerId | undefined, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const life = this.#o.life();
    const before = life?.leader;
    if (life === undefined || before === undefined) throw this.#offline("there is no leader that could hand over");
    if (to === before) return;
    if (life.isLeader) life.office.handOver(to);
    else await this.#askToHandOver(before, to, timeoutMs, signal);
    const isDone = (): true | undefined => {
      const now = this.#o.life()?.leader;
      return now !== undefined && (to === undefined ? now !== before : now === to) ? true : undefined;
    };
    if ((await this.#within(timeoutMs, signal, isDone)) === undefined)
      throw this.#offline("leadership did not change in time");
  }

  async #askToHandOver(
    leader: PeerId,
    to: PeerId | undefined,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    this.#o.bonds.visit(leader);
    const bond = await this.#within(timeoutMs, signal, () => this.#o.bonds.get(leader));
    if (bond === undefined) throw this.#offline("there is no bond with the leader");
    bond.send({ type: "transfer", to });
  }

  /**
   * Gives up the vote, if we have one or may just get one. Resolves when that is committed. Of a member that begins the group anew it is the vote
   * in what it begins: otherwise that store would be left behind, and be the group's only voter once it is opened.
   * @throws `last-voter` there is nobody to follow us; `group-offline` no leader let us go in time
   */
  async leave(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    this.#begin();
    if (!this.#hasPart) return;
    try {
      if ((await this.#within(timeoutMs, signal, () => this.#hasLeft())) !== undefined) return;
    } catch (error) {
      this.#stay();
      throw error;
    }
    const isLast = this.#isLast();
    this.#stay();
    throw isLast
      ? mosaikError("last-voter", "no other member is there to take over the group")
      : this.#offline("no leader let this member go in time, or the store of what it begins anew was not there");
  }

  /** As `leave`, for a member that is closed without a store to come back to: nobody waits for what cannot be. */
  async leaveQuietly(timeoutMs: number): Promise<void> {
    const life = this.#o.life();
    if (!this.#hasPart || (life?.role === "voter" && !life.replica.isOpen)) return;
    this.#begin();
    const isDone = (): true | undefined => (this.#isLast() ? true : this.#hasLeft());
    await this.#within(timeoutMs, undefined, isDone).catch(() => undefined);
  }

  /** The leader may have made a voter of a reader that does not know it yet: then its vote is needed, until it is taken back. */
  get #hasPart(): boolean {
    if (this.#o.isSucceeding()) return true;
    const life = this.#o.life();
    return life?.role === "voter" || (this.#o.isEligible && life?.leader !== undefined);
  }

  #hasLeft(): true | undefined {
    if (this.#o.isSucceeding()) return undefined;
    const life = this.#o.life();
    if (life === undefined || life.incarnation === this.#releasedFrom) return true;
    return life.role === "voter" || this.#seesKeeper(life) ? undefined : true;
  }

  /** Somebody in sight leads, or may soon: that one will let us go. */
  #seesKeeper({ incarnation }: Life): boolean {
    return this.#o.bonds.all.some(
      ({ peer, status }) =>
        status.incarnation === incarnation &&
        (status.leader === peer || (status.role === "voter" && !status.isLeaving)),
    );
  }

  #begin(): void {
    this.#releasedFrom = undefined;
    this.#isLeaving = true;
    this.#o.onChange();
  }

  #stay(): void {
    this.#isLeaving = false;
    this.#o.onChange();
  }

  /** The only voter, and no eligible reader in sight. */
  #isLast(): boolean {
    const life = this.#o.isSucceeding() ? undefined : this.#o.life();
    if (life === undefined || life.voters.some((voter) => peerOf(voter) !== this.#o.selfId)) return false;
    return !this.#o.bonds.all.some(
      ({ status }) => status.isEligible && !status.isLeaving && status.incarnation === life.incarnation,
    );
  }

  /** Undefined after `timeoutMs`. @throws the reason of `signal`; why the member can do nothing any more */
  async #within<T>(
    timeoutMs: number,
    signal: AbortSignal | undefined,
    probe: () => T | undefined,
  ): Promise<T | undefined> {
    const timeout = new AbortController();
    const timer = this.#o.scope.after(timeoutMs, () => timeout.abort());
    const either = signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal]);
    try {
      return await this.#o.conditions.until(probe, either);
    } catch (error) {
      if (timeout.signal.aborted && signal?.aborted !== true) return undefined;
      throw error;
    } finally {
      timer.cancel();
    }
  }

  #offline(message: string): MosaikError {
    return mosaikError("group-offline", message, { details: { state: this.#o.state() }, hidden: { rejected: [] } });
  }
}
