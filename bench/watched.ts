const MIB = 1024 * 1024;

/** What `ProcessWatch` gives. */
export interface Watched {
  /** Resident memory in bytes, sampled at even times. */
  readonly rss: readonly number[];
  readonly delayP99Ms: number;
}

/** For the report: `rssGrowthMiB` is from the second to the last quarter of the time, medians of each. */
export function reportOf({ rss, delayP99Ms }: Watched): { readonly rssGrowthMiB: number; readonly delayP99Ms: number } {
  const quarter = Math.floor(rss.length / 4);
  const growthBytes = median(rss.slice(-quarter)) - median(rss.slice(quarter, 2 * quarter));
  return { rssGrowthMiB: growthBytes / MIB, delayP99Ms };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
