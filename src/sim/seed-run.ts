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

/**
 * One seed: first as a core run, where messages are lost, doubled and reordered, then as a node run, where whole nodes talk over byte
 * streams. The faults and operations are those of the node run. The trace is both, one after the other.
 */
export async function runSeed(seed: number, keepTrace: boolean): Promise<SeedReport> {
  const hash = createHash("sha256");
  const coreTrace: string[] = [];
  const core = runCore({
    seed,
    trace: (line) => {
      hash.update(`${line}\n`);
      if (keepTrace) coreTrace.push(`${line}\n`);
    },
  });
  const { verdict, invariant, message: reason, faults, operations, events, virtualMs } = core;
  const figures = { verdict, events, virtualMs, faults, operations };
  if (verdict !== "ok") {
    const traceHash = hash.digest("hex");
    return {
      verdict,
      invariant,
      reason,
      traceHash,
      events,
      virtualMs,
      faults,
      operations,
      trace: coreTrace,
      core: figures,
    };
  }
  const nodes = await runNodes(seed, { keepTrace, onTrace: (text) => hash.update(text) });
  return {
    ...nodes,
    events: events + nodes.events,
    traceHash: hash.digest("hex"),
    trace: [...coreTrace, ...nodes.trace],
    core: figures,
  };
}

/** One seed of a story. */
export async function runStory({ scenario, faults }: Story, seed: number, keepTrace: boolean): Promise<SeedReport> {
  const { report } = await runScenario(scenario, seed, faults, { keepTrace });
  return { ...report, core: undefined };
}
