import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { RUN_STYLES } from "./node-plan.ts";
import {
  runSeed,
  runSeedCore,
  runSeedGossip,
  runSeedHostile,
  runSeedNodes,
  runSeedStreams,
  runStory,
  type SeedReport,
  type SeedRunner,
} from "./seed-run.ts";
import { stories } from "./story.ts";

/** What the command line asks for. */
interface Wanted {
  readonly base: number;
  readonly count: number;
  readonly story: string | undefined;
  readonly trace: string | undefined;
  readonly isJson: boolean;
}

class UsageError extends Error {}

const USAGE = `npm run sim -- [--seed BASE=1] [--seeds COUNT=1] [--story NAME] [--mutation NAME | --mutations] [--trace FILE] [--json]

Each seed is run three times: bare Raft members, and bare gossip, whose messages are lost, doubled and reordered, then whole nodes on byte
streams under all other faults. --story runs one of test/stories instead, or only a part of that: core, gossip or nodes; streams, which no seed has otherwise, or hostile, the same with hostile peers;
or node runs of one style: ${RUN_STYLES.join(", ")}. --mutations puts known flaws back, one at a time, and wants each of them caught.`;

/** All well 0, something is wrong with what was run 1, wrong usage 2, the harness itself failed 3. */
async function main(): Promise<0 | 1 | 2 | 3> {
  try {
    return await run(parse(process.argv.slice(2)));
  } catch (error) {
    const isUsage = error instanceof UsageError;
    process.stderr.write(
      isUsage ? `${error.message}\n\n${USAGE}\n` : `${error instanceof Error ? error.stack : error}\n`,
    );
    return isUsage ? 2 : 3;
  }
}

function parse(args: string[]): Wanted {
  try {
    const { values } = parseArgs({
      args,
      options: {
        seed: { type: "string", default: "1" },
        seeds: { type: "string", default: "1" },
        story: { type: "string" },
        trace: { type: "string" },
        json: { type: "boolean", default: false },
      },
    });
    const { seed, seeds, story, trace, json } = values;
    const count = wholeNumber("--seeds", seeds);
    if (count < 1) throw new UsageError("--seeds must be at least 1");
    return { base: wholeNumber("--seed", seed), count, story, trace, isJson: json };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new UsageError(`${name} must be a whole number`);
  return value;
}

async function run(wanted: Wanted): Promise<0 | 1> {
  const startMs = performance.now();
  const runner = findRunner(wanted.story);
  const traces: string[] = [];
  let failed = 0;
  for (let seed = wanted.base; seed < wanted.base + wanted.count; seed++) {
    const beforeMs = performance.now();
    const keepTrace = wanted.trace !== undefined;
    const report = await runner(seed, keepTrace);
    if (report.verdict !== "ok") failed++;
    for (const line of report.trace) traces.push(line);
    tell(wanted, seed, report, Math.round(performance.now() - beforeMs));
  }
  if (wanted.trace !== undefined) writeFileSync(wanted.trace, traces.join(""));
  const wallMs = Math.round(performance.now() - startMs);
  if (wanted.isJson) print({ type: "summary", runs: wanted.count, failed, wallMs });
  else process.stdout.write(`${wanted.count} seeds, ${failed} failed, ${(wallMs / 1000).toFixed(1)} s\n`);
  return failed === 0 ? 0 : 1;
}

/** `scripts/sim.mjs` has loaded the stories: they are tests, and no part of the package. */
function findRunner(name: string | undefined): SeedRunner {
  if (name === undefined) return runSeed;
  if (name === "core") return runSeedCore;
  if (name === "gossip") return runSeedGossip;
  if (name === "streams") return runSeedStreams;
  if (name === "hostile") return runSeedHostile;
  if (name === "nodes") return runSeedNodes();
  const style = RUN_STYLES.find((one) => one === name);
  if (style !== undefined) return runSeedNodes(style);
  const story = stories().find((one) => one.name === name);
  if (story !== undefined) return runStory(story);
  const names = ["core", "gossip", "nodes", "streams", "hostile", ...RUN_STYLES, ...stories().map((one) => one.name)];
  throw new UsageError(`there is no story "${name}"; there are:\n${names.map((one) => `  ${one}`).join("\n")}`);
}

function tell(wanted: Wanted, seed: number, report: SeedReport, wallMs: number): void {
  const story = wanted.story === undefined ? "" : ` --story ${JSON.stringify(wanted.story)}`;
  const replay = `npm run sim -- --seed ${seed}${story}`;
  const { verdict, invariant, reason, traceHash, events, virtualMs, faults, operations, core, values, hostile } =
    report;
  if (wanted.isJson) {
    print({
      type: "run",
      seed,
      story: wanted.story ?? null,
      verdict,
      invariant: invariant ?? null,
      traceHash,
      events,
      virtualMs,
      wallMs,
      faults,
      operations,
      replay,
      ...(core === undefined ? {} : { core }),
      ...(values === undefined ? {} : { values }),
      ...(hostile === undefined ? {} : { hostile }),
      ...(reason === undefined ? {} : { reason }),
    });
    return;
  }
  const figures = `${(virtualMs / 1000).toFixed(1)} s, ${events} events, ${operations.ok} operations, ${traceHash.slice(0, 12)}`;
  process.stdout.write(`seed ${seed}: ${verdict}${invariant === undefined ? "" : ` of ${invariant}`} (${figures})\n`);
  if (verdict !== "ok") process.stdout.write(`${reason}\nreplay: ${replay}\n\n`);
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

void main().then((code) => {
  process.exitCode = code;
});
