import { createHash } from "node:crypto";
import { runCore } from "./core/index.ts";
import { runGossip } from "./gossip/index.ts";
import type { RunStyle } from "./node-plan.ts";
import { runNodes } from "./node-run.ts";
import type { RunReport } from "./report.ts";
import { runScenario } from "./simulate.ts";
import type { Story } from "./story.ts";
import { runStreams } from "./streams/index.ts";

/** What one seed came to. */
export interface SeedReport extends RunReport {
  /** The core runs' own figures; a story has none. */
  readonly core: object | undefined;
  /** Of a run of streams: how many values were sent, received and missed. */
  readonly values?: object | undefined;
  /** Of a run of streams: what its hostile peers came to. */
  readonly hostile?: object | undefined;
}

/** A way to run one seed. */
export type SeedRunner = (seed: number, keepTrace: boolean) => Promise<SeedReport>;

/**
 * One seed: first as core runs, where messages are lost, doubled and reordered, of Raft and of gossip; then as a node run, where whole nodes
 * talk over byte streams. The faults and operations are those of the node run. The trace is all of them, one after the other.
 */
export const runSeed: SeedRunner = async (seed, keepTrace) => {
  const hash = createHash("sha256");
  const raft = runRaftAlone(seed, keepTrace, hash);
  if (raft.verdict !== "ok") return raft;
  const gossip = runGossipAlone(seed, keepTrace, hash);
  if (gossip.verdict !== "ok") return gossip;
  const nodes = await runNodes(seed, { keepTrace, onTrace: (text) => hash.update(text) });
  return {
    ...nodes,
    events: raft.events + gossip.events + nodes.events,
    traceHash: hash.digest("hex"),
    trace: [...raft.trace, ...gossip.trace, ...nodes.trace],
    core: { ...raft.core, gossip: gossip.core },
  };
};

/** The parts of `runSeed`. */
export const runSeedCore: SeedRunner = async (seed, keepTrace) => runRaftAlone(seed, keepTrace, createHash("sha256"));

export const runSeedGossip: SeedRunner = async (seed, keepTrace) => {
  return runGossipAlone(seed, keepTrace, createHash("sha256"));
};

/** Streams alone, by request: not a part of `runSeed`. */
export const runSeedStreams: SeedRunner = async (seed, keepTrace) => {
  return { ...(await runStreams(seed, { keepTrace })), core: undefined };
};

/** The same, with hostile peers in all seeds. */
export const runSeedHostile: SeedRunner = async (seed, keepTrace) => {
  return { ...(await runStreams(seed, { keepTrace, isHostile: true })), core: undefined };
};

/** @param style - default: drawn from the seed */
export function runSeedNodes(style?: RunStyle): SeedRunner {
  return async (seed, keepTrace) => ({ ...(await runNodes(seed, { keepTrace, style })), core: undefined });
}

type Hash = ReturnType<typeof createHash>;

function runRaftAlone(seed: number, keepTrace: boolean, hash: Hash): SeedReport {
  const { trace, onLine } = traceInto(hash, keepTrace);
  const core = runCore({ seed, trace: onLine });
  const { verdict, message: reason, faults, operations, events, virtualMs } = core;
  const figures = { verdict, events, virtualMs, faults, operations };
  const traceHash = hash.copy().digest("hex");
  return { ...figures, invariant: core.invariant, reason, traceHash, trace, core: figures };
}

function runGossipAlone(seed: number, keepTrace: boolean, hash: Hash): SeedReport {
  const { trace, onLine } = traceInto(hash, keepTrace);
  const run = runGossip({ seed, trace: onLine });
  const { verdict, invariant, message: reason, faults, events, virtualMs, changes, joined, left } = run;
  const figures = { verdict, events, virtualMs, faults };
  // Each change of an entry succeeds where it is made.
  const operations = { ok: changes, notApplied: 0, unknown: 0 };
  const traceHash = hash.copy().digest("hex");
  return { ...figures, operations, invariant, reason, traceHash, trace, core: { ...figures, changes, joined, left } };
}

function traceInto(hash: Hash, keepTrace: boolean): { trace: string[]; onLine: (line: string) => void } {
  const trace: string[] = [];
  const onLine = (line: string): void => {
    hash.update(`${line}\n`);
    if (keepTrace) trace.push(`${line}\n`);
  };
  return { trace, onLine };
}

/** A story, under any seed. */
export function runStory({ scenario, faults }: Story): SeedRunner {
  return async (seed, keepTrace) => {
    const { report } = await runScenario(scenario, seed, faults, { keepTrace });
    return { ...report, core: undefined };
  };
}
