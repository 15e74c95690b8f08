/** A group of three in memory against the raw round trip: the least that a write at a majority could take. */
import { type Cluster, closeCluster, makeCluster, rolesOf } from "./cluster.ts";
import { type Case, type Layout, measure, type Plan, type Row, WrongResult, warmUpMs } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";
import { RAW_TLS, type RawPair, rawPair, rawPingPong } from "./peers.ts";

const MEMBERS = 3;
const MANY = 1_000;
const MANY_IN_FLIGHT = 4;
const WARM_UP_IN_FLIGHT = 64;

export async function* groupMemory(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  for (const layout of plan.layouts) {
    const raw = await rawPair(hosts, layout);
    const cluster = await makeCluster(hosts.places(MEMBERS, layout));
    const { leader, followers } = await rolesOf(cluster);
    const [follower] = followers as [Part];
    for (const member of [leader, follower]) await member.call("inFlight", WARM_UP_IN_FLIGHT, warmUpMs(plan));
    await rawPingPong(raw, warmUpMs(plan));
    const wanted = [
      ...cases("leader", leader, raw, layout, plan),
      ...cases("follower", follower, raw, layout, plan),
    ].filter(({ case: name }) => plan.only === undefined || plan.only === name);
    for (const what of wanted) {
      await what.ours(); // to warm up
      await what.peer();
      yield await measure(what, plan.repeats);
    }
    await checkTotals(cluster);
    await closeCluster(cluster);
    await hosts.stop();
  }
}

function cases(role: "leader" | "follower", member: Part, raw: RawPair, layout: Layout, { isQuick }: Plan): Case[] {
  const durationMs = isQuick ? 150 : 400;
  const common = { bench: "group-memory", peerName: `${RAW_TLS} ping-pong`, layout };
  const isLeader = role === "leader";
  const rate = (name: string, metric: string, opsPerSecond: number | undefined, ours: () => Promise<number>): Case => ({
    ...common,
    case: name,
    metric: `${metric}, ${role}`,
    unit: "1/s",
    better: "higher",
    target: opsPerSecond === undefined ? undefined : { ours: opsPerSecond },
    ours,
    peer: async () => 1_000_000 / (await rawPingPong(raw, durationMs / 2)),
  });
  const inFlight = (count: number, target: number | undefined): Case =>
    rate(`in-flight-${count}`, "execute", target, () => member.call("inFlight", count, durationMs));
  return [
    {
      ...common,
      case: "in-flight-1",
      metric: `execute, p50, ${role}`,
      unit: "us",
      better: "lower",
      target: { ratio: 1 / (isLeader ? 1.5 : 3.2) },
      ours: () => member.call("alone", durationMs),
      peer: () => rawPingPong(raw, durationMs / 2),
    },
    inFlight(64, undefined),
    inFlight(256, isLeader ? 150_000 : 100_000),
    rate(`execute-many-${MANY}`, "commands", isLeader ? 1_500_000 : 1_000_000, () =>
      member.call("many", MANY, MANY_IN_FLIGHT, durationMs),
    ),
    rate("strong-reads-256", "strong reads", 50 * 4_224, () => member.call("strongReads", 256, durationMs)),
  ];
}

/** Every acknowledged command counts once, at every member. */
async function checkTotals({ members }: Cluster): Promise<void> {
  const acknowledged = await Promise.all(members.map((member) => member.call<number>("acknowledged")));
  const expected = acknowledged.reduce((sum, count) => sum + count, 0);
  for (const member of members) {
    const total = await member.call<number>("total");
    if (total !== expected)
      throw new WrongResult(`${expected} commands were acknowledged, and a member holds ${total}`);
  }
}
