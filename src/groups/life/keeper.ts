import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Index, MemberId, ProgressStatus } from "../../raft/index.ts";
import { type MemberStatus, NO_STORE } from "../bonds/index.ts";
import { memberId, peerOf } from "../entries/index.ts";
import { TICK_MS } from "./driver.ts";
import { decideMembership, type MembershipChange } from "./membership.ts";

/** A reader that lacks no more than this is caught up: the rest is on its way. */
const CAUGHT_UP_ENTRIES = 1_000;
/** A member tells how far it is once a second. What is older than this says nothing. */
const TOLD_TICKS_MAX = 2_500 / TICK_MS;
/** A voter whose last answer is not older was heard just now. */
const HEARD_HEARTBEATS = 2;

export interface KeeperTiming {
  readonly heartbeatTicks: number;
  /** A spare is in sight so long before it is promoted; doubled for a peer at each removal. */
  readonly promoteAfterTicks: number;
  /** A voter is silent so long before it counts as dead. */
  readonly removeDeadAfterTicks: number;
}

/** What the keeper looks at, each tick of a leader that has its quorum. */
export interface KeeperView {
  readonly self: MemberId;
  readonly voters: readonly MemberId[];
  /** Of the other voters. */
  readonly progress: readonly ProgressStatus[];
  /** Members in sight, in our incarnation or not. */
  readonly others: readonly { readonly peer: PeerId; readonly status: MemberStatus }[];
  readonly incarnation: string;
  readonly commit: Index;
  /** The leader itself wants to go. */
  readonly isLeaving: boolean;
  readonly votersMax: number;
  /** Its machine can apply all that the group agreed on. */
  isFit(peer: PeerId): boolean;
}

/** What a member said of itself, what was committed when we heard it, and for how many ticks it has said nothing since. */
interface Telling {
  readonly status: MemberStatus;
  readonly commit: Index;
  ticks: number;
}

/**
 * A leader's care for its voters. Time counts in ticks of a leader with a quorum, so that a leader that was cut off or slept believes
 * nobody dead.
 */
export class Keeper {
  readonly #timing: KeeperTiming;
  readonly #inSightTicks = new Map<MemberId, number>();
  readonly #tellings = new Map<PeerId, Telling>();
  readonly #removals: Map<PeerId, number>;

  /** @param removals - how often each peer was removed, kept by the member over terms of leadership */
  constructor(timing: KeeperTiming, removals: Map<PeerId, number>) {
    this.#timing = timing;
    this.#removals = removals;
  }

  /** Counts a tick, and gives the change that is due. */
  tick(view: KeeperView): MembershipChange | undefined {
    this.#listen(view);
    const readers = this.#readersOf(view);
    this.#count(readers);
    const heardWithin = HEARD_HEARTBEATS * this.#timing.heartbeatTicks;
    const heard = view.progress.filter(({ silentTicks }) => silentTicks <= heardWithin).map(({ member }) => member);
    const dead = new Set(this.#deadOf(view));
    // A spare answers no appends yet; that its bond is up has to do. A store that its peer has lost may have answered a moment ago.
    const living = [view.self, ...heard, ...readers].filter((member) => !dead.has(member));
    return decideMembership({
      self: view.self,
      voters: view.voters,
      spares: readers.filter((member) => this.#isReady(member)),
      dead,
      leaving: this.#leavingOf(view),
      heard: new Set(living),
      votersMax: view.votersMax,
    });
  }

  onRemoved(member: MemberId): void {
    const peer = peerOf(member);
    this.#removals.set(peer, (this.#removals.get(peer) ?? 0) + 1);
    if (this.#removals.size > LIMITS.bondsMax) this.#removals.delete(this.#removals.keys().next().value as PeerId);
  }

  /**
   * A peer whose former store still has its vote is among them: that store is dead at once, goes first, and then this one follows. So no peer
   * ever has two votes.
   */
  #readersOf({ others, incarnation, commit, voters, isFit }: KeeperView): MemberId[] {
    return others
      .filter(({ peer, status }) => status.role === "reader" && status.incarnation === incarnation && isFit(peer))
      .filter(({ status }) => status.isEligible && !status.isLeaving)
      .filter(({ peer }) => this.#isCaughtUp(peer, commit))
      .map(memberOf)
      .filter((member) => !voters.includes(member))
      .sort();
  }

  #listen({ others, commit }: KeeperView): void {
    const peers = new Set(others.map(({ peer }) => peer));
    for (const peer of [...this.#tellings.keys()]) if (!peers.has(peer)) this.#tellings.delete(peer);
    for (const { peer, status } of others) {
      const known = this.#tellings.get(peer);
      if (known?.status === status) known.ticks++;
      else this.#tellings.set(peer, { status, commit, ticks: 0 });
    }
  }

  /** Under load more is committed between two tellings than a spare may lack, so it is compared with what was committed then. */
  #isCaughtUp(peer: PeerId, commit: Index): boolean {
    const telling = this.#tellings.get(peer);
    if (telling === undefined) return false;
    const isRecent = telling.ticks <= TOLD_TICKS_MAX;
    return telling.status.index + CAUGHT_UP_ENTRIES >= (isRecent ? telling.commit : commit);
  }

  #leavingOf({ self, isLeaving, others }: KeeperView): Set<MemberId> {
    const leaving = others.filter(({ status }) => status.isLeaving).map(memberOf);
    return new Set(isLeaving ? [self, ...leaving] : leaving);
  }

  #count(readers: readonly MemberId[]): void {
    for (const member of [...this.#inSightTicks.keys()])
      if (!readers.includes(member)) this.#inSightTicks.delete(member);
    for (const member of readers) this.#inSightTicks.set(member, (this.#inSightTicks.get(member) ?? 0) + 1);
  }

  #isReady(member: MemberId): boolean {
    const penalty = 2 ** Math.min(this.#removals.get(peerOf(member)) ?? 0, 10);
    return (this.#inSightTicks.get(member) ?? 0) >= this.#timing.promoteAfterTicks * penalty;
  }

  #deadOf({ progress, others }: KeeperView): MemberId[] {
    return progress
      .filter(({ member, silentTicks }) => {
        const now = others.find(({ peer }) => peer === peerOf(member));
        // One whose store is not open yet says nothing of it.
        const isTold = now !== undefined && now.status.storeId !== NO_STORE;
        const hasAnotherStore = isTold && memberOf(now) !== member;
        return hasAnotherStore || silentTicks >= this.#timing.removeDeadAfterTicks;
      })
      .map(({ member }) => member);
  }
}

function memberOf({ peer, status }: { readonly peer: PeerId; readonly status: MemberStatus }): MemberId {
  return memberId(peer, status.storeId);
}
