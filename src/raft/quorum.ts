/** How many of `count` voters are a majority. */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** The highest value that a majority has reached: of match indexes, what may be committed; of rounds, what is confirmed. */
export function reachedByMajority(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const descending = values.slice().sort((a, b) => b - a);
  return descending[majority(values.length) - 1] ?? 0;
}

export type BallotResult = "won" | "lost" | "open";

/** `votes`: one per voter; undefined where there is no answer yet. Nobody's voters elect nobody. */
export function ballotResult(votes: readonly (boolean | undefined)[]): BallotResult {
  let granted = 0;
  let refused = 0;
  for (const vote of votes) {
    if (vote === true) granted++;
    else if (vote === false) refused++;
  }
  const needed = majority(votes.length);
  if (granted >= needed) return "won";
  return votes.length - refused < needed ? "lost" : "open";
}

/**
 * True if any majority of one meets any majority of the other, because they differ by at most one voter (Ongaro's thesis,
 * section 4.1). The very first configuration has nothing to overlap with.
 */
export function isSingleChange<T>(before: readonly T[], after: readonly T[]): boolean {
  if (before.length === 0) return true;
  const added = after.filter((voter) => !before.includes(voter)).length;
  const removed = before.filter((voter) => !after.includes(voter)).length;
  return after.length > 0 && added + removed <= 1;
}
