import type { SeededRandom } from "../../src/env/index.ts";

/** Draws each item once before any comes again: so in a short time each comes often enough, in an order that nobody knows. */
export class Bag<T> {
  readonly #items: readonly T[];
  readonly #random: SeededRandom;
  #left: T[] = [];

  /** @param items - not empty */
  constructor(items: readonly T[], random: SeededRandom) {
    this.#items = items;
    this.#random = random;
  }

  draw(): T {
    if (this.#left.length === 0) this.#left = [...this.#items];
    return this.#left.splice(this.#random.below(this.#left.length), 1)[0] as T;
  }
}
