/**
 * Figures, as ratios against a peer measured in the same run.
 *
 *   npm run bench -- NAME [--json] [--quick] [--case CASE] [--layout processes|one-process] [--peer PEER] [--dist FOLDER] [--profile FOLDER]
 *
 * NAME: see BENCHES. Exit codes: 0 well; 1 a wrong result; 2 wrong usage, or a peer that cannot be had;
 * 3 the harness failed. Whether a target is met is told, and changes no exit code: machines differ.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { catchUp } from "./catch-up.ts";
import { groupDurable, reads } from "./durable.ts";
import { failover } from "./failover.ts";
import { formation } from "./formation.ts";
import { groupMemory } from "./group-memory.ts";
import { type Layout, MissingPeer, type Plan, type Row, table, WrongResult } from "./harness.ts";
import { Hosts } from "./hosts.ts";
import { ETCD, NATS, RAW_TLS } from "./peers.ts";
import { snapshot } from "./snapshot.ts";
import { streams } from "./streams.ts";
import { transport } from "./transport.ts";

interface Bench {
  readonly run: (plan: Plan, hosts: Hosts) => AsyncGenerator<Row>;
  readonly peers: readonly string[];
}

const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ["transport", { run: transport, peers: [RAW_TLS] }],
  ["group-memory", { run: groupMemory, peers: [RAW_TLS] }],
  ["group-durable", { run: groupDurable, peers: [ETCD, RAW_TLS] }],
  ["reads", { run: reads, peers: [ETCD, RAW_TLS] }],
  ["catch-up", { run: catchUp, peers: [RAW_TLS] }],
  ["snapshot", { run: snapshot, peers: [RAW_TLS] }],
  ["formation", { run: formation, peers: [RAW_TLS] }],
  ["streams", { run: streams, peers: [NATS, RAW_TLS] }],
  ["failover", { run: failover, peers: [RAW_TLS] }],
]);
const LAYOUTS: readonly Layout[] = ["processes", "one-process"];
const REPEATS = 5;
const USAGE = `usage: npm run bench -- NAME [--json] [--quick] [--case CASE] [--layout ${LAYOUTS.join("|")}] [--peer ${ETCD}|${NATS}|${RAW_TLS}]
NAME: ${[...BENCHES.keys()].join(", ")}`;

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      case: { type: "string" },
      layout: { type: "string" },
      peer: { type: "string" },
      dist: { type: "string", default: fileURLToPath(new URL("../dist", import.meta.url)) },
      profile: { type: "string" },
    },
  });
  const [name, ...more] = positionals;
  const bench = name === undefined ? undefined : BENCHES.get(name);
  if (bench === undefined || more.length > 0) throw new TypeError("which bench?");
  const layouts = LAYOUTS.filter((layout) => values.layout === undefined || values.layout === layout);
  if (layouts.length === 0) throw new TypeError(`no such layout: ${values.layout}`);
  const { peer, quick: isQuick } = values;
  if (peer !== undefined && !bench.peers.includes(peer)) {
    throw new MissingPeer(`the peer ${peer} cannot be had here; there are ${bench.peers.join(", ")}`);
  }
  const leftOut: string[] = [];
  const leaveOut = (what: string): void => void leftOut.push(what);
  const plan: Plan = { repeats: isQuick ? 1 : REPEATS, isQuick, only: values.case, layouts, peer, leaveOut };
  return { bench, plan, leftOut, isJson: values.json, host: { dist: values.dist, profileFolder: values.profile } };
}

async function run(): Promise<number> {
  let chosen: ReturnType<typeof options>;
  try {
    chosen = options();
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const { bench, plan, leftOut, isJson, host } = chosen;
  const hosts = new Hosts(host);
  const rows: Row[] = [];
  try {
    for await (const row of bench.run(plan, hosts)) {
      rows.push(row);
      if (isJson) console.log(JSON.stringify(row));
      else if (process.stderr.isTTY) process.stderr.write(`${row.case} (${row.metric}, ${row.layout}): ${row.ratio}\n`);
    }
  } catch (error) {
    console.error(error instanceof MissingPeer ? error.message : error);
    return error instanceof WrongResult ? 1 : error instanceof MissingPeer ? 2 : 3;
  } finally {
    await hosts.stop();
  }
  if (rows.length === 0) {
    console.error(`no such case: ${plan.only ?? "in this layout"}\n${USAGE}`);
    return 2;
  }
  for (const what of leftOut) console.error(`left out: ${what}`);
  if (!isJson) {
    // A table for each peer.
    for (const peerName of new Set(rows.map((row) => row.peerName))) {
      const beside = rows.filter((row) => row.peerName === peerName);
      console.log(`${table(beside)}\nratio: above 1 ours is better; peer: ${peerName}; medians of ${plan.repeats}`);
    }
  }
  return 0;
}

process.exit(await run());
