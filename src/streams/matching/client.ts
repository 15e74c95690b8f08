import type { PeerId } from "../../identity/index.ts";
import { type Candidate, isSameToValidators } from "./candidate.ts";
import { type Fit, MEASURE_MS_MAX } from "./rule.ts";
import { TicketReview } from "./ticket-review.ts";

/** One peer with its consumers here. */
export class Client<Key> {
  readonly id: PeerId;
  readonly review: TicketReview | undefined;
  /** Those that were admitted, and those that wait. */
  readonly consumers = new Map<Key, "waiting" | "admitted">();
  /** The catalog has it no more. */
  isGone = false;
  #candidate: Candidate;
  #fit: Fit;
  #unmeasuredSinceMs: number | undefined;

  constructor(candidate: Candidate, fit: Fit, options: { readonly needsTickets: boolean; readonly nowMs: number }) {
    this.id = candidate.peer.id;
    this.#candidate = candidate;
    this.#fit = fit;
    this.review = options.needsTickets ? new TicketReview(candidate.version) : undefined;
    this.#measure(options.nowMs);
  }

  get candidate(): Candidate {
    return this.#candidate;
  }

  update(candidate: Candidate, fit: Fit, nowMs: number): void {
    this.isGone = false;
    this.review?.onVersion(candidate.version, isSameToValidators(this.#candidate, candidate));
    this.#candidate = candidate;
    this.#fit = fit;
    this.#measure(nowMs);
  }

  /** Nobody is here, and no question about it is open: whoever comes and goes is asked about once at a time. */
  get isForgettable(): boolean {
    return this.consumers.size === 0 && this.review?.isAsked !== true;
  }

  /** Why none of its consumers may stay or come; undefined: they may, or it is not known yet. */
  objection(nowMs: number): string | undefined {
    if (this.#fit === "unfit") return "the producer's rule does not take this peer";
    if (this.#unmeasuredSinceMs !== undefined && nowMs >= this.#unmeasuredSinceMs + MEASURE_MS_MAX) {
      return "the round trip could not be measured";
    }
    return this.review?.standing === "refused" ? "the producer does not accept the tickets" : undefined;
  }

  /** May a consumer be admitted now? */
  isSettled(nowMs: number): boolean {
    return this.#fit === "fits" && this.review?.isSettled(nowMs) !== false;
  }

  /** When something may change by itself; some of these may be past. */
  get dates(): readonly number[] {
    const never = Number.POSITIVE_INFINITY;
    return [this.review?.nextAtMs ?? never, (this.#unmeasuredSinceMs ?? never) + MEASURE_MS_MAX];
  }

  #measure(nowMs: number): void {
    if (this.#fit !== "unmeasured") this.#unmeasuredSinceMs = undefined;
    else this.#unmeasuredSinceMs ??= nowMs;
  }
}
