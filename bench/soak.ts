// npm run soak -- [--seconds 60] [--streams]: three members of a group, each sends as fast as it can. Reports memory, leaders, loop delay, and checks that
// nothing is lost. With `--streams` a producer and its consumers instead.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { closeCluster, makeCluster } from "./cluster.ts";
import { growthMiB } from "./growth.ts";
import { Host } from "./hosts.ts";
import { soakStreams } from "./stream-soak.ts";

interface Flood {
  readonly attempts: number;
  readonly acknowledged: number;
  readonly overloaded: number;
  readonly unknown: number;
  readonly notApplied: number;
  readonly samples: readonly { readonly rss: number; readonly term: number }[];
  readonly delayP99Ms: number;
}

async function soakGroup(hosts: readonly Host[], durationMs: number): Promise<boolean> {
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
      rssGrowthMiB: growthMiB(flood.samples.map(({ rss }) => rss)),
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
}

async function soak(areStreams: boolean, durationMs: number): Promise<boolean> {
  const dist = fileURLToPath(new URL("../dist", import.meta.url));
  const hosts = Array.from(
    { length: areStreams ? 4 : 3 },
    () => new Host({ dist, profileFolder: undefined, callTimeoutMs: 4 * durationMs + 60_000 }),
  );
  try {
    return await (areStreams ? soakStreams : soakGroup)(hosts, durationMs);
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
  }
}

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, streams: { type: "boolean", default: false } },
});
process.exitCode = (await soak(values.streams, Number(values.seconds) * 1_000)) ? 0 : 1;
