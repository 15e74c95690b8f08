import type { SeededRandom } from "../../src/env/index.ts";

/** Registers and lists in use at one time. */
const AT_ONCE = 4;

/**
 * The keys of one client process. Each is used so often, and followed by a new one; all processes take them in the same order, so
 * they mostly use the same ones, and none has more operations than can be checked.
 */
export class Keys {
  readonly #usesMax: number;
  readonly #slots: { readonly kind: "r" | "l"; number: number; uses: number }[] = [];

  /** @param usesMax - of one key, by this process */
  constructor(usesMax: number) {
    this.#usesMax = usesMax;
    for (let number = 0; number < AT_ONCE; number++) {
      for (const kind of ["r", "l"] as const) this.#slots.push({ kind, number, uses: 0 });
    }
  }

  take(random: SeededRandom): string {
    const slot = random.pick(this.#slots);
    if (slot.uses === this.#usesMax) {
      slot.number += AT_ONCE;
      slot.uses = 0;
    }
    slot.uses++;
    return `${slot.kind}${slot.number}`;
  }
}
