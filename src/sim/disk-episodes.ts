import { UniqueId } from "../identity/index.ts";
import { FileDisk } from "../storage/index.ts";
import { dieAndReturn, withMortal, withVictim } from "./episodes.ts";
import type { FaultKind } from "./fault-counter.ts";
import type { Episode, GroupScene } from "./scene.ts";
import type { SimulatedNode } from "./simulation.ts";
import { WORKLOAD_GROUP } from "./workload.ts";

/** What a member says before its store is open. */
const NO_STORE = UniqueId.from("");

function filesOf({ disk }: SimulatedNode): FileDisk {
  if (!(disk instanceof FileDisk)) throw new Error("this fault needs files");
  return disk;
}

/** Looks each millisecond, but not for longer than this. */
export async function until(
  { simulation }: Pick<GroupScene, "simulation">,
  withinMs: number,
  condition: () => boolean,
): Promise<void> {
  const untilUs = simulation.world.nowUs + withinMs * 1_000;
  while (!condition() && simulation.world.nowUs < untilUs) await simulation.sleep(1);
}

/** What a member says of itself: see `network.inspect()`. */
interface Inspected {
  readonly name: string;
  readonly role: string;
  readonly predecessor: object | undefined;
  readonly storeId: string;
  readonly isFull: boolean;
}
function memberOf(node: SimulatedNode): Inspected | undefined {
  return (node.network.inspect().groups as readonly Inspected[]).find(({ name }) => name === WORKLOAD_GROUP);
}

/** It says that what it has to write finds no room. */
export function isFull(node: SimulatedNode): boolean {
  return node.isUp && memberOf(node)?.isFull === true;
}

/** Its store is open: what it was found to be is known. */
function hasStore(node: SimulatedNode): boolean {
  return node.isUp && memberOf(node)?.storeId !== NO_STORE;
}

/** What disks do. All nodes have `FileDisk`s. */
export const DISK_EPISODES: Partial<Record<FaultKind, Episode<GroupScene>>> = {
  "slow-disk": async (scene) => {
    const { simulation, random } = scene;
    const { disk } = random.pick(simulation.nodes);
    const before = disk.steps;
    disk.setSyncDelay({ fromUs: 5_000, toUs: random.pick([50_000, 300_000]) });
    await simulation.sleep(random.between(300, 2_500));
    disk.setSyncDelay();
    simulation.faults.count("slow-disk", disk.steps - before);
  },
  /** The power fails in the middle of a slow write. */
  "lost-writes": (scene) =>
    withMortal(scene, async (node) => {
      const { disk } = node;
      disk.setSyncDelay({ fromUs: 50_000, toUs: 400_000 });
      const untilUs = scene.simulation.world.nowUs + 1_000_000;
      while (disk.changesUnderWay === 0 && scene.simulation.world.nowUs < untilUs) await scene.simulation.sleep(1);
      disk.setSyncDelay();
      await dieAndReturn(scene, node, scene.random.chance(1, 2));
    }),
  /** EIO: the member stops for good. Somebody exchanges the cable, and starts the process again. */
  "disk-error": (scene) =>
    withMortal(scene, async (node) => {
      const { disk } = node;
      disk.failAfter(scene.random.below(3));
      const untilUs = scene.simulation.world.nowUs + 3_000_000;
      while (!disk.hasFailed && scene.simulation.world.nowUs < untilUs) await scene.simulation.sleep(5);
      if (disk.hasFailed) scene.simulation.faults.count("disk-error");
      await scene.simulation.sleep(scene.random.between(10, 1_500));
      await dieAndReturn(scene, node, false);
    }),
  /** Somebody else's files take all room for a while, mostly until the member has felt it. */
  "disk-full": (scene) =>
    withVictim(scene, async (node) => {
      const { simulation, random } = scene;
      const { disk } = node;
      disk.setRoom(random.pick([0, random.between(0, 8_000)]));
      await until(scene, 20_000, () => isFull(node));
      if (isFull(node)) simulation.faults.count("disk-full");
      await simulation.sleep(random.pick([random.between(0, 300), random.between(300, 4_000)]));
      disk.setRoom();
    }),
  /** The power fails in the middle of a record that is longer than a sector. */
  "torn-write": (scene) =>
    withMortal(scene, async (node) => {
      const disk = filesOf(node);
      disk.setSyncDelay({ fromUs: 50_000, toUs: 400_000 });
      await until(scene, 1_500, () => disk.isTearable);
      disk.setSyncDelay();
      disk.tearAtCrash();
      await dieAndReturn(scene, node, true);
    }),
  /** At a numbered call, before or after it; and perhaps again while the store is opened. */
  "io-crash": (scene) =>
    withMortal(scene, async (node) => {
      const { simulation, random } = scene;
      for (const steps of random.chance(1, 2)
        ? [random.between(1, 60)]
        : [random.between(1, 60), random.between(1, 25)]) {
        let isHit = false;
        void filesOf(node)
          .crashAfter(steps)
          .then(() => {
            isHit = true;
          });
        await until(scene, 2_000, () => isHit);
        if (isHit) simulation.faults.count("io-crash");
        await dieAndReturn(scene, node, random.chance(1, 2));
      }
    }),
  /** A bit decays while the node is down. If it matters, its store is set aside, and the node comes back as another member. */
  "bit-flip": async (scene) => {
    const { simulation } = scene;
    const node = scene.loser();
    if (node === undefined) return;
    const disk = filesOf(node);
    node.crash({ silent: scene.random.chance(1, 2) });
    // As long as nobody has looked it may be lost.
    const isKept = scene.noteLoss(node);
    simulation.trace.add(node.name, `decay of ${disk.decay() ?? "nothing"}`);
    await simulation.sleep(scene.random.between(1, 1_500));
    await node.restart();
    const { life } = node.machine;
    await until(scene, 2_000, () => node.machine.life !== life || hasStore(node));
    if (node.isUp && memberOf(node)?.predecessor !== undefined) simulation.faults.count("bit-flip");
    else isKept();
    scene.onRestarted(node);
    await until(scene, 10_000, () => node.machine.life !== life || scene.isOnline(node));
    scene.release(node);
  },
};
