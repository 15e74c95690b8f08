import type { SeededRandom } from "../../env/index.ts";
import type { GossipPlan } from "./plan.ts";

/** One copy of a frame on its way. */
export interface GossipDelivery {
  readonly from: number;
  readonly to: number;
  readonly kind: number;
  readonly payload: Uint8Array;
  /** Of the frames of this direction. */
  readonly number: number;
  readonly copy: "original" | "duplicate" | "forgery";
}

/** Loses, doubles, delays and reorders frames, and cuts peers apart. Counts each by its effect. */
export class GossipNetwork {
  readonly counts = { loss: 0, duplication: 0, reorder: 0, cut: 0 };
  readonly #plan: GossipPlan;
  readonly #random: SeededRandom;
  readonly #schedule: (delayUs: number, delivery: GossipDelivery) => void;
  readonly #sent = new Map<string, number>();
  readonly #delivered = new Map<string, number>();
  /** One side of a cut; nothing passes between it and the others. */
  #side = new Set<number>();
  #hasCutEffect = false;
  #isCalm = false;

  constructor(plan: GossipPlan, random: SeededRandom, schedule: (delayUs: number, delivery: GossipDelivery) => void) {
    this.#plan = plan;
    this.#random = random;
    this.#schedule = schedule;
  }

  /** No faults from now on: what is sent from now on arrives, once. */
  calm(): void {
    this.#isCalm = true;
    this.cut([]);
  }

  /** Takes the place of any cut before. */
  cut(side: readonly number[]): void {
    this.#side = new Set(side);
    this.#hasCutEffect = false;
  }

  isCut(a: number, b: number): boolean {
    return this.#side.has(a) !== this.#side.has(b);
  }

  send(from: number, to: number, kind: number, payload: Uint8Array): void {
    const direction = `${from}>${to}`;
    const number = (this.#sent.get(direction) ?? 0) + 1;
    this.#sent.set(direction, number);
    const frame = { from, to, kind, payload, number };
    if (!this.#isCalm && this.#random.chance(this.#plan.lossRate, 1_000)) {
      this.counts.loss++;
      return;
    }
    this.#schedule(this.#drawDelayUs(), { ...frame, copy: "original" });
    if (this.#isCalm || !this.#random.chance(this.#plan.duplicationRate, 1_000)) return;
    this.#schedule(this.#drawDelayUs(), { ...frame, copy: "duplicate" });
  }

  /** From somebody who only pretends: beside what is sent, never in its place. */
  forge(from: number, to: number, kind: number, payload: Uint8Array): void {
    this.#schedule(this.#drawDelayUs(), { from, to, kind, payload, number: 0, copy: "forgery" });
  }

  /** True if the frame gets through. */
  arrive({ from, to, number, copy }: GossipDelivery): boolean {
    if (this.isCut(from, to)) {
      if (!this.#hasCutEffect) this.counts.cut++;
      this.#hasCutEffect = true;
      return false;
    }
    if (copy === "forgery") return true;
    const direction = `${from}>${to}`;
    const latest = this.#delivered.get(direction) ?? 0;
    if (copy === "duplicate") this.counts.duplication++;
    else if (number < latest) this.counts.reorder++;
    this.#delivered.set(direction, Math.max(latest, number));
    return true;
  }

  #drawDelayUs(): number {
    return this.#isCalm ? 1_000 : 200 + this.#random.below(this.#plan.delayUsMax);
  }
}
