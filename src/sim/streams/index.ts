/**
 * Stream runs: producers and consumers on whole nodes, and a judge that knows every value which was taken. `plan.ts` says what a seed draws,
 * `actors.ts` what the programs do, `judge.ts` what must hold.
 */
export type { StreamInvariantName } from "./invariant-name.ts";
export { runStreams } from "./run.ts";
