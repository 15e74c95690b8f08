import type { SeededRandom } from "../../env/index.ts";
import type { Envelope } from "../../raft/index.ts";
import type { CorePlan } from "./plan.ts";

/** One copy of a message on its way. */
export interface Delivery {
  readonly envelope: Envelope;
  /** Of the messages of this direction. */
  readonly number: number;
  readonly isCopy: boolean;
}

/** Loses, doubles, delays and reorders messages, and cuts members apart. Counts each by its effect. */
export class CoreNetwork {
  readonly counts = { loss: 0, duplication: 0, reorder: 0, cut: 0 };
  readonly #plan: CorePlan;
  readonly #random: SeededRandom;
  readonly #schedule: (delayUs: number, delivery: Delivery) => void;
  /** Directions that are cut: `from>to`, and whether a message was lost by it. */
  readonly #cuts = new Map<string, { hasEffect: boolean }>();
  readonly #sent = new Map<string, number>();
  readonly #delivered = new Map<string, number>();
  #isCalm = false;

  constructor(plan: CorePlan, random: SeededRandom, schedule: (delayUs: number, delivery: Delivery) => void) {
    this.#plan = plan;
    this.#random = random;
    this.#schedule = schedule;
  }

  /** No faults from now on: what is sent from now on arrives, once and in order. */
  calm(): void {
    this.#isCalm = true;
    this.#cuts.clear();
  }

  /** One cut, of these directions, until `heal` is called with what this returns. */
  cut(directions: readonly (readonly [string, string])[]): () => void {
    const cut = { hasEffect: false };
    const keys = directions.map(([from, to]) => `${from}>${to}`);
    for (const key of keys) this.#cuts.set(key, cut);
    return () => {
      for (const key of keys) if (this.#cuts.get(key) === cut) this.#cuts.delete(key);
    };
  }

  send(envelope: Envelope): void {
    const direction = `${envelope.from}>${envelope.to}`;
    const number = (this.#sent.get(direction) ?? 0) + 1;
    this.#sent.set(direction, number);
    if (!this.#isCalm && this.#random.chance(this.#plan.lossRate, 1_000)) {
      this.counts.loss++;
      return;
    }
    this.#schedule(this.#drawDelayUs(), { envelope, number, isCopy: false });
    if (!this.#isCalm && this.#random.chance(this.#plan.duplicationRate, 1_000)) {
      this.#schedule(this.#drawDelayUs(), { envelope, number, isCopy: true });
    }
  }

  /** True if the message gets through. */
  arrive({ envelope, number, isCopy }: Delivery): boolean {
    const direction = `${envelope.from}>${envelope.to}`;
    const cut = this.#cuts.get(direction);
    if (cut !== undefined) {
      if (!cut.hasEffect) this.counts.cut++;
      cut.hasEffect = true;
      return false;
    }
    const latest = this.#delivered.get(direction) ?? 0;
    if (isCopy) this.counts.duplication++;
    else if (number < latest) this.counts.reorder++;
    this.#delivered.set(direction, Math.max(latest, number));
    return true;
  }

  #drawDelayUs(): number {
    return this.#isCalm ? 1_000 : 200 + this.#random.below(this.#plan.delayUsMax);
  }
}
