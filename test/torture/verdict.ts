import type { Operation } from "../../src/sim/history.ts";
import { type CheckResult, checkLinearizability } from "../../src/sim/linearizability.ts";
import type { Crash } from "./node-process.ts";

/** Steps of the checker for each operation, on average, before it gives up. */
const STEPS_PER_OPERATION = 2_000;
const OK_PER_MINUTE_MIN = 2_000;
const OPERATIONS_PER_KEY_MAX = 500;
const TIMES_IN_TEN_MINUTES_MIN = 5;

/** What a run found. */
export interface Findings {
  readonly minutes: number;
  readonly operations: readonly Operation[];
  readonly faults: Readonly<Record<string, number>>;
  readonly leftOut: readonly string[];
  /** All members hold the same. */
  readonly replicasEqual: boolean;
  /** Calls that make data durable, counted while `commits` commands were executed one by one; undefined: they could not be counted. */
  readonly syncs: { readonly commits: number; readonly members: readonly number[] } | undefined;
  /** Members that ended, and nobody had harmed them. */
  readonly crashes: readonly Crash[];
  /** Waits that did not end: the cluster was healed, and did not heal. */
  readonly stalls: readonly string[];
}

/** The last line of a run. The fields are a contract. */
export interface Summary {
  readonly type: "summary";
  readonly operations: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly leftOut: readonly string[];
  readonly replicasEqual: boolean;
  readonly checker: CheckResult["verdict"];
  readonly fsyncs: number | null;
}

export interface Verdict {
  readonly summary: Summary;
  /** For people: what is wrong. */
  readonly problems: readonly string[];
  /** 0: all well. 1: the product is wrong. 3: the run itself shows too little. */
  readonly exitCode: 0 | 1 | 3;
}

export function judge(findings: Findings): Verdict {
  const { operations, faults, leftOut, replicasEqual, syncs } = findings;
  const check = checkLinearizability(operations, { stepsMax: 1_000_000 + operations.length * STEPS_PER_OPERATION });
  const wrong = [...wrongOf(check), ...wrongsOf(findings)];
  const thin = thinOf(findings);
  return {
    summary: {
      type: "summary",
      operations: countsOf(operations),
      faults,
      leftOut,
      replicasEqual,
      checker: check.verdict,
      fsyncs: syncs === undefined ? null : syncs.members.reduce((sum, count) => sum + count, 0),
    },
    problems: [...wrong, ...thin],
    exitCode: wrong.length > 0 ? 1 : thin.length > 0 ? 3 : 0,
  };
}

function wrongOf(check: CheckResult): readonly string[] {
  if (check.verdict === "violation") return [`not linearizable at ${check.key}: ${check.reason}`];
  return check.verdict === "undecided" ? [`undecided whether ${check.key} is linearizable`] : [];
}

function wrongsOf({ replicasEqual, syncs, crashes, stalls }: Findings): readonly string[] {
  const wrong = [...stalls, ...crashes.map(({ member, status }) => `member ${member} ended by itself: ${status}`)];
  if (!replicasEqual) wrong.push("the members do not hold the same");
  if (syncs !== undefined) {
    const { commits, members } = syncs;
    // A commit stands on the syncs of a majority, which need not be the same one each time.
    const sum = members.reduce((total, count) => total + count, 0);
    const majority = (members.length >> 1) + 1;
    if (sum < majority * commits) wrong.push(`${commits} commits on ${sum} syncs: ${members.join(", ")}`);
  }
  return wrong;
}

/** What a run must have, to be worth something. */
function thinOf({ minutes, operations, faults, leftOut }: Findings): readonly string[] {
  const thin: string[] = [];
  const { ok = 0 } = countsOf(operations);
  // Less than a minute shows that the harness works, and no more.
  if (minutes >= 1 && ok < OK_PER_MINUTE_MIN * minutes) thin.push(`${ok} operations in ${minutes} min ended ok`);
  const perKey = new Map<string, number>();
  for (const { key } of operations) perKey.set(key, (perKey.get(key) ?? 0) + 1);
  const most = Math.max(0, ...perKey.values());
  if (most > OPERATIONS_PER_KEY_MAX) thin.push(`${most} operations on one key`);
  const timesMin = Math.floor((TIMES_IN_TEN_MINUTES_MIN * minutes) / 10);
  for (const [fault, times] of Object.entries(faults)) {
    if (times < timesMin && !leftOut.some((text) => text.startsWith(fault))) thin.push(`${fault} ${times} times`);
  }
  return thin;
}

function countsOf(operations: readonly Operation[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = { ok: 0, fail: 0, unknown: 0 };
  for (const { outcome } of operations) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
