import { badOption, type Options } from "../env/index.ts";
import type { SimulatedNode, Simulation } from "./simulation.ts";

/**
 * What goes wrong by itself while a scenario runs. Nodes talk over byte streams, in which nothing is lost or doubled: a lost packet
 * (`loss`, a probability) comes late, by a retransmission; a doubled one (`duplication`, a probability) only changes how the bytes are cut.
 *
 * `crashes`, `pauses` and `diskErrors` are numbers of times, each at a random moment of the first ten virtual seconds, each on one node. A
 * crashed node, and one whose disk failed, is restarted within two seconds.
 */
export type Faults = Options<{
  loss: number;
  duplication: number;
  /** The delay of everything: from, to. Default 0.1 to 1.5 ms. */
  delayMs: readonly [number, number];
  crashes: number;
  pauses: number;
  diskErrors: number;
}>;

const MILLION = 1_000_000;
const RETRANSMISSION = { fromUs: 200_000, toUs: 300_000 };
const WITHIN_MS = 10_000;
const everywhere = (): boolean => true;

/** @throws `bad-option` that names the field */
export function checkFaults(faults: Faults): void {
  for (const name of ["loss", "duplication"] as const) {
    const share = faults[name] ?? 0;
    if (!(share >= 0 && share < 1)) throw badOption(`faults.${name}`, "must be at least 0 and below 1");
  }
  for (const name of ["crashes", "pauses", "diskErrors"] as const) {
    const times = faults[name] ?? 0;
    if (!Number.isSafeInteger(times) || times < 0) throw badOption(`faults.${name}`, "must be a whole number");
  }
  const [fromMs, toMs] = faults.delayMs ?? [0, 0];
  if (![fromMs, toMs].every(Number.isSafeInteger) || fromMs < 0 || fromMs > toMs) {
    throw badOption("faults.delayMs", "must be two whole numbers, the first not above the second");
  }
}

/** From inside the run. */
export function beginFaults(simulation: Simulation, faults: Faults): void {
  const { weather } = simulation;
  const { loss = 0, duplication = 0, crashes = 0, pauses = 0, diskErrors = 0 } = faults;
  if (loss > 0) {
    weather.begin({
      kind: "delay",
      concerns: everywhere,
      delay: RETRANSMISSION,
      perMillion: Math.ceil(loss * MILLION),
    });
  }
  if (duplication > 0) {
    weather.begin({
      kind: "recut",
      concerns: everywhere,
      isCutting: true,
      perMillion: Math.ceil(duplication * MILLION),
    });
  }
  const plans = [
    ...Array.from({ length: crashes }, () => crash),
    ...Array.from({ length: pauses }, () => pause),
    ...Array.from({ length: diskErrors }, () => failDisk),
  ];
  for (const plan of plans) void strike(simulation, plan);
}

type Strike = (simulation: Simulation, node: SimulatedNode) => Promise<void>;

async function strike(simulation: Simulation, plan: Strike): Promise<void> {
  await simulation.sleep(simulation.random.below(WITHIN_MS));
  const up = simulation.nodes.filter(({ isUp, isPaused }) => isUp && !isPaused);
  if (up.length === 0) return;
  await plan(simulation, simulation.random.pick(up));
}

async function crash(simulation: Simulation, node: SimulatedNode): Promise<void> {
  node.crash({ silent: simulation.random.chance(1, 2) });
  await simulation.sleep(simulation.random.between(10, 2_000));
  // The scenario may have restarted it itself.
  if (!node.isUp) await node.restart();
}

async function pause(simulation: Simulation, node: SimulatedNode): Promise<void> {
  node.pause();
  await simulation.sleep(simulation.random.between(10, 3_000));
  node.resume();
}

async function failDisk(simulation: Simulation, node: SimulatedNode): Promise<void> {
  const { life } = node.machine;
  node.disk.failAfter(simulation.random.below(5));
  await simulation.sleep(simulation.random.between(100, 2_000));
  if (node.machine.life === life) await crash(simulation, node);
}
