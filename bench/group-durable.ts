/** Three processes that sync before they promise: writes of 256 bytes, against etcd, and against the raw round trip. */
import { type Case, measure, type Plan, type Row, type Target } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";
import { RAW_TLS, rawPingPong } from "./peers.ts";
import { durableGroup, type Peers, startPeers } from "./stores.ts";

/** Of etcd's figure, at the leader. */
const CASES = [
  { inFlight: 1, target: { ratio: 2 } },
  { inFlight: 64, target: undefined },
  { inFlight: 256, target: { ratio: 10 } },
] as const;

export async function* groupDurable(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  if (!plan.layouts.includes("processes")) return;
  const peers = await startPeers(plan, hosts);
  const group = await durableGroup(hosts);
  try {
    for (const what of cases(plan, peers, group)) {
      if (plan.only !== undefined && plan.only !== what.case) continue;
      await what.ours(); // to warm up
      await what.peer();
      yield await measure(what, plan.repeats);
    }
  } finally {
    await group.close();
    await peers.etcd?.stop();
  }
}

function cases(
  { isQuick }: Plan,
  { raw, etcd }: Peers,
  sides: { readonly leader: Part; readonly follower: Part },
): Case[] {
  const durationMs = isQuick ? 200 : 800;
  const common = { bench: "group-durable", unit: "1/s", better: "higher", layout: "processes" } as const;
  return CASES.flatMap(({ inFlight, target }) =>
    (["leader", "follower"] as const).flatMap((role) => {
      const ours = {
        ...common,
        case: `in-flight-${inFlight}`,
        metric: `writes of 256 B, ${role}`,
        ours: () => sides[role].call<number>("puts", inFlight, durationMs),
      };
      const wanted: Target | undefined = role === "leader" ? target : undefined;
      const beside: Case[] = [];
      if (etcd !== undefined) {
        const peer = (): Promise<number> => etcd.client.call("puts", inFlight, durationMs);
        beside.push({ ...ours, peerName: etcd.name, target: wanted, peer });
      }
      if (raw !== undefined && role === "leader") {
        const peer = async (): Promise<number> => 1_000_000 / (await rawPingPong(raw, durationMs / 4));
        beside.push({ ...ours, peerName: `${RAW_TLS} ping-pong`, target: undefined, peer });
      }
      return beside;
    }),
  );
}
