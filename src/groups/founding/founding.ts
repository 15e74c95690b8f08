import type { PeerId } from "../../identity/index.ts";
import type { LogPosition, MemberId } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import { DISTANCE_MAX, type MemberStatus, NO_STORE } from "../bonds/index.ts";
import { memberId, peerOf } from "../entries/index.ts";

/** Another member as seen over its bond. */
export interface Seen {
  readonly peer: PeerId;
  readonly status: MemberStatus;
}

/** What a member with a free store knows when it decides. */
export interface FoundingView {
  readonly self: Seen;
  /** Undefined: it may not vote, so it never founds. */
  readonly expect: number | undefined;
  /** Bonded members, in any order. */
  readonly others: readonly Seen[];
  /** Members that discovery knows, and that may yet be bonded. */
  readonly untried: readonly PeerId[];
  /** For a lone founder: a bootstrap source answered (or there is none), and each advertised member was bonded or refused the dial. */
  readonly isSurroundingsKnown: boolean;
}

export type FoundingStep =
  /** Nothing to do until the view changes. */
  | { readonly type: "wait" }
  /** Found with these voters once the view has offered it for `afterDelays` bootstrap delays without a break. */
  | { readonly type: "found"; readonly voters: readonly MemberId[]; readonly afterDelays: number }
  /** Follow this incarnation, which is open. */
  | { readonly type: "follow"; readonly incarnation: IncarnationId };

/**
 * Decides what a free member does. Pure: the same view gives the same step.
 *
 * 1. Nobody founds in sight of an open store or of a leader: an open incarnation is followed (the lowest id, if there are rivals; none whose
 *    members in sight are about to start over in another), a leader without one will name us, or open.
 * 2. With `expect: n`, n free eligible members in sight make a group: the n lowest peer ids. The lowest founds at once, each other one
 *    waits one delay for each lower id that it sees or may see soon, so that rivals are rare; that they are harmless is the business of
 *    *open*.
 * 3. With `expect: 1` a member founds alone after one delay, but only if nobody it has heard of is left to ask.
 */
export function decideFounding(view: FoundingView): FoundingStep {
  const incarnation = openOne(view.others, view.expect === undefined ? view.self.status.left : []);
  if (incarnation !== undefined) return { type: "follow", incarnation };
  if (view.expect === undefined || !view.self.status.isEligible) return { type: "wait" };
  if (view.others.some(({ status }) => status.leader !== undefined)) return { type: "wait" };

  const free = [view.self, ...view.others.filter(({ status }) => status.role === "free" && status.isEligible)].sort(
    byPeer,
  );
  if (view.expect === 1) {
    if (!view.isSurroundingsKnown) return { type: "wait" };
    const self = memberId(view.self.peer, view.self.status.storeId);
    return { type: "found", voters: [self], afterDelays: 1 + rankOf(view.self, free) };
  }
  if (free.length < view.expect) return { type: "wait" };
  // A lower one that is bound already may be about to name us: it keeps its place.
  const eligible = [view.self, ...view.others.filter(({ status }) => status.isEligible)];
  const rank = rankOf(view.self, eligible) + view.untried.filter((peer) => peer < view.self.peer).length;
  const founders = free.slice(0, view.expect);
  // A founder votes. One that is not among the lowest would found a group without itself, so it names itself instead of the last.
  const voters = founders.includes(view.self) ? founders : [...founders.slice(0, -1), view.self];
  return { type: "found", voters: voters.map(({ peer, status }) => memberId(peer, status.storeId)), afterDelays: rank };
}

/** Which to follow of those that are open. What was `left` is none, unless it leads to a voter again. */
function openOne(others: readonly Seen[], left: readonly IncarnationId[]): IncarnationId | undefined {
  const begun = others.filter(({ status }) => status.isOpen && status.origins.length > 0);
  const open = others
    .filter(({ status }) => status.isOpen && !begun.some((later) => isSucceeded(status, later.status)))
    .flatMap(({ status: { incarnation, distance } }) => (incarnation === undefined ? [] : [{ incarnation, distance }]));
  const led = open.filter(({ distance }) => distance < DISTANCE_MAX);
  const rest = open.filter(({ incarnation }) => !left.includes(incarnation));
  return (led.length > 0 ? led : rest).map(({ incarnation }) => incarnation).sort()[0];
}

/** What a member of a provisional incarnation knows. */
export interface ProvisionalView {
  readonly incarnation: IncarnationId;
  readonly voters: readonly MemberId[];
  readonly expect: number;
  readonly self: Seen;
  readonly others: readonly Seen[];
  readonly isLeader: boolean;
  readonly hasLeader: boolean;
  /** Since the store was bound, or since a leader was last known. */
  readonly isPatienceOver: boolean;
}

/**
 * Should a provisional store be set aside? Nothing was ever promised by an incarnation that is not open, so giving it up loses
 * nothing; giving it up too eagerly merely founds again.
 *
 * - A majority of its voters is bound elsewhere, or has other stores: it will never have a leader. If it has one, one such voter is
 *   enough: it will never open.
 * - A leader dissolves its incarnation when it meets the leader of a better one: open, or held by more voters, or of the lower id.
 * - It also does when its patience is over (it could not open in all that time) although enough members are in sight to found anew or
 *   somebody else's incarnation is open.
 * - Anybody else gives up without a leader, when its patience is over, for the same reasons.
 */
export function shouldSetAside(view: ProvisionalView): boolean {
  if (isLost(view)) return true;
  if (view.isLeader && view.others.some((other) => isBetter(other, view))) return true;
  if (!view.isPatienceOver) return false;
  if (view.hasLeader && !view.isLeader) return false;
  const elsewhere = view.others.some(
    ({ status }) =>
      status.incarnation !== undefined &&
      status.incarnation !== view.incarnation &&
      (status.isOpen || status.leader !== undefined),
  );
  if (elsewhere) return true;
  const eligible = view.others.filter(({ status }) => status.isEligible && !status.isOpen);
  return eligible.length + 1 >= view.expect && !holdAll(view);
}

/** Does somebody wait for us to open, and nobody else lead or found? */
export function seesCompany(incarnation: IncarnationId, others: readonly Seen[]): boolean {
  const isElsewhere = ({ status }: Seen): boolean =>
    status.incarnation !== undefined && status.incarnation !== incarnation;
  return !others.some(isElsewhere) && others.some(({ status }) => status.role === "free");
}

/** Do all fellow voters say that they gave this incarnation up? */
export function haveOthersLeft(
  { self, voters, incarnation }: { self: MemberId; voters: readonly MemberId[]; incarnation: IncarnationId },
  others: readonly Seen[],
): boolean {
  const hasLeft = (voter: MemberId): boolean =>
    others.some(({ peer, status }) => peer === peerOf(voter) && status.left.includes(incarnation));
  return voters.every((voter) => voter === self || hasLeft(voter));
}

/** A store never leaves one incarnation for another, and a peer never gets its store back. */
function isLost({ incarnation, voters, others, isLeader }: ProvisionalView): boolean {
  const gone = others.filter(({ peer, status }) => {
    if (status.storeId === NO_STORE || !voters.some((voter) => peerOf(voter) === peer)) return false;
    if (!voters.includes(memberId(peer, status.storeId))) return true;
    return status.incarnation !== undefined && status.incarnation !== incarnation;
  });
  return isLeader ? gone.length > 0 : gone.length * 2 >= voters.length;
}

/** Does this one lead an incarnation to which ours gives way? */
function isBetter({ peer, status }: Seen, view: ProvisionalView): boolean {
  const { incarnation, leader, isOpen } = status;
  if (incarnation === undefined || incarnation === view.incarnation || leader !== peer) return false;
  const difference = holdersOf(incarnation, view) - holdersOf(view.incarnation, view);
  return isOpen || difference > 0 || (difference === 0 && incarnation < view.incarnation);
}

/** Voters in sight that hold its genesis. */
function holdersOf(incarnation: IncarnationId, { self, others }: ProvisionalView): number {
  return [self, ...others].filter(({ status }) => status.role === "voter" && status.incarnation === incarnation).length;
}

/** Do all voters, as far as they are in sight, hold the genesis? Then it opens by itself. */
function holdAll(view: ProvisionalView): boolean {
  return view.voters.every((voter) =>
    [view.self, ...view.others].some(
      ({ peer, status }) => memberId(peer, status.storeId) === voter && status.incarnation === view.incarnation,
    ),
  );
}

/** What a member says of its incarnation. */
type Lineage = Pick<MemberStatus, "incarnation" | "leader" | "last" | "origins">;

/**
 * Was the incarnation of `later` begun from a log that holds all of this member's that may have been acknowledged, while its own has no
 * leader? Then the member has nothing to promise any more, and starts over there: the two are no rivals.
 *
 * A log that ends in a later term, or in the same one and not before ours, holds every entry of ours that was committed (Raft's election rule).
 */
export function isSucceeded({ incarnation, leader, last }: Lineage, later: Lineage): boolean {
  if (leader !== undefined || later.incarnation === incarnation) return false;
  return later.origins.some((origin) => origin.incarnation === incarnation && !isNewer(last, origin.last));
}

/** Does a log that ends in `a` hold what one that ends in `b` may lack? */
export function isNewer(a: LogPosition, b: LogPosition): boolean {
  return a.term > b.term || (a.term === b.term && a.index > b.index);
}

/**
 * Is there nothing left of an observer's incarnation, that it could follow, while another one is open and has a leader? It votes nowhere, so it may
 * go; but a majority that was away for long may still come back, hence this is for observers alone. It goes only where it will follow: else it
 * would go round in circles, or end up nowhere.
 */
export function isGone(own: MemberStatus, others: readonly Seen[]): boolean {
  if (own.incarnation === undefined || own.distance < DISTANCE_MAX) return false;
  const next = openOne(others, [...own.left, own.incarnation]);
  if (next === undefined || next === own.incarnation) return false;
  return others.some(({ status }) => status.isOpen && status.incarnation === next && status.leader !== undefined);
}

function rankOf(self: Seen, sorted: readonly Seen[]): number {
  return sorted.filter(({ peer }) => peer < self.peer).length;
}

function byPeer(a: Seen, b: Seen): number {
  return a.peer < b.peer ? -1 : 1;
}
