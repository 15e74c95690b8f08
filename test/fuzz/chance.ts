/** The same seed, the same inputs, on every machine. Mulberry32: small and good enough to shake decoders with. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A whole number in [0, end). */
  below(end: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * end);
  }

  /** In [0, end), small ones as likely as large ones. */
  size(end: number): number {
    return this.below(1 + this.below(end));
  }

  isOneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  list<T>(countMax: number, make: () => T): T[] {
    return Array.from({ length: this.size(countMax + 1) }, make);
  }

  /** A number as formats hold them: near the ends of their widths more often than not. */
  number(): number {
    if (this.isOneIn(3)) return this.below(2 ** 53);
    const power = 2 ** this.below(54);
    return Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, power - 1 + this.below(3)));
  }
}
