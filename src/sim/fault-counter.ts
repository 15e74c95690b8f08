/**
 * What goes wrong with wires, nodes, clocks and disks, counted by its effect: a cut that nothing ran into counts for nothing.
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
 * - `disk-full`: members that said that what they had to write found no room; in runs of disks alone
 */
export const WORLD_FAULTS = [
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

/** Those that need a disk. */
export const DISK_FAULTS: readonly FaultKind[] = [
  "slow-disk",
  "lost-writes",
  "torn-write",
  "io-crash",
  "bit-flip",
  "disk-error",
  "disk-full",
];

/**
 * What happens to a group's membership.
 *
 * - `late-join`, `close`: members that were online after they came later, or after they had closed in order
 * - `leave`: members that gave up their place
 * - `lost-disk`, `lost-store`: nodes that were online again as another peer, or as themselves with another store
 * - `promotion`, `removal`: committed configurations with one voter more or less
 * - `transfer`: leaders that handed over because somebody asked
 */
export const MEMBERSHIP_FAULTS = [
  "late-join",
  "leave",
  "close",
  "lost-disk",
  "lost-store",
  "promotion",
  "removal",
  "transfer",
] as const;

/**
 * `rival`: members that said that their group exists twice; `discard`: members that the operator had start over; `rolled-back`: older copies of
 * stores that were put back, and set aside; `full-death`: members that died while what they had to write found no room; `install-death`: members
 * that died while a snapshot took the place of their log.
 */
export const FAULT_KINDS = [
  ...WORLD_FAULTS,
  "disk-full",
  ...MEMBERSHIP_FAULTS,
  "rival",
  "discard",
  "rolled-back",
  "full-death",
  "install-death",
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

  /** In the order of `FAULT_KINDS`. @param wanted - these, zeros included, and others that counted. Default: all */
  toRecord(wanted: readonly FaultKind[] = FAULT_KINDS): Readonly<Record<string, number>> {
    const kinds = FAULT_KINDS.filter((kind) => wanted.includes(kind) || this.get(kind) > 0);
    return Object.fromEntries(kinds.map((kind) => [kind, this.get(kind)]));
  }
}
