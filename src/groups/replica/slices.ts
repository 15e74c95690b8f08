import type { Env } from "../../env/index.ts";

/** Work on a snapshot ends after this time, or so many steps, whichever comes first; then the rest of the program has its turn. */
export const SLICE_US = 1_500;
/** Where the clock stands still, as in a simulation, these alone end a slice. */
const SLICE_STEPS = 256;

/** Takes small steps for the time of a slice. True: the last one said that nothing is left. */
export function workSlice({ clock }: Pick<Env, "clock">, step: () => boolean): boolean {
  const endUs = clock.monotonicUs() + SLICE_US;
  for (let count = 0; count < SLICE_STEPS && clock.monotonicUs() < endUs; count++) if (step()) return true;
  return false;
}
