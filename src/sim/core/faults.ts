import type { SeededRandom } from "../../env/index.ts";
import type { CoreNode } from "./node.ts";
import type { CoreWorld } from "./world.ts";

const MS = 1_000;

/** Crashes, pauses and cuts, at random and at delicate moments; at the end everything is made whole. */
export class CoreFaults {
  readonly counts = { crash: 0, pause: 0 };
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
    this.#world.after(this.#random.below(150 * MS), () => this.#strike(node));
  }

  #scheduleNext(): void {
    this.#world.after(this.#random.below(2 * this.#world.plan.faultIntervalUs), () => {
      if (!this.#world.isFaulty) return;
      this.#strike(this.#random.pick(this.#world.nodes));
      this.#scheduleNext();
    });
  }

  #strike(node: CoreNode): void {
    if (!this.#world.isFaulty || node.raft === undefined) return;
    const kind = this.#random.pick([
      "crash",
      "crash",
      "pause",
      "isolate",
      "isolate",
      "split",
      "one-way",
      "link",
      "wish",
    ]);
    this.#world.trace(`fault ${kind} ${node.name}`);
    if (kind === "crash") this.#crash(node);
    else if (kind === "pause") this.#pause(node);
    else if (kind === "link") this.#closeLinks(node);
    else if (kind === "wish") this.#wish(node);
    else this.#cut(kind, node);
  }

  #crash(node: CoreNode): void {
    node.crash(this.#random.below(node.writesUnderWay + 1));
    this.counts.crash++;
    if (this.#random.chance(1, 2)) this.#closeLinks(node);
    this.#world.after(this.#random.below(1_500 * MS), () => {
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
    node.pausedUntilUs = this.#world.nowUs + this.#random.below(1_200 * MS);
    this.counts.pause++;
  }

  #cut(kind: string, node: CoreNode): void {
    const names = this.#world.nodes.map(({ name }) => name as string);
    const side = kind === "split" ? names.filter(() => this.#random.chance(1, 2)) : [node.name as string];
    const others = names.filter((name) => !side.includes(name));
    const out = side.flatMap((from) => others.map((to) => [from, to] as const));
    const back = out.map(([from, to]) => [to, from] as const);
    const heal = this.#world.network.cut(kind === "one-way" ? this.#random.pick([out, back]) : [...out, ...back]);
    this.#world.after(this.#random.below(2_000 * MS), () => {
      this.#world.trace(`heal ${node.name}`);
      heal();
    });
  }

  /** What a driver would say if the links to this member broke. */
  #closeLinks(node: CoreNode): void {
    for (const other of this.#world.nodes) {
      if (other === node || other.raft === undefined || this.#random.chance(1, 4)) continue;
      this.#world.afterOn(other, this.#random.below(20 * MS), () => {
        const campaignTicks = this.#random.below(8);
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

  #end(): void {
    this.#world.trace("calm");
    this.#world.network.calm();
    for (const node of this.#world.nodes) {
      node.pausedUntilUs = Math.min(node.pausedUntilUs, this.#world.nowUs);
      if (node.raft === undefined) this.#restart(node);
    }
  }
}
