import type { SeededRandom } from "../../env/index.ts";
import { defineStream, type Lagging } from "../../streams/index.ts";
import type { Schema } from "../../wire/index.ts";
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

/** Of numbers that count, and text. */
export function isParcel(value: unknown): value is Parcel {
  if (typeof value !== "object" || value === null) return false;
  const { life, place, pad } = value as Partial<Parcel>;
  return isCount(life) && isCount(place) && typeof pad === "string";
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

const PARCELS: Schema<Parcel, Parcel> = {
  "~standard": {
    version: 1,
    vendor: "mosaik",
    validate: (value) => (isParcel(value) ? { value } : { issues: [{ message: "is no parcel" }] }),
  },
};

/** One stream for each policy. */
export const STREAMS = LAGGING.map((lagging) => ({
  lagging,
  definition: defineStream<Parcel, Parcel, Parity>(`parcels/${lagging}`, { schema: PARCELS, matches: fits }),
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

/** Characters of a pad, and of one in four pads. */
interface Sizes {
  readonly usual: number;
  readonly large: number;
}

/** All but the first fill a link, which holds 1 MiB, and then the queues; the second and third with several values a turn. */
const SIZES: readonly Sizes[] = [
  { usual: 10, large: 2_000 },
  { usual: 10, large: 60_000 },
  { usual: 2_000, large: 150_000 },
  { usual: 60_000, large: 150_000 },
];

export interface StreamPlan {
  readonly nodes: readonly string[];
  readonly streams: readonly ParcelStream[];
  /** Links fail and nodes die. Otherwise only programs are slow, close, and come back; one of the streams is `wait`. */
  readonly isStormy: boolean;
  readonly maxQueued: number;
  /** Undefined: the default, which nothing here reaches. */
  readonly maxQueuedBytes: number | undefined;
  readonly sizes: Sizes;
  /** Of each producer, at the same time. */
  readonly handlesMax: number;
  /** Calls of `send` that a program does not wait for. */
  readonly sendsAtOnce: number;
  /** Undefined: all. */
  readonly maxConsumers: number | undefined;
  /** Those of the heaviest nodes are preferred. Undefined: all. */
  readonly maxProducers: number | undefined;
  readonly faultsMs: number;
  /** Peers that are in the network, and mean harm. */
  readonly hostiles: number;
}

export function fits({ place }: Parcel, { rest }: Parity): boolean {
  return place % 2 === rest;
}

/** Later ones are clearly heavier than earlier ones. */
export function weightOf(plan: StreamPlan, name: string): number {
  return 1 + plan.nodes.indexOf(name);
}

/**
 * Two to four nodes, two streams of different policies, small queues. One run in four is without faults; half of the others have few places. One in
 * four has hostile peers.
 *
 * @param isHostile - it has some in any case
 */
export function drawStreamPlan(random: SeededRandom, isHostile = false): StreamPlan {
  const isStormy = !random.chance(1, 4);
  const first = isStormy ? random.below(STREAMS.length) : LAGGING.indexOf("wait");
  const second = (first + random.between(1, STREAMS.length - 1)) % STREAMS.length;
  const scarce = isStormy && random.chance(1, 2) ? random.pick(["consumers", "producers"]) : undefined;
  return {
    nodes: ["a", "b", "c", "d"].slice(0, random.between(scarce === undefined ? 2 : 3, 4)),
    streams: STREAMS.filter((_, i) => i === first || i === second),
    isStormy,
    maxQueued: random.pick([1, 3, 8, 20]),
    maxQueuedBytes: random.chance(1, 4) ? 100_000 : undefined,
    sizes: random.pick(SIZES),
    handlesMax: random.between(1, 3),
    sendsAtOnce: random.pick([1, 5, 12]),
    maxConsumers: scarce === "consumers" ? random.between(1, 2) : undefined,
    maxProducers: scarce === "producers" ? 1 : undefined,
    faultsMs: random.between(5_000, 12_000),
    hostiles: drawHostiles(random.fork("hostile"), isHostile),
  };
}

/** By numbers of their own: what else happens in a run does not depend on whether there are any. */
function drawHostiles(random: SeededRandom, isHostile: boolean): number {
  const drawn = random.chance(1, 4) || isHostile;
  return drawn ? random.between(1, 2) : 0;
}
