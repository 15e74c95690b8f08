import { assert, LIMITS, type Random } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { backoffMs, jitterMs } from "./backoff.ts";

const RETRY_MS = { firstMs: 1_000, maxMs: 30_000 };
/** From a success to the next probe, give or take half. */
const REFRESH_MS = 30_000;
/** Each peer that is measured adds this much to it, so that a large network is not busy with measuring: 40 probes a second at most. */
const REFRESH_MS_PER_PEER = 25;
/** First probes are spread over this long, lest all who begin together go to the same peer at once. */
const SPREAD_MS = 50;

interface Due {
  readonly id: PeerId;
  readonly dueMs: number;
}

interface Planned {
  failures: number;
  /** Undefined while it is probed. */
  due: Due | undefined;
}

/** A measurement is news when it is the first, or differs from what was told before by more than a fifth and a millisecond. */
export function isNewRoundTrip(toldMs: number | undefined, measuredMs: number): boolean {
  if (toldMs === undefined) return true;
  const differenceMs = Math.abs(measuredMs - toldMs);
  return differenceMs > 1 && differenceMs > toldMs / 5;
}

/** Whom to probe, and when: one probe a peer at a time, `LIMITS.probesMax` in all. Pure: time and chance come in. */
export class ProbePlan {
  readonly #random: Random;
  readonly #planned = new Map<PeerId, Planned>();
  /** The soonest is last, so that it is cheap to take. */
  readonly #queue: Due[] = [];
  /** Also of those that were dropped meanwhile. */
  readonly #underWay = new Set<PeerId>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Peers that are measured. */
  get size(): number {
    return this.#planned.size;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Measures it from now on. */
  want(id: PeerId, nowMs: number): void {
    if (this.#planned.has(id)) return;
    this.#planned.set(id, { failures: 0, due: undefined });
    if (!this.#underWay.has(id)) this.#schedule(id, nowMs + this.#random.below(SPREAD_MS));
  }

  /** No longer. A probe under way goes on. */
  drop(id: PeerId): void {
    this.#unschedule(id);
    this.#planned.delete(id);
  }

  /** The next one to be probed now; its probe is then under way. */
  take(nowMs: number): PeerId | undefined {
    const next = this.#queue.at(-1);
    if (next === undefined || next.dueMs > nowMs || this.#underWay.size >= LIMITS.probesMax) return undefined;
    this.#unschedule(next.id);
    this.#underWay.add(next.id);
    return next.id;
  }

  /** How long until there may be one to take. Undefined: not before a probe ends, or somebody is wanted. */
  waitMs(nowMs: number): number | undefined {
    const next = this.#queue.at(-1);
    if (next === undefined || this.#underWay.size >= LIMITS.probesMax) return undefined;
    return Math.max(0, next.dueMs - nowMs);
  }

  succeeded(id: PeerId, nowMs: number): void {
    const refreshMs = Math.max(REFRESH_MS, this.#planned.size * REFRESH_MS_PER_PEER);
    this.#ended(id, () => ({ failures: 0, dueMs: nowMs + jitterMs(this.#random, refreshMs) }));
  }

  failed(id: PeerId, nowMs: number): void {
    this.#ended(id, ({ failures }) => ({
      failures: failures + 1,
      dueMs: nowMs + backoffMs(this.#random, failures + 1, RETRY_MS),
    }));
  }

  #ended(id: PeerId, next: (planned: Planned) => { readonly failures: number; readonly dueMs: number }): void {
    assert(this.#underWay.delete(id), "a probe that ends was under way");
    const planned = this.#planned.get(id);
    if (planned === undefined) return;
    const { failures, dueMs } = next(planned);
    planned.failures = failures;
    this.#schedule(id, dueMs);
  }

  #schedule(id: PeerId, dueMs: number): void {
    const planned = this.#planned.get(id);
    assert(planned !== undefined, "what is scheduled is planned");
    this.#unschedule(id);
    planned.due = { id, dueMs };
    this.#queue.splice(this.#positionOf(planned.due), 0, planned.due);
  }

  #unschedule(id: PeerId): void {
    const planned = this.#planned.get(id);
    if (planned?.due === undefined) return;
    this.#queue.splice(this.#positionOf(planned.due), 1);
    planned.due = undefined;
  }

  /** Where it is, or belongs. */
  #positionOf(due: Due): number {
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isLater(this.#queue[middle] as Due, due)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isLater(a: Due, b: Due): boolean {
  return a.dueMs > b.dueMs || (a.dueMs === b.dueMs && a.id > b.id);
}
