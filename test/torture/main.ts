/**
 * Five real members under real faults: see docs/design/torture.md.
 *
 *   npm run torture -- --minutes N [--seed S] [--history FILE] [--json]
 *
 * Exit codes: 0 all well; 1 the product is wrong; 2 wrong usage; 3 the harness failed, or the run shows too little.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { torture } from "./torture.ts";

const USAGE = "usage: npm run torture -- --minutes N [--seed S] [--history FILE] [--json]";
const MINUTES_MAX = 24 * 60;

interface Wanted {
  readonly minutes: number;
  readonly seed: number;
  readonly history: string | undefined;
  readonly isJson: boolean;
}

function options(): Wanted {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string" },
      seed: { type: "string" },
      history: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const minutes = Number(values.minutes ?? Number.NaN);
  if (!(minutes > 0 && minutes <= MINUTES_MAX)) throw new TypeError(`--minutes is more than 0, at most ${MINUTES_MAX}`);
  const seed = values.seed === undefined ? randomInt(2 ** 32) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new TypeError("--seed is a whole number");
  return { minutes, seed, history: values.history, isJson: values.json };
}

async function run(): Promise<number> {
  let wanted: Wanted;
  try {
    wanted = options();
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const { minutes, seed, history, isJson } = wanted;
  const tell = (news: { readonly type: string }): void => console.log(isJson ? JSON.stringify(news) : textOf(news));
  tell({ type: "begin", minutes, seed, clockMs: Number(process.hrtime.bigint() / 1_000_000n) } as { type: string });
  try {
    const { summary, problems, exitCode } = await torture({ minutes, seed, historyPath: history, tell });
    for (const problem of problems) console.error(problem);
    tell(summary);
    return exitCode;
  } catch (error) {
    console.error(error);
    return 3;
  }
}

function textOf({ type, ...fields }: { readonly type: string }): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return `${type}: ${parts.join(", ")}`;
}

process.exit(await run());
