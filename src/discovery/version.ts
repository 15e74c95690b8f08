import type { EntryVersion } from "./types.ts";

/** Negative: `a` is older. Start first, so that a restart with a later clock wins over any number of updates. */
export function compareVersions(a: EntryVersion, b: EntryVersion): number {
  return a.startMs - b.startMs || a.updateMs - b.updateMs;
}

export function isNewer(candidate: EntryVersion, known: EntryVersion): boolean {
  return compareVersions(candidate, known) > 0;
}

/** Strictly greater, whatever the clock does. */
export function nextVersion(version: EntryVersion, wallMs: number): EntryVersion {
  return { startMs: version.startMs, updateMs: Math.max(version.updateMs, wallMs) + 1 };
}
