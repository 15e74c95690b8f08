import type { PeerId } from "../../identity/index.ts";

/** The part of the larger of two scores by which the better one must be better, so that noise moves nobody. */
const CLEARLY = 0.1;

export interface Ranked {
  readonly id: PeerId;
  readonly score: number;
  /** Drawn by this consumer, so that many consumers do not all take the same of equal ones. */
  readonly lot: number;
}

/** Negative: `a` is better. By score, then by lot, then by id. */
export function compareRanks(a: Ranked, b: Ranked): number {
  if (a.score !== b.score) return a.score > b.score ? -1 : 1;
  if (a.lot !== b.lot) return a.lot < b.lot ? -1 : 1;
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1;
}

/** Is it worth to move from a link that works? */
export function isClearlyBetter(candidate: number, current: number): boolean {
  if (candidate <= current) return false;
  const magnitude = Math.max(Math.abs(candidate), Math.abs(current));
  return magnitude === Number.POSITIVE_INFINITY || candidate - current > CLEARLY * magnitude;
}
