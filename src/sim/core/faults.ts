import type { SeededRandom } from "../../env/index.ts";
import type { CoreNode } from "./node.ts";
import type { CoreWorld } from "./world.ts";

const MS = 1_000;

type FaultKind = "crash" | "blackout" | "pause" | "full" | "isolate" | "split" | "one-way" | "link" | "wish";
/** The likelier, the more often named. */
const KINDS: readonly FaultKind[] = [
  ...(["crash", "crash", "pause", "isolate", "isolate", "isolate"] as const),
  ...(["blackout", "full", "split", "one-way", "link", "wish"] as const),
];

/** What keeps a leader's work half done: its log survives, its messages do not. */
const LEADER_KINDS: readonly FaultKind[] = ["isolate", "isolate", "isolate", "isolate", "crash", "pause"];

/** Crashes, pauses and cuts, at random and at delicate moments; at the end everything is made whole. */
export class CoreFaults {
  readonly counts = { crash: 0, pause: 0, full: 0 };
  readonly #world: CoreWorld;
  readonly #random: SeededRandom;

  constructor(world: CoreWorld, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
  }

  begin(): void {
    this.#scheduleNext();
    this.#world.after(this.#world.plan.faultsUntilUs, () => this.#end());
  }

  /** A fresh leader has work half done: the moment that most safety bugs need. */
  onLeader(node: CoreNode): void {
    if (!this.#world.isFaulty || !this.#random.chance(this.#world.plan.newLeaderFaultRate, 1_000)) return;
    const delayUs = this.#random.below(this.#world.plan.newLeaderFaultUsMax);
    this.#world.after(delayUs, () => this.#strike(node, LEADER_KINDS));
  }

  /** What a leader commits first is what its successor must not lose. */
  onFirstCommit(node: CoreNode): void {
    if (!this.#world.isFaulty || !this.#random.chance(this.#world.plan.newLeaderFaultRate, 1_500)) return;
    this.#world.after(this.#random.below(2 * MS), () => this.#strike(node, LEADER_KINDS));
  }

  /** A vote just became durable: a voter that forgets it now may vote again. */
  onVote(node: CoreNode): void {
    if (!this.#world.isFaulty || !this.#random.chance(this.#world.plan.newLeaderFaultRate, 4_000)) return;
    this.#world.afterOn(node, this.#random.below(10 * MS), () => {
      if (this.#world.isFaulty) this.#crash(node);
    });
  }

  #scheduleNext(): void {
    this.#world.after(this.#random.below(2 * this.#world.plan.faultIntervalUs), () => {
      if (!this.#world.isFaulty) return;
      this.#strike(this.#random.pick(this.#world.nodes));
      this.#scheduleNext();
    });
  }

  #strike(node: CoreNode, kinds: readonly FaultKind[] = KINDS): void {
    if (!this.#world.isFaulty || node.raft === undefined) return;
    const kind = this.#random.pick(kinds);
    this.#world.trace(`fault ${kind} ${node.name}`);
    if (kind === "crash") this.#crash(node);
    else if (kind === "blackout") this.#blackout();
    else if (kind === "pause") this.#pause(node);
    else if (kind === "full") this.#fill(node);
    else if (kind === "link") this.#closeLinks(node);
    else if (kind === "wish") this.#wish(node);
    else this.#cut(kind, node);
  }

  /** Power fails for most of them at once: what was promised before it was on disk is gone from a majority. */
  #blackout(): void {
    for (const node of this.#world.nodes) {
      if (node.raft !== undefined && this.#random.chance(4, 5)) this.#crash(node);
    }
  }

  #crash(node: CoreNode): void {
    const survivors = this.#random.below(node.writesUnderWay + 1);
    node.crash(survivors, this.#random.between(survivors, node.writesUnderWay));
    this.counts.crash++;
    if (this.#random.chance(1, 2)) this.#closeLinks(node);
    const downUs = this.#random.chance(1, 2) ? this.#random.below(30 * MS) : this.#drawRepairUs();
    this.#world.trace(`crash ${node.name}`);
    this.#world.after(downUs, () => {
      if (node.raft === undefined) this.#restart(node);
    });
  }

  #restart(node: CoreNode): void {
    this.#world.start(node);
    for (const other of this.#world.nodes) {
      if (other === node || other.raft === undefined) continue;
      this.#world.afterOn(other, this.#random.below(20 * MS), () => {
        this.#world.step(other, [{ type: "link-opened", peer: node.name }]);
      });
    }
  }

  #pause(node: CoreNode): void {
    const pauseUs = this.#drawRepairUs();
    node.pausedUntilUs = this.#world.nowUs + pauseUs;
    this.counts.pause++;
    // Scheduled before all that will wait for its end, so that a leader that slept is asked before it is told.
    this.#world.after(pauseUs, () => this.#world.onAwake(node));
  }

  /** Entries wait for room, terms and votes do not. */
  #fill(node: CoreNode): void {
    node.fullUntilUs = this.#world.nowUs + this.#drawRepairUs();
    this.counts.full++;
  }

  #cut(kind: FaultKind, node: CoreNode): void {
    const names = this.#world.nodes.map(({ name }) => name as string);
    const side = kind === "split" ? names.filter(() => this.#random.chance(1, 2)) : [node.name as string];
    const others = names.filter((name) => !side.includes(name));
    const out = side.flatMap((from) => others.map((to) => [from, to] as const));
    const back = out.map(([from, to]) => [to, from] as const);
    if (kind === "isolate" && this.#random.chance(1, 2)) this.#closeLinks(node);
    const heal = this.#world.network.cut(kind === "one-way" ? this.#random.pick([out, back]) : [...out, ...back]);
    this.#world.after(this.#drawRepairUs(), () => {
      this.#world.trace(`heal ${node.name}`);
      heal();
    });
  }

  /** What a driver would say if the links to this member broke. */
  #closeLinks(node: CoreNode): void {
    for (const other of this.#world.nodes) {
      if (other === node || other.raft === undefined || this.#random.chance(1, 4)) continue;
      this.#world.afterOn(other, this.#random.below(20 * MS), () => {
        const campaignTicks = this.#random.below(4);
        this.#world.step(other, [{ type: "link-closed", peer: node.name, campaignTicks }]);
      });
    }
  }

  /** A hand-over, or a campaign out of turn. */
  #wish(node: CoreNode): void {
    this.#world.afterOn(node, 0, () => {
      const { name: to } = this.#random.pick(this.#world.nodes);
      if (node.isLeader) this.#world.step(node, [{ type: "transfer", to }]);
      else this.#world.step(node, [{ type: "campaign", electionTicks: this.#world.drawElectionTicks() }]);
    });
  }

  #drawRepairUs(): number {
    return this.#random.below(this.#world.plan.repairUsMax);
  }

  #end(): void {
    this.#world.trace("calm");
    this.#world.network.calm();
    for (const node of this.#world.nodes) {
      node.pausedUntilUs = Math.min(node.pausedUntilUs, this.#world.nowUs);
      if (node.raft === undefined) this.#restart(node);
    }
  }
}
