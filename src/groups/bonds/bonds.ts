import type { PeerDirectory } from "../../discovery/index.ts";
import { type Env, LIMITS, type Scope, type Timer } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { DialError, type Endpoint, LinkRefused } from "../../transport/index.ts";
import { CLOSE, DecodeError, type Hello, type Link, type LinkClose } from "../../wire/index.ts";
import { Acquaintances, observersOf } from "./acquaintances.ts";
import { Bond, type BondHandlers } from "./bond.ts";
import { type BondHello, decodeHello } from "./frames.ts";
import { Hellos, type HellosOptions, type Refusal, type Side, type Stream } from "./hellos.ts";
import { OpeningsMemory } from "./openings.ts";
import type { MemberStatus } from "./status.ts";

export const GROUP_PROTOCOL = "mosaik/group/1";
/** The higher id of a pair gives the lower one this long to dial, so that most pairs dial once. */
const HIGHER_ID_WAITS_MS = 300;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5_000;
/** A member whose store is opening is asked again after at most so long, and so often; then as any other that refuses. */
const RETRY_OPENING_MS = 100;
const RETRIES_OPENING_MAX = 20;
/** Before it is in the group, a member asks so many observers whether there is one already. */
const WITNESSES = 2;

const CROWDED: Refusal = { refuse: CLOSE.groupCrowded, reason: "bonded with as many observers as there is room for" };

export type Verdict = { readonly payload: Uint8Array } | Refusal;

interface Attempt {
  failures: number;
  /** Refusals of a peer that advertises the group and is not in it, or not yet. */
  absences: number;
  timer: Timer | undefined;
  controller: AbortController | undefined;
  /** A dial was answered, refused or failed since the peer's entry last changed. */
  wasTried: boolean;
}

export interface BondsOptions extends HellosOptions {
  readonly env: Env;
  readonly scope: Scope;
  readonly endpoint: Endpoint;
  readonly directory: PeerDirectory;
  /** Bonded with a few others only. */
  readonly isObserver: boolean;
  readonly handlers: Omit<BondHandlers, "doubt"> & {
    onOpen(bond: Bond): void;
    onAttempted(): void;
    onDoubted(by: PeerId): void;
  };
}

/**
 * One bond with each other member that discovery knows; observers apart, who choose a few themselves (`Acquaintances`).
 *
 * Both sides may dial; the lower peer id's dial wins. An established bond gives way to a newer one, since a peer dials only when it has none;
 * the exception is the echo of a dial that crossed ours. Failed dials are tried again, 100 ms doubling to 5 s, and at once when the peer's
 * entry changes.
 *
 * None is made before our store is open: only with its openings in the hello can the other side tell that it is the one that it knows.
 */
export class Bonds {
  readonly #o: BondsOptions;
  readonly #bonds = new Map<PeerId, Bond>();
  readonly #attempts = new Map<PeerId, Attempt>();
  readonly #openings = new OpeningsMemory();
  readonly #hellos: Hellos;
  readonly #acquaintances: Acquaintances | undefined;
  #sorted: readonly Bond[] | undefined;
  #isClosed = false;

  constructor(options: BondsOptions) {
    this.#o = options;
    this.#hellos = new Hellos(options, this.#openings);
    if (!options.isObserver) return;
    const trying = (): ReadonlySet<PeerId> => new Set(this.#attempts.keys());
    this.#acquaintances = new Acquaintances({ ...options, bonds: () => this.all, trying });
  }

  /** By peer id. */
  get all(): readonly Bond[] {
    this.#sorted ??= [...this.#bonds.values()].sort((a, b) => (a.peer < b.peer ? -1 : 1));
    return this.#sorted;
  }

  get(peer: PeerId): Bond | undefined {
    return this.#bonds.get(peer);
  }

  /** Advertised members that are not bonded, and whose dial did not come to an end yet. */
  get untried(): readonly PeerId[] {
    const ids = this.#acquaintances === undefined ? this.#wanted() : [...this.#attempts.keys()];
    return ids.filter((id) => !this.#bonds.has(id) && this.#attempts.get(id)?.wasTried !== true);
  }

  /** Discovery's view of the group changed; `changed` is dialled without waiting for its back-off. */
  refresh(changed?: PeerId): void {
    if (this.#isClosed || this.#o.openings().count === 0) return;
    if (this.#acquaintances !== undefined) return this.#makeAcquaintances(this.#acquaintances);
    const ids = new Set(this.#wanted());
    for (const [peer, attempt] of [...this.#attempts]) {
      if (ids.has(peer)) continue;
      attempt.timer?.cancel();
      attempt.controller?.abort();
      this.#attempts.delete(peer);
    }
    for (const id of ids) this.#plan(id, id === changed);
  }

  /** An observer has something for the leader: a bond with it is made, if there is none, and kept for a while. */
  visit(leader: PeerId | undefined): void {
    if (this.#acquaintances === undefined || leader === undefined) return;
    this.#acquaintances.visit(leader);
    if (!this.#bonds.has(leader)) this.refresh();
  }

  /** An incoming link, network and secret being proven. @throws DecodeError */
  accept(hello: Hello, stream: Stream): Verdict {
    const refusal = this.#refusal(decodeHello(hello.payload), stream, "dial");
    if (refusal !== undefined) return refusal;
    const attempt = this.#attempts.get(stream.remoteId);
    const bond = this.#bonds.get(stream.remoteId);
    if (this.#isCrowded(stream.remoteId, decodeHello(hello.payload).status)) return CROWDED;
    if (this.#o.selfId < stream.remoteId) {
      const crossed = bond?.link.isInitiator === true && this.#ageMs(bond) < LIMITS.handshakeTimeoutMs;
      if (attempt?.controller !== undefined || crossed) {
        return { refuse: CLOSE.groupAlreadyBonded, reason: "the lower id dials" };
      }
    }
    return { payload: this.#hellos.make(stream, "accept") };
  }

  /** The link that `accept` agreed to is up. */
  onLink(link: Link): void {
    if (this.#isClosed) return turnAway(link, CLOSE.gracefulShutdown, "left");
    const hello = decodeHello(link.remotePayload);
    // Since its hello came, another bond may have shown that this store was given up, or others have taken the last places.
    const doubt = this.#openings.doubt(link.remoteId, hello.status.storeId, hello.openings);
    if (doubt !== undefined) return turnAway(link, CLOSE.groupStaleStore, doubt);
    if (this.#isCrowded(link.remoteId, hello.status)) return turnAway(link, CROWDED.refuse, CROWDED.reason);
    this.#adopt(link, hello);
  }

  /** The group agreed on more than some of its readers can apply: they are let go. */
  dropOutdated(): void {
    for (const bond of this.all) {
      const reason = bond.machine && this.#o.refusalOf(bond.peer, bond.machine.version);
      if (reason === undefined) continue;
      this.#hellos.report(bond.peer, CLOSE.groupMismatch, reason);
      void bond.close(CLOSE.groupMismatch, reason);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const attempt of this.#attempts.values()) {
      attempt.timer?.cancel();
      attempt.controller?.abort();
    }
    this.#attempts.clear();
    await Promise.all(this.all.map((bond) => bond.close(CLOSE.gracefulShutdown, "left")));
  }

  /** Whom to be bonded with. Those that are free ask observers too: some may remember a group whose voters are away. */
  #wanted(): readonly PeerId[] {
    const { directory, group, selfId } = this.#o;
    const members = directory.inGroup(group).map(({ id }) => id);
    if (this.#o.status().incarnation !== undefined) return members;
    const observers = directory.inGroup(observersOf(group)).map(({ id }) => id);
    const later = observers.filter((id) => id > selfId);
    return [...members, ...later, ...observers.filter((id) => id < selfId)].slice(0, members.length + WITNESSES);
  }

  #makeAcquaintances(acquaintances: Acquaintances): void {
    const superfluous = acquaintances.superfluous();
    if (superfluous !== undefined) void superfluous.close(CLOSE.success, "not needed any more");
    for (let peer = acquaintances.next(); peer !== undefined; peer = acquaintances.next()) this.#try(peer, 0);
  }

  /** No room for an observer more? Who follows a leader has something for it when it asks for a bond. */
  #isCrowded(peer: PeerId, { leader, isEligible }: MemberStatus): boolean {
    const { selfId } = this.#o;
    if (isEligible || this.#bonds.has(peer)) return false;
    const isLeader = this.#o.status().leader === selfId;
    const others = isLeader ? LIMITS.leaderObserversMax : LIMITS.observersMax;
    const max = isLeader && leader === selfId ? LIMITS.visitorsMax : others;
    return this.all.filter(({ status }) => !status.isEligible).length >= max;
  }

  #try(peer: PeerId, delayMs: number): void {
    const attempt: Attempt = { failures: 0, absences: 0, timer: undefined, controller: undefined, wasTried: false };
    this.#attempts.set(peer, attempt);
    this.#arm(peer, attempt, delayMs);
  }

  #plan(peer: PeerId, atOnce: boolean): void {
    if (this.#bonds.has(peer) || peer === this.#o.selfId) return;
    const attempt = this.#attempts.get(peer);
    if (attempt === undefined) {
      if (this.#attempts.size + this.#bonds.size >= LIMITS.bondsMax) return;
      this.#try(peer, this.#o.selfId < peer ? 0 : HIGHER_ID_WAITS_MS);
    } else if (atOnce && attempt.controller === undefined && attempt.failures + attempt.absences > 0) {
      attempt.failures = 0;
      attempt.absences = 0;
      this.#arm(peer, attempt, this.#o.selfId < peer ? 0 : HIGHER_ID_WAITS_MS);
    }
  }

  #arm(peer: PeerId, attempt: Attempt, delayMs: number): void {
    attempt.timer?.cancel();
    attempt.timer = this.#o.scope.after(delayMs, () => this.#o.scope.spawn(() => this.#dial(peer, attempt)));
  }

  async #dial(peer: PeerId, attempt: Attempt): Promise<void> {
    const entry = this.#o.directory.get(peer);
    if (entry === undefined && this.#acquaintances !== undefined) this.#attempts.delete(peer);
    if (entry === undefined || this.#isClosed || this.#bonds.has(peer) || attempt.controller !== undefined) return;
    const controller = new AbortController();
    attempt.controller = controller;
    try {
      const link = await this.#o.endpoint.dial({ id: peer, addresses: entry.addresses }, GROUP_PROTOCOL, {
        signal: AbortSignal.any([controller.signal, this.#o.scope.signal]),
        payload: (stream) => this.#hellos.make(stream, "dial"),
      });
      attempt.controller = undefined;
      this.#onDialled(link);
    } catch (error) {
      attempt.controller = undefined;
      if (controller.signal.aborted || this.#isClosed) return;
      if (!(error instanceof DialError || error instanceof LinkRefused || error instanceof DecodeError)) throw error;
      this.#onDialFailed(peer, attempt, error);
    }
  }

  #onDialled(link: Link): void {
    try {
      const hello = decodeHello(link.remotePayload);
      const refusal = this.#refusal(hello, link, "accept");
      if (refusal === undefined && !this.#isClosed) return this.#adopt(link, hello);
      void link.close(refusal?.refuse ?? CLOSE.cancelled, refusal?.reason ?? "closing");
      if (refusal !== undefined) throw new LinkRefused({ code: refusal.refuse, reason: refusal.reason, by: "us" });
    } catch (error) {
      if (error instanceof DecodeError) void link.close(CLOSE.groupInvalidHandshake, error.message);
      throw error;
    }
  }

  #onDialFailed(peer: PeerId, attempt: Attempt, error: DialError | LinkRefused | DecodeError): void {
    const isOpening = error instanceof LinkRefused && error.close.code === CLOSE.groupNotFound;
    if (isOpening && ++attempt.absences <= RETRIES_OPENING_MAX) return this.#armWithin(peer, attempt, RETRY_OPENING_MS);
    attempt.failures++;
    attempt.wasTried = true;
    if (error instanceof LinkRefused) this.#onRefused(peer, error.close);
    if (this.#acquaintances !== undefined) this.#giveUp(peer, error, this.#acquaintances);
    else
      this.#armWithin(peer, attempt, Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt.failures - 1, 10)));
    this.#o.handlers.onAttempted();
  }

  /** Another one may do as well. */
  #giveUp(peer: PeerId, error: Error, acquaintances: Acquaintances): void {
    this.#attempts.delete(peer);
    acquaintances.onFailed(peer, error instanceof LinkRefused && error.close.code === CLOSE.groupCrowded);
    this.refresh();
  }

  #armWithin(peer: PeerId, attempt: Attempt, ceilingMs: number): void {
    this.#arm(peer, attempt, ceilingMs / 2 + this.#o.env.random.below(Math.ceil(ceilingMs / 2) + 1));
  }

  #onRefused(peer: PeerId, { code, reason, by }: LinkClose): void {
    this.#hellos.report(peer, code, reason);
    if (code === CLOSE.groupStaleStore && by === "peer") this.#o.handlers.onDoubted(peer);
  }

  #adopt(link: Link, hello: BondHello): void {
    const previous = this.#bonds.get(link.remoteId);
    const attempt = this.#attempts.get(link.remoteId);
    attempt?.timer?.cancel();
    attempt?.controller?.abort();
    this.#attempts.delete(link.remoteId);
    this.#acquaintances?.onBonded(link.remoteId);
    this.#openings.remember(link.remoteId, hello.status.storeId, hello.openings);
    const bond = new Bond(link, hello.status, this.#o.env.clock.monotonicUs());
    this.#bonds.set(bond.peer, bond);
    this.#sorted = undefined;
    if (previous !== undefined) {
      void previous.close(CLOSE.groupAlreadyBonded, "another bond took its place");
      this.#o.handlers.onClose(previous, { code: CLOSE.groupAlreadyBonded, reason: "replaced", by: "us" });
    }
    bond.start({
      doubt: (from, { storeId }) => this.#openings.doubtSuccessor(from.peer, storeId),
      onFrame: (from, frame) => {
        if (frame.type === "status") this.#openings.remember(from.peer, frame.status.storeId);
        this.#o.handlers.onFrame(from, frame);
      },
      onDrain: (from) => this.#o.handlers.onDrain(from),
      onClose: (from, close) => {
        if (this.#bonds.get(from.peer) !== from) return;
        this.#bonds.delete(from.peer);
        this.#sorted = undefined;
        this.#o.handlers.onClose(from, close);
        if (close.code === CLOSE.groupStaleStore) this.#onRefused(from.peer, close);
        if (close.code === CLOSE.groupCrowded) this.#acquaintances?.onFailed(from.peer, true);
        this.refresh();
      },
    });
    this.#o.handlers.onOpen(bond);
  }

  /** @param side - of the one whose hello it is */
  #refusal(hello: BondHello, stream: Stream, side: Side): Refusal | undefined {
    if (this.#isClosed || hello.group !== this.#o.group)
      return { refuse: CLOSE.groupNotFound, reason: "not in this group" };
    if (!this.#bonds.has(stream.remoteId) && this.#bonds.size >= LIMITS.bondsMax)
      return { refuse: CLOSE.overloaded, reason: "too many members" };
    return this.#hellos.refusal(hello, stream, side);
  }

  #ageMs(bond: Bond): number {
    return (this.#o.env.clock.monotonicUs() - bond.sinceUs) / 1000;
  }
}

function turnAway(link: Link, code: number, reason: string): void {
  link.start({ onFrame: () => {}, onClose: () => {} });
  void link.close(code, reason);
}
