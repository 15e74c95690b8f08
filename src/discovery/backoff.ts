import type { Random } from "../env/index.ts";

/**
 * Doubles from `firstMs` to `maxMs`; a random half is taken off, so that peers that failed together do not come back together.
 * @param failures - in a row, from 1
 */
export function backoffMs(
  random: Random,
  failures: number,
  bounds: { readonly firstMs: number; readonly maxMs: number },
): number {
  const fullMs = Math.min(bounds.maxMs, bounds.firstMs * 2 ** Math.min(20, Math.max(0, failures - 1)));
  const halfMs = Math.ceil(fullMs / 2);
  return halfMs + random.below(halfMs + 1);
}

/** `baseMs` give or take half of it. */
export function jitterMs(random: Random, baseMs: number): number {
  return Math.ceil(baseMs / 2) + random.below(Math.max(1, baseMs));
}
