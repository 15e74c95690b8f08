/** A new reader gets a large map as a snapshot, against as many bytes over one raw connection. */
import { makeCluster, rolesOf } from "./cluster.ts";
import { type Case, measure, type Plan, type Row, WrongResult } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";
import { RAW_TLS, rawPair } from "./peers.ts";

const MEMBERS = 3;
const ENTRIES = 100_000;
/** Of one entry in the snapshot, about. */
const ENTRY_BYTES = 24;
const BATCH = 1_000;
/** Of the log: each batch is one. So the log's beginning is gone, and a new reader cannot have it. */
const SNAPSHOT_EVERY = 8;

export async function* snapshot(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  if (!plan.layouts.includes("processes")) return;
  const wants = (name: string): boolean => plan.only === undefined || plan.only === name;
  if (wants("map-100k")) yield* toReader(plan, hosts);
  if (wants("map-1m")) yield* held(plan, hosts);
}

/** How long it takes. */
async function* toReader(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  const count = plan.isQuick ? ENTRIES / 5 : ENTRIES;
  const { cluster, reader, position } = await filled(hosts, count, SNAPSHOT_EVERY);
  for (const member of cluster.members) await member.call("cutLog");
  const raw = await rawPair(hosts, "processes");
  const what: Case = {
    bench: "snapshot",
    case: "map-100k",
    metric: `map of ${count.toLocaleString("en-US")} entries to a new reader, by snapshot`,
    unit: "ms",
    better: "lower",
    peerName: `${RAW_TLS}, as many messages of ${ENTRY_BYTES} B`,
    layout: "processes",
    target: { ours: 500 },
    ours: async () => (await caught(reader, cluster.address, position, count)).ms,
    peer: async () => {
      const shape = { bytes: ENTRY_BYTES, count, perTurn: 512 };
      return (count / (await raw.client.call<number>("stream", raw.port, shape))) * 1_000;
    },
  };
  await what.ours(); // to warm up
  await what.peer();
  yield await measure(what, plan.repeats);
}

/** How much of it at once, while the rest of the program waits. */
async function* held(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  const count = plan.isQuick ? ENTRIES : 10 * ENTRIES;
  const { cluster, leader, reader, position } = await filled(hosts, count, count / BATCH + 1);
  const common = { bench: "snapshot", case: "map-1m", unit: "ms", better: "lower", layout: "processes" } as const;
  const idle = { peerName: "a process that does nothing", peer: () => leader.call<number>("idleHeld", 2_000) };
  const metric = `longest hold of the event loop, map of ${count.toLocaleString("en-US")} entries`;
  const target = { ours: 5 };
  const taken = (): Promise<number> => leader.call<number>("cutLogHeld");
  yield await measure({ ...common, ...idle, metric: `${metric}, taken`, target, ours: taken }, 1);
  for (const member of cluster.members) await member.call("cutLog");
  // Once before, since a process loads what it needs for its first network.
  await caught(reader, cluster.address, position, count);
  const restored = async (): Promise<number> => (await caught(reader, cluster.address, position, count)).heldMs;
  yield await measure({ ...common, ...idle, metric: `${metric}, restored`, target, ours: restored }, plan.repeats);
}

/** A group whose table has so many entries, and somebody who may read along. */
async function filled(hosts: Hosts, count: number, snapshotEveryEntries: number) {
  const options = { tuning: { snapshotEveryEntries } };
  const part = { module: "store", part: "StoreMember", options };
  const cluster = await makeCluster(hosts.places(MEMBERS, "processes"), () => part);
  const { leader } = await rolesOf(cluster);
  await leader.call("fillTable", count, BATCH);
  const position = await leader.call<number>("position");
  const reader = await hosts.start().make("store", "StoreMember", { ...options, secret: cluster.secret });
  return { cluster, leader, reader, position };
}

async function caught(reader: Part, address: string, position: number, count: number): Promise<Caught> {
  const all = await reader.call<Caught>("catchUp", address, position);
  if (all.size !== count) throw new WrongResult(`of ${count} entries the reader has ${all.size}`);
  if (all.fetched === 0) throw new Error("the reader caught up without a snapshot");
  return all;
}

interface Caught {
  readonly ms: number;
  readonly heldMs: number;
  readonly size: number;
  /** Snapshots that it took from others. */
  readonly fetched: number;
}
