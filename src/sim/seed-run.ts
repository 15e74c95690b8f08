import { createHash } from "node:crypto";
import { runCore } from "./core/index.ts";
import { runNodes } from "./node-run.ts";
import type { RunReport } from "./report.ts";
import { runScenario } from "./simulate.ts";
import type { Story } from "./story.ts";

/** What one seed came to. */
export interface SeedReport extends RunReport {
  /** The core run's own figures; a story has none. */
  readonly core: object | undefined;
}

/** A way to run one seed. */
export type SeedRunner = (seed: number, keepTrace: boolean) => Promise<SeedReport>;

/**
 * One seed: first as a core run, where messages are lost, doubled and reordered, then as a node run, where whole nodes talk over byte
 * streams. The faults and operations are those of the node run. The trace is both, one after the other.
 */
export const runSeed: SeedRunner = async (seed, keepTrace) => {
  const hash = createHash("sha256");
  const core = runCoreAlone(seed, keepTrace, hash);
  if (core.verdict !== "ok") return core;
  const nodes = await runNodes(seed, { keepTrace, onTrace: (text) => hash.update(text) });
  return {
    ...nodes,
    events: core.events + nodes.events,
    traceHash: hash.digest("hex"),
    trace: [...core.trace, ...nodes.trace],
    core: core.core,
  };
};

/** The first half of `runSeed`. */
export const runSeedCore: SeedRunner = async (seed, keepTrace) => runCoreAlone(seed, keepTrace, createHash("sha256"));

/** The second half of `runSeed`. */
export const runSeedNodes: SeedRunner = async (seed, keepTrace) => {
  return { ...(await runNodes(seed, { keepTrace })), core: undefined };
};

function runCoreAlone(seed: number, keepTrace: boolean, hash: ReturnType<typeof createHash>): SeedReport {
  const trace: string[] = [];
  const core = runCore({
    seed,
    trace: (line) => {
      hash.update(`${line}\n`);
      if (keepTrace) trace.push(`${line}\n`);
    },
  });
  const { verdict, message: reason, faults, operations, events, virtualMs } = core;
  const figures = { verdict, events, virtualMs, faults, operations };
  const traceHash = hash.copy().digest("hex");
  return { ...figures, invariant: core.invariant, reason, traceHash, trace, core: figures };
}

/** A story, under any seed. */
export function runStory({ scenario, faults }: Story): SeedRunner {
  return async (seed, keepTrace) => {
    const { report } = await runScenario(scenario, seed, faults, { keepTrace });
    return { ...report, core: undefined };
  };
}
