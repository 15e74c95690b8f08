/** Three processes that sync before they promise, against etcd and against the raw round trip: writes of 256 bytes, and strong reads. */
import { type Case, measure, type Plan, type Row, type Target, warmUpMs } from "./harness.ts";
import type { Hosts } from "./hosts.ts";
import { RAW_TLS, rawPingPong } from "./peers.ts";
import { type DurableGroup, durableGroup, type Peers, startPeers } from "./stores.ts";

interface Operation {
  readonly bench: string;
  readonly name: string;
  /** Of the parts of ours, and of etcd's client. */
  readonly call: "puts" | "gets";
  readonly durationMs: number;
  /** Of etcd's figure. */
  readonly targets: readonly {
    readonly inFlight: number;
    readonly leader?: Target | undefined;
    readonly follower?: Target | undefined;
  }[];
}

const WARM_UP_IN_FLIGHT = 64;

const WRITES: Operation = {
  bench: "group-durable",
  name: "writes of 256 B",
  call: "puts",
  durationMs: 800,
  targets: [{ inFlight: 1, leader: { ratio: 2 } }, { inFlight: 64 }, { inFlight: 256, leader: { ratio: 10 } }],
};

const READS: Operation = {
  bench: "reads",
  name: "strong reads",
  call: "gets",
  durationMs: 600,
  targets: [{ inFlight: 1 }, { inFlight: 64 }, { inFlight: 256, leader: { ratio: 50 }, follower: { ratio: 50 } }],
};

export const groupDurable = (plan: Plan, hosts: Hosts): AsyncGenerator<Row> => run(WRITES, plan, hosts);
export const reads = (plan: Plan, hosts: Hosts): AsyncGenerator<Row> => run(READS, plan, hosts);

async function* run(operation: Operation, plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  if (!plan.layouts.includes("processes")) return;
  const peers = await startPeers(plan, hosts);
  const group = await durableGroup(hosts);
  try {
    // Writes for reads too, so that there is something to read.
    for (const side of [group.leader, group.follower]) await side.call("puts", WARM_UP_IN_FLIGHT, warmUpMs(plan));
    await peers.etcd?.client.call("puts", WARM_UP_IN_FLIGHT, warmUpMs(plan));
    if (peers.raw !== undefined) await rawPingPong(peers.raw, warmUpMs(plan));
    for (const what of cases(operation, plan, peers, group)) {
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

function cases(operation: Operation, { isQuick }: Plan, { raw, etcd }: Peers, sides: DurableGroup): Case[] {
  const { bench, call, name } = operation;
  const durationMs = isQuick ? 200 : operation.durationMs;
  const common = { bench, unit: "1/s", better: "higher", layout: "processes" } as const;
  return operation.targets.flatMap(({ inFlight, ...targets }) =>
    (["leader", "follower"] as const).flatMap((role) => {
      const ours = {
        ...common,
        case: `in-flight-${inFlight}`,
        metric: `${name}, ${role}`,
        ours: () => sides[role].call<number>(call, inFlight, durationMs),
      };
      const beside: Case[] = [];
      if (etcd !== undefined) {
        const peer = (): Promise<number> => etcd.client.call(call, inFlight, durationMs);
        beside.push({ ...ours, peerName: etcd.name, target: targets[role], peer });
      }
      if (raw !== undefined && role === "leader") {
        const peer = async (): Promise<number> => 1_000_000 / (await rawPingPong(raw, durationMs / 4));
        beside.push({ ...ours, peerName: `${RAW_TLS} ping-pong`, target: undefined, peer });
      }
      return beside;
    }),
  );
}
