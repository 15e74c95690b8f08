// npm run soak -- [--seconds 60] [--streams]: three members of a group, and two observers that send as fast as they can. Reports memory, leaders, loop
// delay, and checks that nothing is lost. With `--streams` a producer and its consumers instead.
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { closeCluster, makeCluster } from "./cluster.ts";
import { Host } from "./hosts.ts";
import { soakStreams } from "./stream-soak.ts";
import { reportOf, type Watched } from "./watched.ts";

interface Flood {
  readonly attempts: number;
  readonly acknowledged: number;
  readonly overloaded: number;
  readonly unknown: number;
  readonly notApplied: number;
}

type WatchedMember = Watched & { readonly terms: readonly number[] };

const MEMBERS = 3;
const FLOODERS = 2;

/** Those that flood are observers, in processes of their own: what holds the loop of a member is then what it does for them. */
async function soakGroup(hosts: readonly Host[], durationMs: number): Promise<boolean> {
  const cluster = await makeCluster(hosts.slice(0, MEMBERS), () => ({ module: "soak", part: "Soaker" }));
  const flooders = await Promise.all(
    hosts.slice(MEMBERS).map((host) => host.make("soak", "Soaker", { secret: cluster.secret })),
  );
  for (const flooder of flooders) {
    await flooder.call("create", cluster.address);
    await flooder.call("observe");
  }
  const parts = [...cluster.members, ...flooders];
  await Promise.all(parts.map((part) => part.call("watch")));
  const floods = await Promise.all(flooders.map((flooder) => flooder.call<Flood>("flood", durationMs)));
  const total = (await cluster.members[0]?.call<number>("total")) ?? Number.NaN;
  const watched = await Promise.all(parts.map((part) => part.call<WatchedMember>("watched")));
  for (const flooder of flooders) await flooder.call("close");
  await closeCluster(cluster);
  for (const [i, one] of watched.entries()) {
    console.log(JSON.stringify({ part: i < MEMBERS ? "member" : "flooder", ...reportOf(one) }));
  }
  for (const flood of floods) console.log(JSON.stringify(flood));
  const sum = (field: keyof Flood): number => floods.reduce((all, flood) => all + flood[field], 0);
  const terms = new Set(watched.flatMap((one) => one.terms));
  const isExact = sum("acknowledged") <= total && total <= sum("acknowledged") + sum("unknown");
  const load = sum("attempts") / sum("acknowledged");
  console.log(JSON.stringify({ total, isExact, terms: terms.size, load }));
  return isExact && terms.size === 1;
}

async function soak(areStreams: boolean, durationMs: number): Promise<boolean> {
  const dist = fileURLToPath(new URL("../dist", import.meta.url));
  const hosts = Array.from(
    { length: areStreams ? 4 : MEMBERS + FLOODERS },
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
