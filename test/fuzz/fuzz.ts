import { getHeapStatistics } from "node:v8";
import { DecodeError } from "../../src/wire/index.ts";
import { Chance } from "./chance.ts";
import { makeInput } from "./mutate.ts";
import type { Target } from "./target.ts";

/** What one decode may take. Generous: it is looked for what grows with a number in the input, or with the square of its length. */
const DECODE_MS_MAX = 300;
const ALLOCATED_BYTES_MAX = 8 * 1024 * 1024;
/** A decode that was slow is measured again: a neighbour on the machine is slow once. */
const MEASURED_TIMES = 3;
const VALID_INPUTS = 64;
const FAILURES_MAX = 20;

export interface TargetCount {
  inputs: number;
  accepted: number;
  refused: number;
}

export interface Failure {
  readonly decoder: string;
  readonly reason: string;
  readonly hex: string;
}

export interface FuzzReport {
  readonly inputs: number;
  readonly decoders: Readonly<Record<string, TargetCount>>;
  readonly failed: number;
  /** The first few. */
  readonly failures: readonly Failure[];
}

/** Gives `inputs` inputs to the targets in turn. The same seed, the same inputs. */
export function fuzz(targets: readonly Target[], inputs: number, seed: number): FuzzReport {
  const plans = targets.map((target, place) => {
    // A target's inputs depend on the seed and its place alone, not on how many inputs the others take.
    const chance = new Chance(seed * 1_000 + place);
    // Copies: some makers give a Buffer, whose `slice` would let a mutation change it.
    const valid = Array.from({ length: VALID_INPUTS }, () => new Uint8Array(target.make(chance)));
    return { target, chance, valid, count: { inputs: 0, accepted: 0, refused: 0 } };
  });
  const failures: Failure[] = [];
  let failed = 0;
  for (let number = 0; number < inputs; number++) {
    const { target, chance, valid, count } = plans[number % plans.length] as (typeof plans)[number];
    const input = makeInput(chance, valid);
    const verdict = judge(target, input);
    count.inputs++;
    if (verdict === "accepted") count.accepted++;
    else if (verdict === "refused") count.refused++;
    else {
      failed++;
      const hex = Buffer.from(input).toString("hex");
      if (failures.length < FAILURES_MAX) failures.push({ decoder: target.name, reason: verdict.reason, hex });
    }
  }
  const decoders = Object.fromEntries(plans.map(({ target, count }) => [target.name, count]));
  return { inputs, decoders, failed, failures };
}

type Verdict = "accepted" | "refused" | { readonly reason: string };

function judge(target: Target, input: Uint8Array): Verdict {
  let verdict: Verdict = "refused";
  let leastMs = Number.POSITIVE_INFINITY;
  let leastBytes = Number.POSITIVE_INFINITY;
  for (let time = 0; time < MEASURED_TIMES; time++) {
    // Decoders get a copy, and must leave it as it was.
    const given = input.slice();
    const bytesBefore = allocatedBytes();
    const startMs = performance.now();
    verdict = attempt(target, given);
    leastMs = Math.min(leastMs, performance.now() - startMs);
    leastBytes = Math.min(leastBytes, allocatedBytes() - bytesBefore);
    if (typeof verdict === "object") return verdict;
    if (Buffer.compare(given, input) !== 0) return { reason: "changed its input" };
    if (leastMs <= DECODE_MS_MAX && leastBytes <= ALLOCATED_BYTES_MAX) return verdict;
  }
  if (leastMs > DECODE_MS_MAX) return { reason: `took ${Math.round(leastMs)} ms` };
  return { reason: `allocated ${leastBytes} bytes for ${input.length}` };
}

function attempt(target: Target, input: Uint8Array): Verdict {
  try {
    return target.decode(input) === undefined ? "refused" : "accepted";
  } catch (error) {
    if (error instanceof DecodeError) return "refused";
    return { reason: error instanceof Error ? `${error.name}: ${error.message}` : `threw ${String(error)}` };
  }
}

/** A collection in between makes it too small, never too large; a large block survives the small collections. */
function allocatedBytes(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
