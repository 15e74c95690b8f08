import { idOf } from "./protocol.ts";

/** What the director knows of one process's commands. */
export interface Issued {
  readonly name: string;
  /** Numbers 1 to this may have been sent. */
  readonly upTo: number;
  readonly acknowledged: ReadonlySet<number>;
}

export interface Verdict {
  readonly acknowledged: number;
  /** Acknowledged, and missing on some member. */
  readonly lost: number;
  /** Counted more than once on some member, whether acknowledged or not. */
  readonly duplicated: number;
  /** Not acknowledged, and applied all the same: allowed, once. */
  readonly unknownApplied: number;
  /** Ids on some member that nobody sent. */
  readonly foreign: number;
  /** Do all members hold the same? */
  readonly areEqual: boolean;
}

/** Compares what was acknowledged with what each living member holds. */
export function judge(clients: readonly Issued[], members: readonly Readonly<Record<string, number>>[]): Verdict {
  const sent = new Set<string>();
  const acknowledged = new Set<string>();
  for (const { name, upTo, acknowledged: numbers } of clients) {
    for (let number = 1; number <= upTo; number++) sent.add(idOf(name, number));
    for (const number of numbers) acknowledged.add(idOf(name, number));
  }
  const held = new Map(members.flatMap((counts) => Object.entries(counts).map(([id]) => [id, true] as const)));
  const ids = [...held.keys()];
  return {
    acknowledged: acknowledged.size,
    lost: [...acknowledged].filter((id) => members.some((counts) => counts[id] === undefined)).length,
    duplicated: ids.filter((id) => members.some((counts) => (counts[id] ?? 0) > 1)).length,
    unknownApplied: ids.filter((id) => sent.has(id) && !acknowledged.has(id)).length,
    foreign: ids.filter((id) => !sent.has(id)).length,
    areEqual: ids.every((id) => members.every((counts) => counts[id] === members[0]?.[id])),
  };
}

export function isGood(verdict: Verdict): boolean {
  return (
    verdict.lost === 0 &&
    verdict.duplicated === 0 &&
    verdict.foreign === 0 &&
    verdict.areEqual &&
    verdict.acknowledged > 0
  );
}
