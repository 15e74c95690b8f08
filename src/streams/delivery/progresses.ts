import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Progress } from "./intake.ts";

/**
 * How far a consumer came with each producer whose link ended, for as long as that producer keeps the lane. It may be out of the catalog meanwhile: a
 * partition that lasts takes it from there, and the gap is told all the same.
 */
export class Progresses {
  /** Oldest first. */
  readonly #kept = new Map<PeerId, { readonly progress: Progress; readonly untilMs: number }>();

  keep(id: PeerId, progress: Progress, nowMs: number): void {
    this.#kept.delete(id);
    this.#kept.set(id, { progress, untilMs: nowMs + KEPT_MS });
    for (const [oldest, { untilMs }] of this.#kept) {
      if (untilMs > nowMs && this.#kept.size <= LIMITS.streamProgressMax) break;
      this.#kept.delete(oldest);
    }
  }

  of(id: PeerId, nowMs: number): Progress | undefined {
    const kept = this.#kept.get(id);
    return kept !== undefined && kept.untilMs > nowMs ? kept.progress : undefined;
  }
}

/** The producer may notice the end much later than we, and keeps the lane from then on. If it does not know it any more, its token says so. */
const KEPT_MS = 4 * LIMITS.streamLaneKeptMs;
