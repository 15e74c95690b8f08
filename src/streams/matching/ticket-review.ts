import { compareVersions, type EntryVersion } from "../../discovery/index.ts";
import type { Verdict } from "./tickets.ts";

/** An answer that takes longer is a refusal: nobody stays for as long as a validator hangs. */
export const REVIEW_MS_MAX = 10_000;
/** Tickets that were refused are looked at again: they may not have been valid yet, or the validator had a bad moment. */
const REFUSED_AGAIN_MS = 30_000;
/** Clocks differ a little. A ticket that is about to end by one of them is not asked about without pause. */
const BETWEEN_MS_MIN = 100;

/**
 * What is known of the tickets of one peer, as its entries change and tickets end.
 *
 * One question at a time. While tickets are looked at again the last verdict stands, so that renewal cuts no link; but not for longer
 * than `REVIEW_MS_MAX`, however often the peer changes its entry meanwhile.
 */
export class TicketReview {
  /** The versions that show what the peer shows now: verdicts on any of these count. */
  #from: EntryVersion;
  #to: EntryVersion;
  #standing: "unknown" | "valid" | "refused" = "unknown";
  /** Is the standing about what the peer shows now? */
  #isOfNow = false;
  #endsAtMs = Number.POSITIVE_INFINITY;
  #askAtMs = Number.NEGATIVE_INFINITY;
  #asked: EntryVersion | undefined;
  /** When the first question was asked that has no answer which counts. */
  #openSinceMs: number | undefined;

  constructor(version: EntryVersion) {
    this.#from = version;
    this.#to = version;
  }

  /** `valid` also while valid ones are looked at again; `refused` only until they are. */
  get standing(): "unknown" | "valid" | "refused" {
    return this.#standing;
  }

  /** Valid, without a question that is open. */
  isSettled(nowMs: number): boolean {
    return this.#standing === "valid" && this.#isOfNow && nowMs < this.#endsAtMs;
  }

  /** @param isSame - it shows validators what the one before did */
  onVersion(version: EntryVersion, isSame: boolean): void {
    this.#to = version;
    // Older: it was forgotten meanwhile, and has begun to count anew.
    if (!isSame || compareVersions(version, this.#from) < 0) this.#from = version;
    if (isSame) return;
    this.#isOfNow = false;
    this.#askAtMs = Number.NEGATIVE_INFINITY;
    if (this.#standing === "refused") this.#standing = "unknown";
  }

  /** A question was put, and is neither answered nor given up. */
  get isAsked(): boolean {
    return this.#asked !== undefined;
  }

  isWanted(nowMs: number): boolean {
    return this.#asked === undefined && nowMs >= this.#askAtMs;
  }

  /** The question is put, about the version that was told last. */
  ask(nowMs: number): void {
    this.#asked = this.#to;
    this.#openSinceMs ??= nowMs;
    if (this.#standing === "refused") this.#standing = "unknown";
  }

  answer(version: EntryVersion, verdict: Verdict, nowMs: number): void {
    if (this.#asked !== undefined && compareVersions(version, this.#asked) === 0) this.#asked = undefined;
    const counts = compareVersions(version, this.#from) >= 0 && compareVersions(version, this.#to) <= 0;
    if (!counts) return;
    const endsAtMs = verdict === "refused" ? nowMs : (verdict.validUntilMs ?? Number.POSITIVE_INFINITY);
    // Negated, so that an end that is no number is none.
    if (!(endsAtMs > nowMs)) this.#refuse(nowMs);
    else {
      this.#settle("valid");
      this.#endsAtMs = endsAtMs;
      this.#askAtMs = Math.max(endsAtMs, nowMs + BETWEEN_MS_MIN);
    }
  }

  tick(nowMs: number): void {
    if (this.#openSinceMs === undefined || nowMs < this.#openSinceMs + REVIEW_MS_MAX) return;
    this.#asked = undefined;
    this.#refuse(nowMs);
  }

  /** Nobody wants to know now: a question that was not asked again is not open. */
  rest(): void {
    if (this.#asked === undefined) this.#openSinceMs = undefined;
  }

  /** When there is something to do, for `tick` or by `ask`. Infinity: never, as far as is known. */
  get nextAtMs(): number {
    if (this.#openSinceMs === undefined) return this.#askAtMs;
    return this.#openSinceMs + REVIEW_MS_MAX;
  }

  #refuse(nowMs: number): void {
    this.#settle("refused");
    this.#endsAtMs = nowMs;
    this.#askAtMs = nowMs + REFUSED_AGAIN_MS;
  }

  #settle(standing: "valid" | "refused"): void {
    this.#standing = standing;
    this.#isOfNow = true;
    this.#openSinceMs = undefined;
  }
}
