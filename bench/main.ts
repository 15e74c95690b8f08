/**
 * Figures, as ratios against a peer measured in the same run.
 *
 *   npm run bench -- NAME [--json] [--quick] [--case CASE] [--layout processes|one-process] [--peer PEER] [--dist FOLDER] [--profile FOLDER]
 *
 * NAME: transport, group-memory, formation, failover. Exit codes: 0 well; 1 a wrong result; 2 wrong usage, or a peer that cannot be had;
 * 3 the harness failed. Whether a target is met is told, and changes no exit code: machines differ.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { failover } from "./failover.ts";
import { formation } from "./formation.ts";
import { groupMemory } from "./group-memory.ts";
import { type Layout, MissingPeer, type Plan, type Row, table, WrongResult } from "./harness.ts";
import { Hosts } from "./hosts.ts";
import { RAW_TLS } from "./peers.ts";
import { transport } from "./transport.ts";

type Bench = (plan: Plan, hosts: Hosts) => AsyncGenerator<Row>;

const BENCHES: ReadonlyMap<string, Bench> = new Map([
  ["transport", transport],
  ["group-memory", groupMemory],
  ["formation", formation],
  ["failover", failover],
]);
const LAYOUTS: readonly Layout[] = ["processes", "one-process"];
const REPEATS = 5;
const USAGE = `usage: npm run bench -- NAME [--json] [--quick] [--case CASE] [--layout ${LAYOUTS.join("|")}] [--peer ${RAW_TLS}]
NAME: ${[...BENCHES.keys()].join(", ")}`;

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      case: { type: "string" },
      layout: { type: "string" },
      peer: { type: "string", default: RAW_TLS },
      dist: { type: "string", default: fileURLToPath(new URL("../dist", import.meta.url)) },
      profile: { type: "string" },
    },
  });
  const [name, ...more] = positionals;
  const bench = name === undefined ? undefined : BENCHES.get(name);
  if (bench === undefined || more.length > 0) throw new TypeError("which bench?");
  const layouts = LAYOUTS.filter((layout) => values.layout === undefined || values.layout === layout);
  if (layouts.length === 0) throw new TypeError(`no such layout: ${values.layout}`);
  if (values.peer !== RAW_TLS) throw new MissingPeer(`the peer ${values.peer} cannot be had here`);
  const plan: Plan = { repeats: values.quick ? 1 : REPEATS, isQuick: values.quick, only: values.case, layouts };
  return { bench, plan, isJson: values.json, host: { dist: values.dist, profileFolder: values.profile } };
}

async function run(): Promise<number> {
  let chosen: ReturnType<typeof options>;
  try {
    chosen = options();
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const { bench, plan, isJson, host } = chosen;
  const hosts = new Hosts(host);
  const rows: Row[] = [];
  try {
    for await (const row of bench(plan, hosts)) {
      rows.push(row);
      if (isJson) console.log(JSON.stringify(row));
      else if (process.stderr.isTTY) process.stderr.write(`${row.case} (${row.metric}, ${row.layout}): ${row.ratio}\n`);
    }
  } catch (error) {
    console.error(error);
    return error instanceof WrongResult ? 1 : 3;
  } finally {
    await hosts.stop();
  }
  if (rows.length === 0) {
    console.error(`no such case: ${plan.only}\n${USAGE}`);
    return 2;
  }
  if (!isJson)
    console.log(
      `${table(rows)}\nratio: above 1 ours is better; peer: ${rows[0]?.peerName}; medians of ${plan.repeats}`,
    );
  return 0;
}

process.exit(await run());
