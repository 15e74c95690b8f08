/** A new reader gets a large map as a snapshot, against as many bytes over one raw connection. */
import { makeCluster, rolesOf } from "./cluster.ts";
import { type Case, measure, type Plan, type Row, WrongResult } from "./harness.ts";
import type { Hosts } from "./hosts.ts";
import { RAW_TLS, rawPair } from "./peers.ts";

const MEMBERS = 3;
const ENTRIES = 100_000;
/** Of one entry in the snapshot, about. */
const ENTRY_BYTES = 24;
const BATCH = 1_000;
/** Of the log: each batch is one. So the log's beginning is gone, and a new reader cannot have it. */
const SNAPSHOT_EVERY = 8;

export async function* snapshot(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  const name = "map-100k";
  if (!plan.layouts.includes("processes") || (plan.only !== undefined && plan.only !== name)) return;
  const count = plan.isQuick ? ENTRIES / 5 : ENTRIES;
  const options = { tuning: { snapshotEveryEntries: SNAPSHOT_EVERY } };
  const cluster = await makeCluster(hosts.places(MEMBERS, "processes"), () => ({
    module: "store",
    part: "StoreMember",
    options,
  }));
  const { leader, followers } = await rolesOf(cluster);
  await leader.call("fillTable", count, BATCH);
  for (const member of [leader, ...followers]) await member.call("cutLog");
  const position = await leader.call<number>("position");
  const reader = await hosts.start().make("store", "StoreMember", { ...options, secret: cluster.secret });
  const raw = await rawPair(hosts, "processes");
  const what: Case = {
    bench: "snapshot",
    case: name,
    metric: `map of ${count.toLocaleString("en-US")} entries to a new reader, by snapshot`,
    unit: "ms",
    better: "lower",
    peerName: `${RAW_TLS}, as many messages of ${ENTRY_BYTES} B`,
    layout: "processes",
    target: { ours: 500 },
    ours: async () => {
      const { ms, size, fetched } = await reader.call<Caught>("catchUp", cluster.address, position);
      if (size !== count) throw new WrongResult(`of ${count} entries the reader has ${size}`);
      if (fetched === 0) throw new Error("the reader caught up without a snapshot");
      return ms;
    },
    peer: async () => {
      const shape = { bytes: ENTRY_BYTES, count, perTurn: 512 };
      return (count / (await raw.client.call<number>("stream", raw.port, shape))) * 1_000;
    },
  };
  await what.ours(); // to warm up
  await what.peer();
  yield await measure(what, plan.repeats);
}

interface Caught {
  readonly ms: number;
  readonly size: number;
  /** Snapshots that it took from others. */
  readonly fetched: number;
}
