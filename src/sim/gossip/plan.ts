import type { SeededRandom } from "../../env/index.ts";

const MS = 1_000;

/** One run's conditions, drawn from its seed. Rates are per thousand. */
export interface GossipPlan {
  /** Peers that exist at all; some are up from the beginning. */
  readonly peers: number;
  readonly expireAfterMs: number;
  readonly announceMs: number;
  readonly antiEntropyMs: number;
  readonly sweepMs: number;
  /** Links that a node looks for. */
  readonly linksMin: number;
  readonly entriesMax: number;
  readonly tombstonesMax: number;
  readonly lossRate: number;
  readonly duplicationRate: number;
  /** News of which somebody sends a copy with a byte changed. */
  readonly forgeryRate: number;
  readonly delayUsMax: number;
  /** How long it takes until a neighbour notices that the other end of a link is gone. */
  readonly detectUsMax: number;
  /** Wall clocks are wrong by up to this, either way. Less than half of what is allowed, so that all are believed. */
  readonly clockErrorMs: number;
  /** One clock is minutes off. */
  readonly hasStrayClock: boolean;
  readonly faultIntervalUs: number;
  readonly changeIntervalUs: number;
  readonly repairUsMax: number;
  readonly faultsUntilUs: number;
  /** By then all that are up must know all that are up, and nobody else. */
  readonly endUs: number;
}

/** A catalog that holds all. */
const ALL = 1_000;

export function drawGossipPlan(random: SeededRandom): GossipPlan {
  const isSmall = random.chance(1, 6);
  return {
    peers: random.pick([5, 5, 5, 6, 6, 8, 8, 12, 20]),
    expireAfterMs: 6_000,
    announceMs: random.pick([1_500, 2_500]),
    antiEntropyMs: random.pick([500, 1_500]),
    sweepMs: 500,
    linksMin: random.pick([1, 2, 3]),
    entriesMax: isSmall ? 3 : ALL,
    tombstonesMax: isSmall ? 2 : ALL,
    lossRate: random.pick([0, 20, 100, 300]),
    duplicationRate: random.pick([0, 50, 200]),
    forgeryRate: random.pick([0, 20]),
    delayUsMax: random.pick([2, 10, 50]) * MS,
    detectUsMax: random.pick([50, 500]) * MS,
    clockErrorMs: random.pick([0, 5_000, 20_000]),
    hasStrayClock: random.chance(1, 3),
    faultIntervalUs: random.pick([400, 800, 1_500]) * MS,
    changeIntervalUs: random.pick([300, 1_000]) * MS,
    repairUsMax: random.pick([1_000, 4_000, 12_000]) * MS,
    faultsUntilUs: 24_000 * MS,
    endUs: 60_000 * MS,
  };
}
