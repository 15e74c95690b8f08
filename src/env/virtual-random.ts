import { createHash } from "node:crypto";
import { assert } from "./assert.ts";
import type { Random } from "./env.ts";

const UINT32 = 0x1_0000_0000;

/**
 * Seeded numbers: `sfc32` (Chris Doty-Humphrey, PractRand), its state hashed from a seed and a path of names. Streams of different
 * paths are independent, so that one more draw in one place changes nothing in another.
 */
export class SeededRandom implements Random {
  readonly #path: string;
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** @param seed - any safe integer */
  constructor(seed: number, ...path: readonly string[]) {
    assert(Number.isSafeInteger(seed), "a seed is a safe integer");
    this.#path = JSON.stringify([seed, ...path]);
    const state = createHash("sha256").update("mosaik/seeded-random/1").update(this.#path).digest();
    this.#a = state.readUInt32LE(0) | 0;
    this.#b = state.readUInt32LE(4) | 0;
    this.#c = state.readUInt32LE(8) | 0;
    this.#counter = state.readUInt32LE(12) | 0;
  }

  /** An independent stream; the same name gives the same one, whatever was drawn here. */
  fork(name: string): SeededRandom {
    const [seed, ...path] = JSON.parse(this.#path) as [number, ...string[]];
    return new SeededRandom(seed, ...path, name);
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= UINT32, "a bound is in [1, 2^32]");
    // Numbers beyond the last whole multiple are drawn again: without that, low results would be likelier.
    const limit = UINT32 - (UINT32 % bound);
    let drawn = this.uint32();
    while (drawn >= limit) drawn = this.uint32();
    return drawn % bound;
  }

  /** An integer in [from, to], both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /** True in `parts` of `of` cases. */
  chance(parts: number, of: number): boolean {
    return this.below(of) < parts;
  }

  /** One of them. @param items - not empty */
  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, "there is something to pick from");
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 4) {
      const word = this.uint32();
      for (let i = at; i < Math.min(at + 4, length); i++) bytes[i] = (word >>> ((i - at) * 8)) & 0xff;
    }
    return bytes;
  }
}
