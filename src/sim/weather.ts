import type { SeededRandom } from "../env/index.ts";
import type { Address, Conditions } from "../transport/index.ts";
import type { FaultCounter, FaultKind } from "./fault-counter.ts";

/** The range of a delay, in microseconds, both ends included. */
export interface DelayRange {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Something that is wrong with the wire, until it ends. */
export interface Disturbance {
  readonly kind: FaultKind;
  /** Does it concern bytes from here to there? */
  readonly concerns: (from: Address, to: Address) => boolean;
  readonly isBlocking?: boolean;
  /** On top of the usual delay. */
  readonly delay?: DelayRange;
  /** Readers see the bytes in pieces of any size. */
  readonly isCutting?: boolean;
  /** In how many of a million cases `delay` and `isCutting` apply. Default: all. */
  readonly perMillion?: number;
  readonly bytesPerSecond?: number;
}

const USUAL_DELAY: DelayRange = { fromUs: 100, toUs: 1_500 };

/**
 * The state of the wire between all addresses: an even delay everywhere, and whatever disturbances are on. Every effect that a
 * disturbance has is counted at the moment it has it.
 */
export class Weather implements Conditions {
  readonly #random: SeededRandom;
  readonly #counter: FaultCounter;
  readonly #disturbances = new Set<Disturbance>();
  readonly #usual: DelayRange;
  /** Called when something that blocked is over. */
  onCleared: () => void = () => {};
  /** Called for each piece that a reader takes. */
  onArrival: (from: Address, to: Address, length: number) => void = () => {};

  constructor(random: SeededRandom, counter: FaultCounter, usual: DelayRange = USUAL_DELAY) {
    this.#random = random;
    this.#counter = counter;
    this.#usual = usual;
  }

  begin(disturbance: Disturbance): void {
    this.#disturbances.add(disturbance);
  }

  /** Idempotent. */
  end(disturbance: Disturbance): void {
    if (this.#disturbances.delete(disturbance) && disturbance.isBlocking === true) this.onCleared();
  }

  /** Ends all of them. */
  clear(): void {
    for (const disturbance of [...this.#disturbances]) this.end(disturbance);
  }

  delayUs(from: Address, to: Address): number {
    let delayUs = this.#draw(this.#usual);
    for (const { kind, delay, perMillion } of this.#at(from, to)) {
      if (delay === undefined || this.#isSpared(perMillion)) continue;
      delayUs += this.#draw(delay);
      this.#counter.count(kind);
    }
    return delayUs;
  }

  cutAt(from: Address, to: Address, length: number): number {
    const cut = this.#cut(from, to, length);
    this.onArrival(from, to, cut);
    return cut;
  }

  #cut(from: Address, to: Address, length: number): number {
    for (const { kind, isCutting, perMillion } of this.#at(from, to)) {
      if (isCutting !== true || length < 2 || this.#isSpared(perMillion)) continue;
      this.#counter.count(kind);
      // Often tiny, so that headers and lengths are torn, too.
      return this.#random.chance(1, 2)
        ? this.#random.between(1, Math.min(8, length - 1))
        : this.#random.between(1, length - 1);
    }
    return length;
  }

  isBlocked(from: Address, to: Address): boolean {
    let isBlocked = false;
    for (const { kind, isBlocking } of this.#at(from, to)) {
      if (isBlocking !== true) continue;
      isBlocked = true;
      this.#counter.count(kind);
    }
    return isBlocked;
  }

  bytesPerSecond(from: Address, to: Address): number | undefined {
    let least: number | undefined;
    for (const { kind, bytesPerSecond } of this.#at(from, to)) {
      if (bytesPerSecond === undefined) continue;
      this.#counter.count(kind);
      least = Math.min(least ?? bytesPerSecond, bytesPerSecond);
    }
    return least;
  }

  /** Something holds bytes back somewhere. */
  get isBlocking(): boolean {
    return [...this.#disturbances].some(({ isBlocking }) => isBlocking === true);
  }

  /** Would bytes from here to there be held now? Counts nothing. */
  holds(from: Address, to: Address): boolean {
    return [...this.#at(from, to)].some(({ isBlocking }) => isBlocking === true);
  }

  #isSpared(perMillion: number | undefined): boolean {
    return perMillion !== undefined && !this.#random.chance(perMillion, 1_000_000);
  }

  #draw({ fromUs, toUs }: DelayRange): number {
    return this.#random.between(fromUs, toUs);
  }

  *#at(from: Address, to: Address): Iterable<Disturbance> {
    for (const disturbance of this.#disturbances) if (disturbance.concerns(from, to)) yield disturbance;
  }
}
