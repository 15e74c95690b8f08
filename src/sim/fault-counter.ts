/**
 * All that goes wrong in a node run, counted by its effect: a cut that nothing ran into counts for nothing.
 *
 * - `delay`, `recut`, `rate-limit`: bytes that came late, torn, or slowly
 * - `stall`: bytes that were held for a moment, on one link
 * - `cut-one-way`, `cut`: bytes or dials that ran into it
 * - `reset`: connections broken; `half-open`: connections that carry nothing any more, and nobody was told
 * - `crash`: processes killed; `power-loss`: the same, without a word to the peers; `restart`: nodes that were online again after it
 * - `pause`: events held back
 * - `clock-jump`, `clock-drift`: looks at a wall clock that had jumped, timers of a clock that ran fast or slow
 * - `slow-disk`: syncs that took long; `lost-writes`: changes not yet synced when the process died; `torn-write`: writes of which some sectors
 *   were there after a power loss, and some were not; `io-crash`: nodes that died at a numbered call to their disk
 * - `bit-flip`: stores that were found damaged, and set aside
 * - `disk-error`: syncs that failed (EIO), and stopped their member
 */
export const FAULT_KINDS = [
  "delay",
  "recut",
  "rate-limit",
  "stall",
  "cut-one-way",
  "cut",
  "reset",
  "half-open",
  "crash",
  "power-loss",
  "restart",
  "pause",
  "clock-jump",
  "clock-drift",
  "slow-disk",
  "lost-writes",
  "torn-write",
  "io-crash",
  "bit-flip",
  "disk-error",
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export class FaultCounter {
  readonly #counts = new Map<FaultKind, number>();

  count(kind: FaultKind, times = 1): void {
    if (times > 0) this.#counts.set(kind, this.get(kind) + times);
  }

  get(kind: FaultKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** All kinds, zeros included, in the order of `FAULT_KINDS`. */
  toRecord(): Readonly<Record<FaultKind, number>> {
    return Object.fromEntries(FAULT_KINDS.map((kind) => [kind, this.get(kind)])) as Record<FaultKind, number>;
  }
}
