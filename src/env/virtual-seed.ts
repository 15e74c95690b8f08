import { badOption } from "./errors.ts";

/** The seed that `MOSAIK_SEED` asks for: that one run is wanted again, and no other. @throws `bad-option` if it is no whole number */
export function replaySeed(): number | undefined {
  const text = process.env["MOSAIK_SEED"];
  if (text === undefined || text === "") return undefined;
  const seed = Number(text);
  if (!Number.isSafeInteger(seed)) throw badOption("MOSAIK_SEED", "must be a whole number");
  return seed;
}
