/** What became of the commands, each with an id of its own, and what is on the members now. */
export interface Deliveries {
  readonly acknowledged: ReadonlySet<string>;
  readonly unknown: ReadonlySet<string>;
  /** How often each id was counted, on every living member. */
  readonly members: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

export interface DeliveryReport {
  /** Acknowledged, and missing somewhere. */
  readonly lost: readonly string[];
  /** Counted more than once somewhere. */
  readonly duplicated: readonly string[];
  /** Counted somewhere although nobody sent it, or although it had surely failed. */
  readonly phantom: readonly string[];
  /** Unknown ones that turned out to be applied. */
  readonly unknownApplied: number;
}

/** Each acknowledged id once on every member, each unknown one at most once, nothing else. */
export function checkExactlyOnce({ acknowledged, unknown, members }: Deliveries): DeliveryReport {
  const [lost, duplicated, phantom, applied] = [0, 1, 2, 3].map(() => new Set<string>()) as [
    Set<string>,
    Set<string>,
    Set<string>,
    Set<string>,
  ];
  for (const counts of members.values()) {
    for (const id of acknowledged) if (!counts.has(id)) lost.add(id);
    for (const [id, count] of counts) {
      if (count !== 1) duplicated.add(id);
      if (unknown.has(id)) applied.add(id);
      else if (!acknowledged.has(id)) phantom.add(id);
    }
  }
  return {
    lost: [...lost].sort(),
    duplicated: [...duplicated].sort(),
    phantom: [...phantom].sort(),
    unknownApplied: applied.size,
  };
}
