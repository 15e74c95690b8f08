import type { SeededRandom } from "../../env/index.ts";
import type { GossipNode } from "./node.ts";
import type { GossipWorld } from "./world.ts";

type FaultKind = "crash" | "leave" | "join" | "cut" | "clock" | "relink";
/** The likelier, the more often named. */
const KINDS: readonly FaultKind[] = [
  "crash",
  "crash",
  "leave",
  "leave",
  "join",
  "join",
  "join",
  "cut",
  "clock",
  "relink",
];
/** How far off a stray clock is: much more than is allowed. */
const STRAY_MS = 600_000;

/** Peers that come, leave and crash, cuts, and clocks that jump; at the end everything is made whole. */
export class GossipFaults {
  readonly counts = { crash: 0, leave: 0, restart: 0, clockJump: 0 };
  isOver = false;
  readonly #world: GossipWorld;
  readonly #random: SeededRandom;
  #stray: GossipNode | undefined;

  constructor(world: GossipWorld, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
  }

  begin(): void {
    const { nodes, plan } = this.#world;
    if (plan.hasStrayClock) this.#stray = this.#random.pick(nodes);
    for (const node of nodes) this.#drawClock(node);
    const first = nodes.slice(0, Math.ceil((nodes.length * 2) / 3));
    for (const node of first) this.#world.after(this.#random.below(2_000_000), () => this.#join(node));
    this.#scheduleFault();
    this.#scheduleChange();
    this.#world.after(plan.faultsUntilUs, () => this.#end());
  }

  #scheduleFault(): void {
    this.#world.after(this.#random.below(2 * this.#world.plan.faultIntervalUs), () => {
      if (!this.#world.isFaulty) return;
      this.#strike(this.#random.pick(KINDS));
      this.#scheduleFault();
    });
  }

  #scheduleChange(): void {
    this.#world.after(this.#random.below(2 * this.#world.plan.changeIntervalUs), () => {
      if (!this.#world.isFaulty) return;
      const up = this.#up();
      if (up.length > 0) this.#world.change(this.#random.pick(up));
      this.#scheduleChange();
    });
  }

  #strike(kind: FaultKind): void {
    const up = this.#up();
    if (kind === "cut") return this.#cut();
    if (kind === "join") {
      const down = this.#world.nodes.filter((node) => node.life === undefined);
      if (down.length > 0) this.#join(this.#random.pick(down));
      return;
    }
    if (up.length < 2) return;
    const node = this.#random.pick(up);
    if (kind === "crash" || kind === "leave") this.#endLife(kind, node);
    else if (kind === "clock") this.#jump(node);
    else this.#world.link(node, this.#random.pick(up));
  }

  #endLife(kind: "crash" | "leave", node: GossipNode): void {
    this.counts[kind]++;
    this.#world.trace(`${kind} ${node.name}`);
    if (kind === "leave") this.#world.leave(node);
    else this.#world.end(node);
    // Some come back, soon or late, with a clock that may be behind what they said before; others never do.
    if (!this.#random.chance(2, 3)) return;
    this.#world.after(this.#random.below(this.#world.plan.repairUsMax), () => this.#join(node));
  }

  #join(node: GossipNode): void {
    if (node.life !== undefined || !this.#world.isFaulty) return;
    if (node.lives > 0) {
      this.counts.restart++;
      this.#drawClock(node);
    }
    this.#world.start(node);
  }

  #jump(node: GossipNode): void {
    this.counts.clockJump++;
    this.#drawClock(node);
    this.#world.trace(`clock ${node.name} ${node.clockErrorMs}`);
  }

  #drawClock(node: GossipNode): void {
    const { clockErrorMs } = this.#world.plan;
    if (node !== this.#stray) node.clockErrorMs = this.#random.between(-clockErrorMs, clockErrorMs);
    else node.clockErrorMs = this.#random.pick([-STRAY_MS, STRAY_MS]);
  }

  #cut(): void {
    const side = this.#world.nodes.map(({ number }) => number).filter(() => this.#random.chance(1, 2));
    this.#world.trace(`cut ${side}`);
    this.#world.network.cut(side);
    this.#world.after(this.#random.below(this.#world.plan.repairUsMax), () => {
      this.#world.trace("heal");
      this.#world.network.cut([]);
    });
  }

  #up(): readonly GossipNode[] {
    return this.#world.nodes.filter((node) => node.life !== undefined);
  }

  /** Clocks are set right, nothing is lost any more, and those that are up form a ring, besides the links that they have. */
  #end(): void {
    this.#world.trace("calm");
    this.#world.network.calm();
    for (const node of this.#world.nodes) node.clockErrorMs = 0;
    const up = this.#up();
    for (const [place, node] of up.entries()) this.#world.link(node, up[(place + 1) % up.length] as GossipNode);
    this.isOver = true;
  }
}
