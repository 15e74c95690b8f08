import { assert } from "../env/index.ts";

/** How discovery paces itself. Peers with different settings work together. */
export interface Settings {
  /** Links that a node keeps up by itself; in a network no larger than this all are linked to all. */
  readonly neighboursMax: number;
  /** Above this many, links that others dialled included, a random one is asked to look elsewhere. */
  readonly linksMax: number;
  /** A peer without a sign of life for this long is forgotten. */
  readonly expireAfterMs: number;
  /** A lost neighbour that cannot be dialled for this long is gone for us. */
  readonly unreachableAfterMs: number;
  /** Between two versions of our own entry that only say that we live, give or take half. */
  readonly announceMs: number;
  /** Between two comparisons with a random neighbour, give or take half. */
  readonly antiEntropyMs: number;
  /** Between two looks for what has expired or is missing. */
  readonly sweepMs: number;
}

export const DEFAULT_SETTINGS: Settings = {
  neighboursMax: 8,
  linksMax: 32,
  expireAfterMs: 300_000,
  unreachableAfterMs: 10_000,
  announceMs: 45_000,
  antiEntropyMs: 5_000,
  sweepMs: 1_000,
};

/** Defaults, with what is given. The relations between them are the caller's to keep: they are ours, not a user's. */
export function makeSettings(given: Partial<Settings> = {}): Settings {
  const settings = { ...DEFAULT_SETTINGS, ...given };
  for (const value of Object.values(settings)) assert(value > 0, "settings of discovery are positive");
  assert(settings.neighboursMax < settings.linksMax, "a node accepts more links than it asks for");
  return settings;
}
