// npm run soak -- [--seconds 60]: three processes, each sends as fast as it can. Reports memory, leaders, loop delay, and checks that nothing is lost.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { closeCluster, makeCluster } from "./cluster.ts";
import { Host } from "./hosts.ts";

interface Flood {
  readonly attempts: number;
  readonly acknowledged: number;
  readonly overloaded: number;
  readonly unknown: number;
  readonly notApplied: number;
  readonly samples: readonly { readonly rss: number; readonly term: number }[];
  readonly delayP99Ms: number;
}

const MIB = 1024 * 1024;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** From the second to the last quarter of the time, medians of each. */
function growthOf({ samples }: Flood): number {
  const quarter = Math.floor(samples.length / 4);
  const rss = samples.map((sample) => sample.rss);
  return median(rss.slice(-quarter)) - median(rss.slice(quarter, 2 * quarter));
}

async function soak(durationMs: number): Promise<boolean> {
  const dist = fileURLToPath(new URL("../dist", import.meta.url));
  const hosts = Array.from(
    { length: 3 },
    () => new Host({ dist, profileFolder: undefined, callTimeoutMs: 4 * durationMs + 60_000 }),
  );
  try {
    const cluster = await makeCluster(hosts, () => ({ module: "soak", part: "Soaker" }));
    const floods = await Promise.all(cluster.members.map((member) => member.call<Flood>("flood", durationMs)));
    const total = (await cluster.members[0]?.call<number>("total")) ?? Number.NaN;
    await closeCluster(cluster);
    for (const flood of floods) {
      const { attempts, acknowledged, overloaded, unknown, notApplied, delayP99Ms } = flood;
      const row = {
        attempts,
        acknowledged,
        overloaded,
        unknown,
        notApplied,
        rssGrowthMiB: growthOf(flood) / MIB,
        delayP99Ms,
      };
      console.log(JSON.stringify(row));
    }
    const sum = (field: "attempts" | "acknowledged" | "unknown"): number =>
      floods.reduce((all, flood) => all + flood[field], 0);
    const terms = new Set(floods.flatMap(({ samples }) => samples.map(({ term }) => term)));
    const isExact = sum("acknowledged") <= total && total <= sum("acknowledged") + sum("unknown");
    const load = sum("attempts") / sum("acknowledged");
    console.log(JSON.stringify({ total, isExact, terms: terms.size, load }));
    return isExact && terms.size === 1;
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
  }
}

const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
process.exitCode = (await soak(Number(values.seconds) * 1_000)) ? 0 : 1;
