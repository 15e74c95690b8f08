import type { SeededRandom } from "../env/index.ts";
import type { ProbeSource } from "../groups/index.ts";
import type { UniqueId } from "../identity/index.ts";
import type { MemberId } from "../raft/index.ts";
import type { IncarnationId } from "../storage/index.ts";
import type { SimulatedNode, Simulation } from "./simulation.ts";
import { WORKLOAD_GROUP, type WorkloadGroup } from "./workload.ts";

/** A leader may have heard a voter just before it died, and go on counting on it for so long. */
const LOSS_SETTLES_US = 1_000_000;

/**
 * Who is who in a run: which store and incarnation each node lives on, who suffers now, and what is lost for good. It decides who may suffer
 * next, so that a majority can return: without one nothing is promised, and nothing could be shown.
 */
export class Cast {
  readonly #simulation: Simulation;
  readonly #expect: number;
  readonly #observers: ReadonlySet<string>;
  readonly #victims = new Set<SimulatedNode>();
  readonly #lost = new Set<MemberId>();
  #leaving: SimulatedNode | undefined;
  #groupId: UniqueId | undefined;
  #stores = 0;
  #lastLossUs = Number.NEGATIVE_INFINITY;

  /** @param observers - by name; they never vote */
  constructor(simulation: Simulation, expect: number, observers: ReadonlySet<string>) {
    this.#simulation = simulation;
    this.#expect = expect;
    this.#observers = observers;
  }

  groupOf(node: SimulatedNode): WorkloadGroup {
    return node.group(WORKLOAD_GROUP) as unknown as WorkloadGroup;
  }

  isIn(node: SimulatedNode): boolean {
    return node.isUp && node.hasGroup(WORKLOAD_GROUP);
  }

  isOnline(node: SimulatedNode): boolean {
    return this.isIn(node) && this.groupOf(node).state === "online";
  }

  get areAllOnline(): boolean {
    return this.#simulation.nodes.every((node) => this.isOnline(node));
  }

  /** Not paused. */
  anybodyOnline(random: SeededRandom): SimulatedNode | undefined {
    const online = this.#simulation.nodes.filter((node) => !node.isPaused && this.isOnline(node));
    return online.length === 0 ? undefined : random.pick(online);
  }

  /** Another store is there: as many as two groups need may be enough for two groups. */
  noteStore(node: SimulatedNode): void {
    this.#groupId ??= this.groupOf(node).id;
    if (!this.#observers.has(node.name) && ++this.#stores >= 2 * this.#expect)
      this.#simulation.invariants.allowRivals();
  }

  /** The store that this node lives on, or will again at its next start; undefined while it has none that is bound. */
  presentOf(node: SimulatedNode): ProbeSource | undefined {
    if (this.#groupId === undefined || !node.isJoined(WORKLOAD_GROUP)) return undefined;
    const present = this.#simulation.invariants.presentOf(node.peerId, this.#groupId);
    return present === undefined || this.#lost.has(present.member) ? undefined : present;
  }

  /** Undefined until it may promise something. */
  incarnationOf(node: SimulatedNode): IncarnationId | undefined {
    const incarnation = this.presentOf(node)?.incarnation;
    if (incarnation === undefined) return undefined;
    // Whoever says that it is online is taken at its word.
    return this.#simulation.invariants.isEstablished(incarnation) || this.isOnline(node) ? incarnation : undefined;
  }

  /** Those that may promise something, and have members. Sorted. */
  get incarnations(): readonly IncarnationId[] {
    const all = this.#simulation.nodes.map((node) => this.incarnationOf(node));
    return [...new Set(all.filter((incarnation) => incarnation !== undefined))].sort();
  }

  membersOf(incarnation: IncarnationId): readonly SimulatedNode[] {
    return this.#simulation.nodes.filter((node) => this.incarnationOf(node) === incarnation);
  }

  /**
   * Somebody who suffers for a while, and comes back: this one or any, often the leader. Mostly a majority is spared, so that there is somebody to
   * show what goes wrong; but not always. Undefined: nobody can be spared now.
   */
  victim(wanted?: SimulatedNode): SimulatedNode | undefined {
    const isSparing = !this.#simulation.random.chance(1, 8);
    return this.#pick(wanted, (node) => !isSparing || this.#isMajorityLeft(node, [...this.#victims]));
  }

  /**
   * Somebody whose store may be lost for good. All others are well, so that no leader is about to count on those alone of whom one is lost
   * meanwhile: that would be the end of the group.
   */
  loser(wanted?: SimulatedNode): SimulatedNode | undefined {
    return this.#pick(wanted, (node) => this.#isExpendable(node));
  }

  /** Somebody who gives up its vote. One at a time, and only while all are well. */
  leaver(): SimulatedNode | undefined {
    if (this.#leaving !== undefined || !this.#isLossSettled) return undefined;
    this.#leaving = this.#pick(
      undefined,
      (node) => this.isOnline(node) && this.#isCalm && this.#isMajorityLeft(node, []),
    );
    return this.#leaving;
  }

  release(node: SimulatedNode): void {
    this.#victims.delete(node);
    if (this.#leaving === node) this.#leaving = undefined;
  }

  /** Its store is gone now, unless the result is called: then it was not, after all. */
  noteLoss(node: SimulatedNode): () => void {
    const present = this.presentOf(node);
    this.#lastLossUs = this.#simulation.world.nowUs;
    if (present === undefined) return () => {};
    this.#lost.add(present.member);
    return () => this.#lost.delete(present.member);
  }

  /** No voter in force anywhere is lost, unless all that are left vote already: nobody is there to follow it. */
  get areLostReplaced(): boolean {
    return this.incarnations.every((incarnation) => {
      const eligible = this.membersOf(incarnation).filter(({ name }) => !this.#observers.has(name));
      const members = eligible.map((node) => this.presentOf(node)?.member);
      return this.#simulation.invariants.configurationsOf(incarnation, this.#lost).every((voters) => {
        const hasSpare = members.some((member) => member !== undefined && !voters.includes(member));
        return !hasSpare || !voters.some((voter) => this.#lost.has(voter));
      });
    });
  }

  /** Could these go, and the others still be a majority of the voters in force? */
  isMajorityWithout(gone: readonly SimulatedNode[]): boolean {
    return gone.every((node) => this.#isMajorityLeft(node, gone));
  }

  /** Where each member is, for people. */
  describe(): string {
    const nodes = this.#simulation.nodes
      .map((node) => {
        if (!this.isIn(node)) return `${node.name} ${node.isUp ? "not in the group" : "down"}`;
        const { state, position, isLeader, term } = this.groupOf(node);
        return `${node.name} ${state}${isLeader ? " leads" : ""} term ${term} position ${position}`;
      })
      .join(", ");
    const { invariants } = this.#simulation;
    return [nodes, ...this.incarnations.map((one) => invariants.describe(one, this.#lost))].join("; ");
  }

  #pick(wanted: SimulatedNode | undefined, isSuitable: (node: SimulatedNode) => boolean): SimulatedNode | undefined {
    const { random, nodes } = this.#simulation;
    const free = nodes.filter((node) => this.isIn(node) && !this.#victims.has(node));
    const candidates = free.filter((node) => (wanted === undefined || node === wanted) && isSuitable(node));
    if (candidates.length === 0) return undefined;
    const leader = candidates.find((node) => this.groupOf(node).isLeader);
    const victim = leader !== undefined && random.chance(1, 2) ? leader : random.pick(candidates);
    this.#victims.add(victim);
    return victim;
  }

  #isExpendable(node: SimulatedNode): boolean {
    if (this.#leaving !== undefined || !this.#isCalm) return false;
    const present = this.presentOf(node);
    // Until its incarnation is open for good its voters are not replaced, so nobody there can be missed.
    if (present !== undefined && this.incarnationOf(node) === undefined) return false;
    return (this.#votesEverywhere(present) || this.#hasNoLostVoter) && this.#isMajorityLeft(node, []);
  }

  /** It is no reader that may just be getting a vote: then it would be missed as a voter that nobody counted yet. */
  #votesEverywhere(present: ProbeSource | undefined): boolean {
    if (present?.incarnation === undefined) return false;
    const configurations = this.#simulation.invariants.configurationsOf(present.incarnation, this.#lost);
    return configurations.every((voters) => voters.includes(present.member));
  }

  /** In no configuration that may be in force does a lost store vote. */
  get #hasNoLostVoter(): boolean {
    return this.incarnations.every((incarnation) =>
      this.#simulation.invariants
        .configurationsOf(incarnation, this.#lost)
        .every((voters) => !voters.some((voter) => this.#lost.has(voter))),
    );
  }

  get #isLossSettled(): boolean {
    return this.#simulation.world.nowUs - this.#lastLossUs > LOSS_SETTLES_US;
  }

  get #isCalm(): boolean {
    const { weather, nodes } = this.#simulation;
    if (weather.isBlocking) return false;
    return nodes.every(
      (node) => !node.isJoined(WORKLOAD_GROUP) || (!node.isPaused && this.isOnline(node) && this.#seesItsVoters(node)),
    );
  }

  /** Over a half-open connection a voter takes itself for online while its leader counts the seconds until it replaces it. */
  #seesItsVoters(node: SimulatedNode): boolean {
    const group = this.groupOf(node);
    if (!group.isLeader) return true;
    const living = this.#simulation.nodes.map(({ peerId }) => peerId);
    return group.members.every(({ id, role, isConnected }) => role !== "voter" || isConnected || !living.includes(id));
  }

  /** In each configuration that has this node's store, a majority is neither lost, nor among those who are gone, nor this one. */
  #isMajorityLeft(node: SimulatedNode, gone: readonly SimulatedNode[]): boolean {
    const present = this.presentOf(node);
    if (present?.incarnation === undefined) return true;
    const missing = new Set([present.member, ...this.#lost]);
    for (const other of gone) {
      const member = this.presentOf(other)?.member;
      if (member !== undefined) missing.add(member);
    }
    const configurations = this.#simulation.invariants.configurationsOf(present.incarnation, this.#lost);
    return configurations
      .filter((voters) => voters.includes(present.member))
      .every((voters) => voters.filter((voter) => !missing.has(voter)).length * 2 > voters.length);
  }
}
