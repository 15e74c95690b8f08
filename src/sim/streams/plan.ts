import type { SeededRandom } from "../../env/index.ts";
import { defineStream, type Lagging } from "../../streams/index.ts";
import type { FaultKind } from "../fault-counter.ts";

/** What is sent: from which life of a producer, and its place there, from 1. `pad` gives it a size. */
export interface Parcel {
  readonly life: number;
  readonly place: number;
  readonly pad: string;
}

/** Of values whose place leaves this rest when halved. */
export interface Parity {
  readonly rest: number;
}

export const LAGGING: readonly Lagging[] = ["disconnect", "drop-oldest", "drop-newest", "wait"];

/** One stream for each policy. */
export const STREAMS = LAGGING.map((lagging) => ({
  lagging,
  definition: defineStream<Parcel, Parcel, Parity>(`parcels/${lagging}`, { matches: fits }),
}));
export type ParcelStream = (typeof STREAMS)[number];

export const FAULTS: readonly FaultKind[] = [
  "delay",
  "recut",
  "rate-limit",
  "stall",
  "cut-one-way",
  "cut",
  "reset",
  "half-open",
  "crash",
  "power-loss",
  "pause",
];

export interface StreamPlan {
  readonly nodes: readonly string[];
  readonly streams: readonly ParcelStream[];
  readonly maxQueued: number;
  readonly padChars: number;
  readonly faultsMs: number;
}

export function fits({ place }: Parcel, { rest }: Parity): boolean {
  return place % 2 === rest;
}

/** Two to four nodes, two streams of different policies, small queues. */
export function drawStreamPlan(random: SeededRandom): StreamPlan {
  const first = random.below(STREAMS.length);
  const second = (first + random.between(1, STREAMS.length - 1)) % STREAMS.length;
  return {
    nodes: ["a", "b", "c", "d"].slice(0, random.between(2, 4)),
    streams: STREAMS.filter((_, i) => i === first || i === second),
    maxQueued: random.pick([1, 3, 8, 20]),
    padChars: random.pick([10, 2_000, 20_000]),
    faultsMs: random.between(5_000, 12_000),
  };
}
