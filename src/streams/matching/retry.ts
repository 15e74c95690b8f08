import { CLOSE } from "../../wire/index.ts";

/** A link that ends sooner after it was accepted is the same outage going on: else one who accepts and cuts sets the pace. */
const SETTLED_MS = 1_000;
/** A life that follows another one sooner is a change like others: else one who starts anew all the time sets the pace. */
const LIFE_MS = 10_000;

/** What a wait is for. */
export type Ended = "outage" | "introduction" | "capacity" | "early-refusal" | "refusal" | "stale" | "restart";
/** What changed: the peer started anew, its entry, or ours. */
export type Change = "life" | "entry" | "self";

/** The first wait is drawn from `fromMs` to `toMs`; both ends double with each failure, until the later one is `maxMs`. */
interface Range {
  readonly fromMs: number;
  readonly toMs: number;
  readonly maxMs: number;
}

interface Pace extends Range {
  readonly cutShortBy: readonly Change[];
}

const PACES: Readonly<Record<Ended, Pace>> = {
  outage: { fromMs: 100, toMs: 250, maxMs: 10_000, cutShortBy: ["life"] },
  // It does not know us, and is being told.
  introduction: { fromMs: 50, toMs: 100, maxMs: 2_000, cutShortBy: ["life"] },
  // A place may be free at any time, and whoever asks often enough gets it.
  capacity: { fromMs: 250, toMs: 1_000, maxMs: 1_000, cutShortBy: ["life"] },
  // It may have judged what we were: our entry is on its way.
  "early-refusal": { fromMs: 100, toMs: 250, maxMs: 10_000, cutShortBy: ["life", "entry", "self"] },
  // It meant us. Nothing that we know of will change that, but that somebody changes.
  refusal: { fromMs: 5_000, toMs: 7_500, maxMs: 60_000, cutShortBy: ["life", "entry", "self"] },
  // Its entry promised what is not there; a better one is probably on its way.
  stale: { fromMs: 1_000, toMs: 2_000, maxMs: 2_000, cutShortBy: ["life", "entry"] },
  restart: { fromMs: 1_000, toMs: 1_500, maxMs: 1_500, cutShortBy: ["life", "entry"] },
};

/** After a change that may help; not at once, for everybody hears of it at once. Longer for a peer that changed often, and it never helped. */
const SOON: Range = { fromMs: 50, toMs: 250, maxMs: 10_000 };

/** What an ended link, or one that never was, means to the consumer's side. What is not listed is an outage. */
export function endedBy(code: number): Ended {
  switch (code) {
    case CLOSE.unknownPeer:
      return "introduction";
    case CLOSE.streamNoCapacity:
      return "capacity";
    case CLOSE.streamNotFound:
      return "stale";
    case CLOSE.gracefulShutdown:
      return "restart";
    case CLOSE.streamNotAllowed:
    case CLOSE.streamMismatch:
    case CLOSE.protocolViolation:
    case CLOSE.invalidAlpn:
    case CLOSE.differentNetwork:
    case CLOSE.invalidProof:
    case CLOSE.versionMismatch:
      return "refusal";
    default:
      return "outage";
  }
}

/** When one peer may be tried again. It never gives up. */
export class Retry {
  readonly #random: () => number;
  #failures = 0;
  #ended: Ended | undefined;
  /** Ends of each kind since it last lived: neither who alternates between reasons, nor who accepts and cuts, sets the pace. */
  readonly #rows = new Map<Ended, number>();
  /** How often what the peer did cut a wait short, since it last lived. */
  #cuts = 0;
  /** When the peer last started anew. */
  #lifeMs = Number.NEGATIVE_INFINITY;
  #acceptedMs: number | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  /** @param random - in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** In a row, since it last accepted us. */
  get failures(): number {
    return this.#acceptedMs === undefined ? this.#failures : 0;
  }

  get notBeforeMs(): number {
    return this.#notBeforeMs;
  }

  onAccepted(nowMs: number): void {
    this.#acceptedMs = nowMs;
  }

  onEnded(ended: Ended, nowMs: number): void {
    if (this.#hadSettled(nowMs)) {
      this.#failures = 0;
      this.#beginAnew();
    }
    this.#acceptedMs = undefined;
    this.#ended = ended;
    this.#failures += 1;
    const row = (this.#rows.get(ended) ?? 0) + 1;
    this.#rows.set(ended, row);
    this.#notBeforeMs = nowMs + this.#waitMs(PACES[ended], row);
  }

  /** We ended it ourselves. */
  onDropped(nowMs: number): void {
    if (this.#acceptedMs !== undefined) this.#failures = 0;
    if (this.#hadSettled(nowMs)) this.#beginAnew();
    this.#acceptedMs = undefined;
    this.#ended = undefined;
    this.#cuts += 1;
    this.#notBeforeMs = nowMs + this.#waitMs(SOON, this.#cuts);
  }

  /** Something changed that may help. The next wait is as long as it would have been, for entries change often. */
  onChange(change: Change, nowMs: number): void {
    if (this.#ended === undefined || !PACES[this.#ended].cutShortBy.includes(change)) return;
    const isNewLife = change === "life" && nowMs - this.#lifeMs >= LIFE_MS;
    if (change === "life") this.#lifeMs = nowMs;
    if (isNewLife) this.#beginAnew();
    // A peer says itself when it started anew.
    const isOnceMore = change !== "self" && !isNewLife;
    if (isOnceMore) this.#cuts += 1;
    this.#notBeforeMs = Math.min(this.#notBeforeMs, nowMs + this.#waitMs(SOON, isOnceMore ? this.#cuts : 1));
  }

  #hadSettled(nowMs: number): boolean {
    return this.#acceptedMs !== undefined && nowMs - this.#acceptedMs >= SETTLED_MS;
  }

  #beginAnew(): void {
    this.#rows.clear();
    this.#cuts = 0;
  }

  /** @param row - so many of the same, this one included */
  #waitMs({ fromMs, toMs, maxMs }: Range, row: number): number {
    let [earliestMs, latestMs] = [fromMs, toMs];
    for (let doublings = row - 1; doublings > 0 && latestMs < maxMs; doublings -= 1) {
      earliestMs *= 2;
      latestMs *= 2;
    }
    // However long, half of a wait is chance: who failed together does not come back together.
    return this.#between(Math.min(earliestMs, Math.max(fromMs, maxMs / 2)), Math.min(latestMs, maxMs));
  }

  #between(fromMs: number, toMs: number): number {
    return fromMs + (toMs - fromMs) * this.#random();
  }
}
