import type { PeerDirectory } from "../../discovery/index.ts";
import type { Env } from "../../env/index.ts";
import { type PeerId, UniqueId } from "../../identity/index.ts";
import type { Bond } from "./bond.ts";
import { DISTANCE_MAX, type MemberStatus } from "./status.ts";

/** Bonds that an observer wants of its own, and has at most while none of them leads to a voter. */
const WANTED = 4;
const WANTED_MAX = 8;
/** Full of bonds that lead nowhere, it exchanges one so often. */
const EXCHANGE_US = 2_000_000;
/** A member that has no room is not asked again for so long. */
const CROWDED_US = 60_000_000;
const RETRY_FIRST_US = 100_000;
const RETRY_MAX_US = 5_000_000;
/** A bond with the leader that is not needed any more is kept for so long. */
const IDLE_US = 10_000_000;
/** More peers that could not be had are not remembered. */
const SHUNNED_MAX = 1_024;

/** Under this id observers advertise a group: other members need not look for them, and so are not looked for by thousands. */
export function observersOf(group: UniqueId): UniqueId {
  return UniqueId.derive(group, "observers");
}

export interface AcquaintancesOptions {
  readonly env: Env;
  readonly selfId: PeerId;
  readonly group: UniqueId;
  readonly directory: PeerDirectory;
  readonly status: () => MemberStatus;
  readonly bonds: () => readonly Bond[];
  /** Peers that are being dialled. */
  readonly trying: () => ReadonlySet<PeerId>;
}

interface Shunned {
  readonly untilUs: number;
  readonly failures: number;
  /** It had no room for one who stays; for one who comes as a visitor it may have. */
  readonly mayVisit: boolean;
}

/**
 * Whom an observer is bonded with: a few others, so that thousands of observers cost no member more than some of them do.
 *
 * One voter if one has room, not the leader if there is another; for the rest anybody, other observers too. So they come to hang from the voters
 * like a tree, with some bonds across. With the leader a bond is made when there is something for it, and ended when there was nothing for a while.
 */
export class Acquaintances {
  readonly #o: AcquaintancesOptions;
  readonly #shunned = new Map<PeerId, Shunned>();
  #exchangedUs = 0;
  #leader: { readonly peer: PeerId; readonly wantedUs: number } | undefined;
  /** The leader that is being dialled for a visit. */
  #visited: PeerId | undefined;

  constructor(options: AcquaintancesOptions) {
    this.#o = options;
  }

  /** There is something for this one, who leads. */
  visit(leader: PeerId): void {
    this.#leader = { peer: leader, wantedUs: this.#nowUs() };
  }

  onBonded(peer: PeerId): void {
    this.#shunned.delete(peer);
    if (this.#visited === peer) this.#visited = undefined;
  }

  onFailed(peer: PeerId, isCrowded: boolean): void {
    const failures = (this.#shunned.get(peer)?.failures ?? 0) + 1;
    const mayVisit = isCrowded && this.#visited !== peer;
    const waitUs = mayVisit ? CROWDED_US : Math.min(RETRY_MAX_US, RETRY_FIRST_US * 2 ** Math.min(failures - 1, 10));
    const untilUs = this.#nowUs() + waitUs / 2 + this.#o.env.random.below(waitUs / 2);
    if (this.#visited === peer) this.#visited = undefined;
    if (this.#shunned.size >= SHUNNED_MAX) this.#shunned.clear();
    this.#shunned.set(peer, { untilUs, failures, mayVisit });
  }

  /** Whom to dial next; undefined: nobody, for now. */
  next(): PeerId | undefined {
    const bonds = this.#o.bonds();
    const trying = this.#o.trying();
    const isKnown = (peer: PeerId): boolean => trying.has(peer) || bonds.some((bond) => bond.peer === peer);
    const leader = this.#isVisiting ? this.#leader?.peer : undefined;
    if (leader !== undefined && !isKnown(leader) && (this.#isFree(leader) || this.#shunned.get(leader)?.mayVisit)) {
      this.#visited = leader;
      return leader;
    }

    const own = this.#o.status();
    const chosen = bonds.filter(isChosen).length + trying.size;
    const hasWay = bonds.some((bond) => isWay(bond.status, own));
    const needsVoter = !bonds.some((bond) => bond.peer !== own.leader && isVoterFor(bond.status, own));
    const leaderHere = bonds.some(({ peer }) => peer === own.leader);
    if (chosen >= WANTED_MAX || (chosen >= WANTED && hasWay && !(needsVoter && leaderHere))) return undefined;
    const isOpenTo = (peer: PeerId): boolean =>
      peer !== own.leader && peer !== this.#o.selfId && !isKnown(peer) && this.#isFree(peer);
    const members = this.#idsIn(this.#o.group).filter(isOpenTo);
    const isAsking = [...trying].some((peer) => this.#isMember(peer));
    if (needsVoter && !isAsking && members.length > 0) return this.#pick(members);
    if (chosen >= WANTED && hasWay) return undefined;
    const all = [...members, ...this.#idsIn(observersOf(this.#o.group)).filter(isOpenTo)];
    return this.#pick(all);
  }

  /** A bond to end; undefined: none, for now. */
  superfluous(): Bond | undefined {
    const bonds = this.#o.bonds();
    const own = this.#o.status();
    const nowUs = this.#nowUs();
    const leader = bonds.find(({ peer }) => peer === own.leader);
    const isIdle = leader !== undefined && !this.#isVisiting && nowUs - leader.sinceUs > IDLE_US;
    // Farther away than it, we pull from somebody else.
    if (isIdle && (own.distance > 1 || bonds.some((bond) => bond !== leader && isVoterFor(bond.status, own))))
      return leader;
    const chosen = bonds.filter(isChosen);
    const isStuck = chosen.length >= WANTED_MAX && !bonds.some((bond) => isWay(bond.status, own));
    if (!isStuck || nowUs - this.#exchangedUs < EXCHANGE_US) return undefined;
    this.#exchangedUs = nowUs;
    return this.#pick(chosen);
  }

  get #isVisiting(): boolean {
    return this.#leader !== undefined && this.#nowUs() - this.#leader.wantedUs <= IDLE_US;
  }

  #isFree(peer: PeerId): boolean {
    return (this.#shunned.get(peer)?.untilUs ?? 0) <= this.#nowUs();
  }

  #isMember(peer: PeerId): boolean {
    return this.#o.directory.get(peer)?.groups.includes(this.#o.group) === true;
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items.length > 0 ? items[this.#o.env.random.below(items.length)] : undefined;
  }

  #idsIn(group: UniqueId): PeerId[] {
    return this.#o.directory.inGroup(group).map(({ id }) => id);
  }

  #nowUs(): number {
    return this.#o.env.clock.monotonicUs();
  }
}

/** Made by us. However many others come to us, we look for our own. */
function isChosen({ link }: Bond): boolean {
  return link.isInitiator;
}

/** Leads to a voter, and not by way of us; or, before we follow anybody, to somebody whom one may follow. */
function isWay(status: MemberStatus, own: MemberStatus): boolean {
  if (own.incarnation === undefined) return status.isEligible || status.distance < DISTANCE_MAX;
  return status.incarnation === own.incarnation && status.distance < DISTANCE_MAX && status.distance <= own.distance;
}

function isVoterFor(status: MemberStatus, own: MemberStatus): boolean {
  if (own.incarnation === undefined) return status.isEligible;
  return status.incarnation === own.incarnation && status.role === "voter";
}
