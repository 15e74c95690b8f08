import { SimulationError } from "../env/index.ts";
import { InvariantViolation } from "./core/invariants.ts";
import { type RunInvariantName, RunViolation } from "./group-invariants.ts";

export type Verdict = "ok" | "violation" | "stalled" | "leak";

/** What a run was, and how it ended. Equal seeds give equal reports. */
export interface RunReport {
  readonly verdict: Verdict;
  /** Of a violation: which promise. `no-bug` stands for a throw that nobody expected. */
  readonly invariant: string | undefined;
  /** For people: what is wrong. */
  readonly reason: string | undefined;
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  /** Each kind, counted by its effects. */
  readonly faults: Readonly<Record<string, number>>;
  readonly operations: { readonly ok: number; readonly notApplied: number; readonly unknown: number };
  /** Empty unless asked for. */
  readonly trace: readonly string[];
}

/** @param cause - what ended the run, if it failed */
export function verdictOf(hasFailed: boolean, cause: unknown): Pick<RunReport, "verdict" | "invariant" | "reason"> {
  if (!hasFailed) return { verdict: "ok", invariant: undefined, reason: undefined };
  const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  if (cause instanceof SimulationError) return { verdict: cause.verdict, invariant: undefined, reason };
  if (cause instanceof InvariantViolation || cause instanceof RunViolation) {
    return { verdict: "violation", invariant: cause.invariant, reason };
  }
  return { verdict: "violation", invariant: "no-bug" satisfies RunInvariantName, reason };
}
