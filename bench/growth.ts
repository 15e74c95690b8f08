const MIB = 1024 * 1024;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** From the second to the last quarter of the time, medians of each, in MiB. @param rss - sampled at even times, in bytes */
export function growthMiB(rss: readonly number[]): number {
  const quarter = Math.floor(rss.length / 4);
  return (median(rss.slice(-quarter)) - median(rss.slice(quarter, 2 * quarter))) / MIB;
}
