import { setTimeout as sleep } from "node:timers/promises";
import { Bag } from "./bag.ts";
import { type Arena, type Fault, NET_FAULTS, PROCESS_FAULTS } from "./faults.ts";

/** A cluster whose net is whole and whose members run is whole again within this time. */
export const SETTLE_MS = 60_000;

export interface StormOptions {
  readonly arena: Arena;
  readonly faults: readonly Fault[];
  readonly durationMs: number;
  readonly onFault: (news: { readonly fault: string; readonly beganMs: number; readonly tookMs: number }) => void;
}

/**
 * Faults of the seed, in two lanes: members' troubles one at a time, and troubles of the net beside them. A store may be lost for good only
 * while all five are voters; so before that the net is calm, and the cluster has to become whole by itself.
 */
export class Storm {
  /** How often each had an effect. */
  readonly counts: Record<string, number> = {};
  /** Waits that did not end. */
  readonly stalls: string[] = [];
  readonly #o: StormOptions;
  readonly #beganMs = performance.now();
  #isCalm = false;

  constructor(options: StormOptions) {
    this.#o = options;
    for (const { name } of options.faults) this.counts[name] = 0;
  }

  async run(): Promise<void> {
    const had = (lane: readonly Fault[]): readonly Fault[] => lane.filter((fault) => this.#o.faults.includes(fault));
    const lanes = await Promise.allSettled([
      this.#lane("members", had(PROCESS_FAULTS), { from: 500, to: 2_000 }),
      this.#lane("net", had(NET_FAULTS), { from: 1_000, to: 5_000 }),
    ]);
    for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
  }

  get #isOver(): boolean {
    return performance.now() - this.#beganMs >= this.#o.durationMs;
  }

  async #lane(name: string, faults: readonly Fault[], pauseMs: { from: number; to: number }): Promise<void> {
    if (faults.length === 0) return;
    const { arena } = this.#o;
    const random = arena.random.fork(name);
    const bag = new Bag(faults, random);
    while (!this.#isOver) {
      await sleep(random.between(pauseMs.from, pauseMs.to));
      if (this.#isOver || (name === "net" && this.#isCalm)) continue;
      const fault = bag.draw();
      // A member that crashed is noted, and comes back.
      if (name === "members") await arena.cluster.startAll();
      if (fault.isLossy && !(await this.#becomesWhole(fault.name))) continue;
      await this.#strike(fault, { ...arena, random: random.fork(`${fault.name}/${this.counts[fault.name]}`) });
    }
  }

  async #becomesWhole(before: string): Promise<boolean> {
    this.#isCalm = true;
    const isWhole = await this.#o.arena.cluster.settled(SETTLE_MS);
    this.#isCalm = false;
    if (!isWhole) this.stalls.push(`before ${before} the cluster was not whole within ${SETTLE_MS} ms`);
    return isWhole && !this.#isOver;
  }

  async #strike(fault: Fault, arena: Arena): Promise<void> {
    const beganMs = performance.now();
    const hadEffect = await fault.strike(arena);
    if (hadEffect) this.counts[fault.name] = (this.counts[fault.name] ?? 0) + 1;
    const tookMs = Math.round(performance.now() - beganMs);
    this.#o.onFault({ fault: fault.name, beganMs: Math.round(beganMs - this.#beganMs), tookMs });
  }
}
