import type { Address } from "../transport/index.ts";
import { MEMBERSHIP_EPISODES } from "./churn.ts";
import type { FaultKind } from "./fault-counter.ts";
import type { Episode, GroupScene, Scene } from "./scene.ts";
import type { SimulatedNode } from "./simulation.ts";
import type { Disturbance } from "./weather.ts";

type Concerns = (from: Address, to: Address) => boolean;

/** A wire that is bad for a while. */
async function disturb(scene: Scene, lastsMs: number, disturbance: Disturbance): Promise<void> {
  const { weather } = scene.simulation;
  scene.simulation.trace.add("sim", `${disturbance.kind} begins`);
  weather.begin(disturbance);
  await scene.simulation.sleep(lastsMs);
  weather.end(disturbance);
  scene.simulation.trace.add("sim", `${disturbance.kind} ends`);
}

/** All nodes in two parts, neither empty; the leader is as likely in the smaller one. */
function split({ simulation, random }: Scene): readonly [ReadonlySet<Address>, ReadonlySet<Address>] {
  const addresses = simulation.nodes.map(({ address }) => address);
  const minority = random.between(1, Math.floor(addresses.length / 2));
  const one = new Set<Address>();
  while (one.size < minority) one.add(random.pick(addresses));
  return [one, new Set(addresses.filter((address) => !one.has(address)))];
}

/** Everything, or only what goes to and from one node. */
function somewhere({ simulation, random }: Scene): Concerns {
  if (random.chance(1, 3)) return () => true;
  const { address } = random.pick(simulation.nodes);
  return (from, to) => from === address || to === address;
}

/** Two nodes that are up. */
function pairUp({ simulation, random }: Scene): readonly [SimulatedNode, SimulatedNode] | undefined {
  const up = simulation.nodes.filter(({ isUp }) => isUp);
  if (up.length < 2) return undefined;
  const one = random.pick(up);
  return [one, random.pick(up.filter((node) => node !== one))];
}

/** A node dies and comes back; what it had in memory does not. */
export async function dieAndReturn(scene: Scene, node: SimulatedNode, silent: boolean): Promise<void> {
  const { simulation, random } = scene;
  node.crash({ silent });
  scene.onDied(node);
  await simulation.sleep(random.pick([random.between(1, 50), random.between(100, 4_000)]));
  await node.restart();
  scene.onRestarted(node);
}

/** For as long as somebody can be spared. */
export async function withVictim(scene: Scene, suffer: (node: SimulatedNode) => Promise<void>): Promise<void> {
  const node = scene.victim();
  if (node === undefined) return;
  await suffer(node);
  scene.release(node);
}

/** As long as somebody may die. */
export async function withMortal(
  scene: Scene,
  suffer: (node: SimulatedNode) => Promise<void>,
  wanted?: SimulatedNode,
): Promise<void> {
  const node = scene.mortal(wanted);
  if (node === undefined) return;
  await suffer(node);
  scene.release(node);
}

const WIRE: Partial<Record<FaultKind, Episode>> = {
  delay: (scene) => {
    const toUs = scene.random.pick([20_000, 100_000, 400_000]);
    const delay = { fromUs: 1_000, toUs };
    return disturb(scene, scene.random.between(300, 3_000), { kind: "delay", concerns: somewhere(scene), delay });
  },
  recut: (scene) =>
    disturb(scene, scene.random.between(200, 2_000), { kind: "recut", concerns: somewhere(scene), isCutting: true }),
  "rate-limit": (scene) => {
    const bytesPerSecond = scene.random.between(5_000, 100_000);
    return disturb(scene, scene.random.between(300, 2_000), {
      kind: "rate-limit",
      concerns: somewhere(scene),
      bytesPerSecond,
    });
  },
  stall: async (scene) => {
    const pair = pairUp(scene);
    if (pair === undefined) return;
    const [one, two] = pair.map(({ address }) => address);
    const concerns: Concerns = (from, to) => from === one && to === two;
    await disturb(scene, scene.random.between(50, 900), { kind: "stall", concerns, isBlocking: true });
  },
  "cut-one-way": (scene) => {
    const [one, two] = split(scene);
    const [senders, receivers] = scene.random.chance(1, 2) ? [one, two] : [two, one];
    const concerns: Concerns = (from, to) => senders.has(from) && receivers.has(to);
    return disturb(scene, scene.random.between(200, 5_000), { kind: "cut-one-way", concerns, isBlocking: true });
  },
  cut: (scene) => {
    const [one] = split(scene);
    const concerns: Concerns = (from, to) => one.has(from) !== one.has(to);
    return disturb(scene, scene.random.between(200, 6_000), { kind: "cut", concerns, isBlocking: true });
  },
  reset: async (scene) => {
    const pair = pairUp(scene);
    if (pair === undefined) return;
    scene.simulation.breakConnections("reset", ...pair);
  },
  "half-open": async (scene) => {
    const pair = pairUp(scene);
    if (pair === undefined) return;
    scene.simulation.breakConnections("half-open", ...pair);
  },
};

const NODES: Partial<Record<FaultKind, Episode>> = {
  crash: (scene) => withMortal(scene, (node) => dieAndReturn(scene, node, false)),
  "power-loss": (scene) => withMortal(scene, (node) => dieAndReturn(scene, node, true)),
  pause: (scene) =>
    withVictim(scene, async (node) => {
      const before = node.machine.heldEvents;
      node.pause();
      await scene.simulation.sleep(
        scene.random.pick([scene.random.between(20, 400), scene.random.between(1_000, 5_000)]),
      );
      node.resume();
      scene.simulation.faults.count("pause", node.machine.heldEvents - before);
    }),
  "clock-jump": async (scene) => {
    const { simulation, random } = scene;
    const node = random.pick(simulation.nodes);
    const byMs = random.between(-3_600_000, 3_600_000);
    simulation.trace.add(node.name, `wall clock jumps by ${byMs} ms`);
    const before = node.machine.wallReads;
    node.machine.jumpWallClock(byMs);
    // Until somebody looks at it; a restart does.
    await simulation.sleep(random.between(500, 3_000));
    if (node.machine.wallReads === before) await withMortal(scene, () => dieAndReturn(scene, node, false), node);
    simulation.faults.count("clock-jump", node.machine.wallReads - before);
    // Whose clock is far behind refuses what others say of themselves, and stays alone: somebody sets it.
    await simulation.sleep(random.between(200, 6_000));
    node.machine.jumpWallClock(-byMs);
  },
  "clock-drift": async (scene) => {
    const { simulation, random } = scene;
    const { name, machine } = random.pick(simulation.nodes);
    const ppm = random.between(-100_000, 100_000);
    simulation.trace.add(name, `clock drifts by ${ppm} ppm`);
    const before = machine.driftedTimers;
    machine.setDrift(ppm);
    await simulation.sleep(random.between(500, 4_000));
    machine.setDrift(0);
    simulation.faults.count("clock-drift", machine.driftedTimers - before);
  },
};

/** What happens to wires and nodes. `restart` is the end of a crash. */
export const WORLD_EPISODES: Readonly<Partial<Record<FaultKind, Episode>>> = {
  ...WIRE,
  ...NODES,
  restart: (scene) => withMortal(scene, (node) => dieAndReturn(scene, node, scene.random.chance(1, 2))),
};

/** Besides, what happens to members of a group. */
export const GROUP_EPISODES: Readonly<Partial<Record<FaultKind, Episode<GroupScene>>>> = {
  ...WORLD_EPISODES,
  ...MEMBERSHIP_EPISODES,
};
