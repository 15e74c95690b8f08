import { createHash } from "node:crypto";
import { AssertionError, SeededRandom } from "../../env/index.ts";
import { InvariantViolation } from "./invariants.ts";
import { CoreWorld } from "./world.ts";

/** The last three are no faults, but what must happen for the rest to mean something. */
export type CoreFaultName =
  | ("loss" | "duplication" | "reorder" | "crash" | "pause" | "cut")
  | ("compaction" | "install" | "change");

/** How one core run ended. */
export interface CoreRunResult {
  readonly seed: number;
  readonly verdict: "ok" | "violation" | "stalled";
  /** The broken invariant; `assertion` if the core itself noticed first. */
  readonly invariant?: string;
  readonly message?: string;
  /** SHA-256 of the trace's lines, in hex. */
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  /** By effect: what was not felt by anyone does not count. */
  readonly faults: Readonly<Record<CoreFaultName, number>>;
  readonly operations: { readonly ok: number; readonly notApplied: number; readonly unknown: number };
}

/**
 * Runs three to five bare Raft members under lost, doubled, reordered and delayed messages, cuts, pauses and crashes, and checks every
 * step. Then the faults end, and a command must be committed by all. The seed decides everything; equal seeds give equal traces.
 *
 * @param options.trace - gets each line as it is hashed
 */
export function runCore(options: { seed: number; trace?: (line: string) => void }): CoreRunResult {
  const hash = createHash("sha256");
  const trace = (line: string): void => {
    hash.update(`${line}\n`);
    options.trace?.(line);
  };
  const world = new CoreWorld(new SeededRandom(options.seed, "core"), trace);
  const ending = runToEnd(world);
  const { seed } = options;
  const { events, faults, operations } = world;
  const virtualMs = Math.floor(world.nowUs / 1_000);
  return { seed, ...ending, traceHash: hash.digest("hex"), events, virtualMs, faults, operations };
}

function runToEnd(world: CoreWorld): Pick<CoreRunResult, "verdict" | "invariant" | "message"> {
  try {
    return world.run()
      ? { verdict: "ok" }
      : { verdict: "stalled", message: "nothing was committed after the faults ended" };
  } catch (error) {
    if (error instanceof InvariantViolation) {
      return { verdict: "violation", invariant: error.invariant, message: error.message };
    }
    if (!(error instanceof AssertionError)) throw error;
    return { verdict: "violation", invariant: "assertion", message: error.message };
  }
}
