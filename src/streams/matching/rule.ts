import { fits, type Peer, type PeerRule } from "../../discovery/index.ts";

/** `unmeasured`: all that is missing is its round trip. */
export type Fit = "fits" | "unmeasured" | "unfit";

/** A round trip is measured sooner than this, or not at all. */
export const MEASURE_MS_MAX = 5_000;

/**
 * A rule with the user's functions in it. What they throw must not let a peer break us: a peer that makes `where` throw does not fit,
 * one that makes `prefer` throw comes last.
 */
export class RuleCheck {
  readonly #rule: PeerRule;
  readonly #prefer: ((peer: Peer) => number) | undefined;
  #problem: { readonly cause: unknown } | undefined;
  #isTaken = false;

  constructor(rule: PeerRule, prefer: ((peer: Peer) => number) | undefined) {
    this.#rule = rule;
    this.#prefer = prefer;
  }

  fit(peer: Peer): Fit {
    const isUnmeasured = this.#rule.maxRttMs !== undefined && peer.rttMs === undefined;
    const rule = isUnmeasured ? { ...this.#rule, maxRttMs: undefined } : this.#rule;
    if (!this.#try(() => fits(peer, rule), false)) return "unfit";
    return isUnmeasured ? "unmeasured" : "fits";
  }

  /** Higher is better; equal for all if there is no preference. Never NaN. */
  score(peer: Peer): number {
    const prefer = this.#prefer;
    if (prefer === undefined) return 0;
    const score: unknown = this.#try(() => prefer(peer), Number.NEGATIVE_INFINITY);
    return typeof score === "number" && !Number.isNaN(score) ? score : Number.NEGATIVE_INFINITY;
  }

  /** What was thrown first, once: a function that throws does so for every peer. */
  takeProblem(): { readonly cause: unknown } | undefined {
    if (this.#isTaken || this.#problem === undefined) return undefined;
    this.#isTaken = true;
    return this.#problem;
  }

  #try<T>(call: () => T, otherwise: T): T {
    try {
      return call();
    } catch (cause) {
      this.#problem ??= { cause };
      return otherwise;
    }
  }
}
