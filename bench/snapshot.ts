/** A new reader gets a large map as a snapshot, against as many bytes over one raw connection. */
import { closeCluster, makeCluster, rolesOf } from "./cluster.ts";
import { type Case, measure, type Plan, type Row, WrongResult } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";
import { RAW_TLS, rawPair } from "./peers.ts";

const MEMBERS = 3;
const ENTRIES = 100_000;
/** Of one entry in the snapshot, about. */
const ENTRY_BYTES = 24;
const BATCH = 1_000;
const MANY_MAPS = 64;
/** Of the log: each batch is one. So the log's beginning is gone, and a new reader cannot have it. */
const SNAPSHOT_EVERY = 8;

export async function* snapshot(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  if (!plan.layouts.includes("processes")) return;
  const wants = (name: string): boolean => plan.only === undefined || plan.only === name;
  if (wants("map-100k")) yield* toReader(plan, hosts);
  if (wants("map-1m")) yield* held(plan, hosts, "map-1m", 1);
  if (wants("maps-1m")) yield* held(plan, hosts, "maps-1m", MANY_MAPS);
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

/** How much of it at once, while the rest of the program waits. In one map, and in many. */
async function* held(plan: Plan, hosts: Hosts, name: string, maps: number): AsyncGenerator<Row> {
  const count = plan.isQuick ? ENTRIES : 10 * ENTRIES;
  const { cluster, leader, reader, position } = await filled(hosts, count, count / BATCH + 1, maps);
  const common = { bench: "snapshot", case: name, unit: "ms", better: "lower", layout: "processes" } as const;
  const what = `event loop held by ${maps} maps of ${(count / maps).toLocaleString("en-US")}`;
  const rows = (ours: () => Promise<Held>, how: string): Case[] =>
    (["heldMs", "workMs"] as const).map((part) => ({
      ...common,
      metric: `${what}, ${how}${part === "workMs" ? ", by our own code" : ""}`,
      peerName: "a process that does nothing",
      target: { ours: 5 },
      ours: async () => (await ours())[part],
      peer: async () => (await leader.call<Held>("idleHeld", 1_000))[part],
    }));
  const taken = (): Promise<Held> => leader.call<Held>("cutLogHeld");
  for (const row of rows(taken, "taken")) yield await measure(row, 1);
  for (const member of cluster.members) await member.call("cutLog");
  // Once before, since a process loads what it needs for its first network.
  await caught(reader, cluster.address, position, count);
  const restored = (): Promise<Held> => caught(reader, cluster.address, position, count);
  for (const row of rows(restored, "restored")) yield await measure(row, plan.repeats);
  await closeCluster(cluster);
  await hosts.stop();
}

/** A group whose table has so many entries, and somebody who may read along. */
async function filled(hosts: Hosts, count: number, snapshotEveryEntries: number, maps = 1) {
  const options = { tuning: { snapshotEveryEntries }, maps };
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

/** The longest times, in milliseconds: of all, and of our own code on the processor. */
interface Held {
  readonly heldMs: number;
  readonly workMs: number;
}

interface Caught extends Held {
  readonly ms: number;
  readonly size: number;
  /** Snapshots that it took from others. */
  readonly fetched: number;
}
