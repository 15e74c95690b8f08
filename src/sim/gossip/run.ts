import { createHash } from "node:crypto";
import { AssertionError, SeededRandom } from "../../env/index.ts";
import { type GossipInvariantName, GossipViolation } from "./invariants.ts";
import { GossipWorld } from "./world.ts";

/** How one gossip run ended. */
export interface GossipRunResult {
  readonly seed: number;
  readonly verdict: "ok" | "violation";
  /** The broken invariant; `assertion` if the core itself noticed first. */
  readonly invariant?: GossipInvariantName | "assertion";
  readonly message?: string;
  /** SHA-256 of the trace's lines, in hex. */
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  /** By effect: what was not felt by anyone does not count. */
  readonly faults: Readonly<Record<string, number>>;
  /** Changes that peers made of their own entries, and how often a node saw another one come and go. */
  readonly changes: number;
  readonly joined: number;
  readonly left: number;
}

/**
 * Runs five to twenty peers that gossip over a network which loses, doubles, delays, reorders and forges frames, while peers come, leave and
 * crash and clocks jump, and checks every catalog after every step. Then the faults end, and all must know all. The seed decides everything;
 * equal seeds give equal traces.
 *
 * @param options.trace - gets each line as it is hashed
 */
export function runGossip(options: { seed: number; trace?: (line: string) => void }): GossipRunResult {
  const hash = createHash("sha256");
  const trace = (line: string): void => {
    hash.update(`${line}\n`);
    options.trace?.(line);
  };
  const { seed } = options;
  const world = new GossipWorld(new SeededRandom(seed, "gossip"), trace);
  const ending = runToEnd(world);
  const { events, faults } = world;
  const { changes, joined, left } = world.counts;
  const virtualMs = Math.floor(world.nowUs / 1_000);
  return { seed, ...ending, traceHash: hash.digest("hex"), events, virtualMs, faults, changes, joined, left };
}

function runToEnd(world: GossipWorld): Pick<GossipRunResult, "verdict" | "invariant" | "message"> {
  try {
    world.run();
    return { verdict: "ok" };
  } catch (error) {
    if (error instanceof GossipViolation) {
      return { verdict: "violation", invariant: error.invariant, message: error.message };
    }
    if (!(error instanceof AssertionError)) throw error;
    return { verdict: "violation", invariant: "assertion", message: error.message };
  }
}
