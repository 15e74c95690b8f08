import type { SeededRandom } from "../../env/index.ts";

const MS = 1_000;

/** One run's conditions, drawn from its seed, so that different runs find different faults ("swarm testing"). Rates are per thousand. */
export interface CorePlan {
  readonly members: readonly string[];
  /** How many of them are the first voters. */
  readonly voters: number;
  /** Between two compactions of one member, on average; 0: never. */
  readonly compactIntervalUs: number;
  /** Between two changes of the voters, on average; 0: never. */
  readonly changeIntervalUs: number;
  readonly tickUs: number;
  readonly electionTicksMin: number;
  readonly heartbeatTicks: number;
  readonly appendEntriesMax: number;
  readonly inflightBytesMax: number;
  readonly lossRate: number;
  readonly duplicationRate: number;
  readonly delayUsMax: number;
  readonly diskUsMax: number;
  /** Between two faults, on average. */
  readonly faultIntervalUs: number;
  /** Between two client operations, on average. */
  readonly operationIntervalUs: number;
  /** Chance that something happens to a leader just as it begins. */
  readonly newLeaderFaultRate: number;
  readonly newLeaderFaultUsMax: number;
  /** How long a fault lasts at most. */
  readonly repairUsMax: number;
  readonly faultsUntilUs: number;
  /** By then a command must have been committed everywhere. */
  readonly endUs: number;
}

export function drawPlan(random: SeededRandom): CorePlan {
  const plan = drawMixedPlan(random);
  return random.chance(1, 2) ? { ...plan, ...SHORT_REIGNS } : plan;
}

/** One leader after the other is cut off with its work half done: the conditions of the Raft paper's figure 8. */
const SHORT_REIGNS: Partial<CorePlan> = {
  appendEntriesMax: 1,
  lossRate: 0,
  delayUsMax: 40 * MS,
  diskUsMax: 2 * MS,
  faultIntervalUs: 800 * MS,
  newLeaderFaultRate: 900,
  newLeaderFaultUsMax: 20 * MS,
  repairUsMax: 600 * MS,
};

function drawMembers(random: SeededRandom): Pick<CorePlan, "members" | "voters" | "changeIntervalUs"> {
  const names = ["ada", "bob", "cyd", "dan", "eve"];
  const voters = random.pick([3, 3, 3, 4, 5]);
  const changes = random.chance(1, 2);
  return {
    members: changes ? names : names.slice(0, voters),
    voters,
    changeIntervalUs: changes ? random.pick([200, 600, 2_000]) * MS : 0,
  };
}

function drawMixedPlan(random: SeededRandom): CorePlan {
  return {
    ...drawMembers(random),
    compactIntervalUs: random.pick([0, 100, 400, 1_500]) * MS,
    tickUs: 10 * MS,
    electionTicksMin: 15,
    heartbeatTicks: 3,
    appendEntriesMax: random.pick([1, 1, 1, 64]),
    inflightBytesMax: random.pick([100, 400, 1_000]),
    lossRate: random.pick([0, 20, 100, 250]),
    duplicationRate: random.pick([0, 50, 200]),
    delayUsMax: random.pick([2, 10, 40, 120]) * MS,
    diskUsMax: random.pick([0, 2, 20, 80]) * MS,
    faultIntervalUs: random.pick([100, 300, 800]) * MS,
    operationIntervalUs: random.pick([10, 30, 90]) * MS,
    newLeaderFaultRate: random.pick([0, 600, 900]),
    newLeaderFaultUsMax: random.pick([10, 40, 150]) * MS,
    repairUsMax: random.pick([300, 600, 1_500]) * MS,
    faultsUntilUs: 12_000 * MS,
    endUs: 30_000 * MS,
  };
}
