import type { PeerId } from "../../identity/index.ts";
import { type Candidate, isOlder, isOtherLife, isSameToValidators } from "./candidate.ts";
import type { Ranked } from "./ranking.ts";
import { Retry } from "./retry.ts";
import { type Fit, MEASURE_MS_MAX } from "./rule.ts";
import { TicketReview } from "./ticket-review.ts";

/** `idle` is without a place; the others have one, and go through it in this order. */
export type Phase = "idle" | "validating" | "connecting" | "connected";

/** For people. */
export interface SourceView {
  readonly peer: PeerId;
  /** `waiting`: it would be tried, but for a failure or refusal not yet. */
  readonly state: Phase | "waiting";
  readonly fit: Fit;
  /** Undefined: none are asked for. */
  readonly tickets: TicketReview["standing"] | undefined;
  /** In a row, since it last accepted us. */
  readonly failures: number;
  /** Why it last ended. */
  readonly lastCode: number | undefined;
}

/** What was found out about a peer when it last changed. */
export interface Facts {
  readonly candidate: Candidate;
  readonly fit: Fit;
  /** Higher is better. */
  readonly score: number;
}

/** One peer that advertises the stream. */
export class Source implements Ranked {
  readonly id: PeerId;
  readonly lot: number;
  readonly retry: Retry;
  readonly review: TicketReview | undefined;
  lastCode: number | undefined;
  #facts: Facts;
  #phase: Phase = "idle";
  #sinceMs = 0;
  #unmeasuredSinceMs: number | undefined;

  /** @param options.random - in [0, 1) */
  constructor(facts: Facts, options: { readonly needsTickets: boolean; readonly random: () => number }) {
    this.id = facts.candidate.peer.id;
    this.#facts = facts;
    this.lot = options.random();
    this.retry = new Retry(options.random);
    this.review = options.needsTickets ? new TicketReview(facts.candidate.version) : undefined;
  }

  get candidate(): Candidate {
    return this.#facts.candidate;
  }
  get fit(): Fit {
    return this.#facts.fit;
  }
  get score(): number {
    return this.#facts.score;
  }
  get phase(): Phase {
    return this.#phase;
  }
  /** When the phase began. */
  get sinceMs(): number {
    return this.#sinceMs;
  }
  get isLinked(): boolean {
    return this.#phase === "connecting" || this.#phase === "connected";
  }

  /** The catalog has it no more, and it has a link. */
  isGone = false;

  update(facts: Facts, nowMs: number): void {
    const before = this.#facts.candidate;
    const { candidate } = facts;
    this.#facts = facts;
    this.isGone = false;
    this.#measure(nowMs);
    this.review?.onVersion(candidate.version, isSameToValidators(before, candidate));
    if (isOtherLife(before, candidate)) this.retry.onChange("life", nowMs);
    else if (isOlder(before, candidate)) this.retry.onChange("entry", nowMs);
  }

  /** While its round trip is not known: when that ends at the latest. */
  get measuredByMs(): number {
    return this.#unmeasuredSinceMs === undefined ? Number.NEGATIVE_INFINITY : this.#unmeasuredSinceMs + MEASURE_MS_MAX;
  }

  #measure(nowMs: number): void {
    if (this.fit !== "unmeasured") this.#unmeasuredSinceMs = undefined;
    else this.#unmeasuredSinceMs ??= nowMs;
  }

  become(phase: Phase, nowMs: number): void {
    this.#phase = phase;
    this.#sinceMs = nowMs;
  }

  /** Why it may not have a link, not even the one it has; undefined: it may. One that is measured anew keeps its link meanwhile. */
  objection(nowMs: number): string | undefined {
    const isBeingMeasured = this.isLinked && nowMs < this.measuredByMs;
    if (this.fit !== "fits" && !isBeingMeasured) return "does not fit the rule";
    return this.review?.standing === "refused" ? "its tickets are not accepted" : undefined;
  }

  isSettled(nowMs: number): boolean {
    return this.review?.isSettled(nowMs) !== false;
  }

  /** May it be given a place now? */
  isOpen(nowMs: number): boolean {
    if (this.#phase !== "idle" || this.fit !== "fits" || nowMs < this.retry.notBeforeMs) return false;
    return this.review === undefined || this.review.isSettled(nowMs) || this.review.isWanted(nowMs);
  }

  view(nowMs: number): SourceView {
    const isWaiting = this.#phase === "idle" && this.objection(nowMs) === undefined && nowMs < this.retry.notBeforeMs;
    return {
      peer: this.id,
      state: isWaiting ? "waiting" : this.#phase,
      fit: this.fit,
      tickets: this.review?.standing,
      failures: this.retry.failures,
      lastCode: this.lastCode,
    };
  }
}
