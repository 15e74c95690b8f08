import type { SeededRandom } from "../env/index.ts";
import type { GroupTuning, LeadershipPreference } from "../groups/index.ts";
import { DISK_FAULTS, type FaultKind, MEMBERSHIP_FAULTS, WORLD_FAULTS } from "./fault-counter.ts";

/**
 * - `steady`: the founders and nobody else, under everything that can happen to wires, nodes and disks
 * - `churn`: members come, leave, close, lose their stores and are replaced
 * - `memory`: members whose stores are in memory, so each restart is a loss
 * - `rivals`: two sides that do not see each other both found; then they meet, and the operator decides
 * - `disks`: three members, whose disks and power fail, and nothing else
 * - `sessions`: three members that are cut off and die, over and over, and whose sessions end soon. Only by request: it shows nothing that
 *   `steady` cannot, but sooner
 */
export type RunStyle = "steady" | "churn" | "memory" | "rivals" | "disks" | "sessions";
export const RUN_STYLES: readonly RunStyle[] = ["steady", "churn", "memory", "rivals", "disks", "sessions"];

/** What one node run is about, drawn from its seed: different runs find different faults ("swarm testing"). */
export interface NodePlan {
  readonly style: RunStyle;
  readonly expect: number;
  readonly founders: readonly string[];
  /** How many of the founders are on the first side; the others do not see them until both sides serve. 0: all on one. */
  readonly firstSide: number;
  /** Come later. */
  readonly joiners: readonly string[];
  readonly isDurable: boolean;
  /** Faults begin before the group is founded. */
  readonly isStormyStart: boolean;
  readonly tuning: GroupTuning;
  readonly leadershipOf: ReadonlyMap<string, Exclude<LeadershipPreference, "observer">>;
  readonly observers: ReadonlySet<string>;
  /** Each of them must have an effect in this run. */
  readonly faults: readonly FaultKind[];
}

const NAMES = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus"];

/** In half of the runs whoever is away for a moment loses its session. */
const SHORT_TTL_MS = 1_000;

/** @param wanted - default: any */
export function drawNodePlan(random: SeededRandom, wanted?: RunStyle): NodePlan {
  const drawn = random.pick(STYLES);
  const plan = ofStyle(wanted ?? drawn, random);
  // Logs are cut often, so that whoever is away needs a snapshot.
  const tuning = { ...plan.tuning, snapshotEveryEntries: random.pick([8, 20, 60, 200]) };
  const isShort = random.chance(1, 2) || plan.style === "sessions";
  return { ...plan, tuning: isShort ? { ...tuning, sessionTtlMs: SHORT_TTL_MS } : tuning };
}

function ofStyle(style: RunStyle, random: SeededRandom): NodePlan {
  switch (style) {
    case "steady":
      return steady(random);
    case "churn":
      return churn(random);
    case "memory":
      return { ...churn(random), ...inMemory(random) };
    case "rivals":
      return rivals(random);
    case "disks":
      return disks(random);
    case "sessions":
      return {
        ...disks(random),
        style: "sessions",
        faults: ["cut", "cut-one-way", "half-open", "crash", "restart", "pause"],
      };
  }
}

const STYLES: readonly RunStyle[] = [
  ...(["steady", "steady", "steady"] as const),
  ...(["churn", "churn", "churn", "churn", "memory", "rivals", "disks"] as const),
];

function steady(random: SeededRandom): NodePlan {
  const size = random.pick([3, 3, 4, 5]);
  return {
    style: "steady",
    // Of four the fourth reads along.
    expect: size === 4 ? 3 : size,
    founders: NAMES.slice(0, size),
    firstSide: 0,
    joiners: [],
    isDurable: true,
    isStormyStart: random.chance(1, 3),
    tuning: {},
    leadershipOf: preferences(random, NAMES.slice(0, size)),
    observers: new Set(),
    faults: [...WORLD_FAULTS, "transfer"],
  };
}

function churn(random: SeededRandom): NodePlan {
  const founders = NAMES.slice(0, 3);
  const joiners = NAMES.slice(3, 3 + random.pick([1, 2, 2]));
  const observers = random.chance(1, 4) && joiners.length > 1 ? joiners.slice(-1) : [];
  return {
    style: "churn",
    expect: 3,
    founders,
    firstSide: 0,
    joiners,
    isDurable: true,
    isStormyStart: random.chance(1, 4),
    tuning: drawTuning(random),
    leadershipOf: preferences(random, founders),
    observers: new Set(observers),
    faults: [...some(random, WORLD_FAULTS), ...MEMBERSHIP_FAULTS],
  };
}

function inMemory(random: SeededRandom): Partial<NodePlan> {
  const world = some(random, WORLD_FAULTS).filter((kind) => !DISK_FAULTS.includes(kind));
  const membership = MEMBERSHIP_FAULTS.filter((kind) => kind !== "lost-disk");
  return { style: "memory", isDurable: false, isStormyStart: false, faults: [...new Set([...world, ...membership])] };
}

function rivals(random: SeededRandom): NodePlan {
  const [expect, one, two] = random.pick([
    [2, 2, 2],
    [2, 2, 3],
    [3, 3, 3],
  ]) as [number, number, number];
  return {
    style: "rivals",
    expect,
    founders: NAMES.slice(0, one + two),
    firstSide: one,
    joiners: [],
    isDurable: true,
    isStormyStart: false,
    tuning: {},
    leadershipOf: new Map(),
    observers: new Set(),
    // Two voters can spare no store.
    faults: [...some(random, WORLD_FAULTS).filter((kind) => kind !== "bit-flip"), "rival", "discard"],
  };
}

function disks(random: SeededRandom): NodePlan {
  const faults: readonly FaultKind[] = [...DISK_FAULTS, "crash", "power-loss", "restart"];
  const founders = NAMES.slice(0, 3);
  return {
    ...steady(random),
    style: "disks",
    expect: 3,
    founders,
    isStormyStart: false,
    leadershipOf: new Map(),
    faults,
  };
}

/** Half a minute until the dead are replaced is too long for a run. */
function drawTuning(random: SeededRandom): GroupTuning {
  return { promoteAfterMs: random.pick([50, 300, 800]), removeDeadAfterMs: random.pick([3_000, 3_000, 5_000]) };
}

function preferences(random: SeededRandom, names: readonly string[]): NodePlan["leadershipOf"] {
  return random.chance(1, 4) ? new Map([[random.pick(names), "reluctant"]]) : new Map();
}

/** About half of them, so that a run with other things to do does not take much longer. `restart` comes with all that crash. */
function some(random: SeededRandom, kinds: readonly FaultKind[]): readonly FaultKind[] {
  const drawn = kinds.filter(() => random.chance(1, 2));
  return [...new Set<FaultKind>([...drawn, "cut", "crash", "restart"])];
}
