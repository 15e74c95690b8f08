import type { FaultKind } from "./fault-counter.ts";
import type { Episode, GroupScene } from "./scene.ts";
import type { SimulatedNode } from "./simulation.ts";

/** It is there again, with a new store, as itself or as another peer. */
function loseStore(kind: "lost-disk" | "lost-store"): Episode<GroupScene> {
  return async (scene) => {
    const { simulation, random } = scene;
    const node = scene.loser();
    if (node === undefined) return;
    node.crash({ silent: random.chance(1, 2) });
    scene.noteLoss(node);
    await simulation.sleep(random.pick([random.between(1, 50), random.between(100, 2_000)]));
    await node.restart({ keepDisk: false, keepKey: kind === "lost-store" });
    scene.onRestarted(node, kind);
    await untilOnline(scene, node);
    scene.release(node);
  };
}

/** Somebody gives up its place, and takes a new one later. */
const leave: Episode<GroupScene> = async (scene) => {
  const { simulation, random } = scene;
  const node = scene.leaver();
  if (node === undefined) return;
  if (await scene.leaveGroup(node)) {
    simulation.faults.count("leave");
    await simulation.sleep(random.between(50, 2_000));
    await scene.joinAgain(node);
  }
  await untilOnline(scene, node);
  scene.release(node);
};

/** In order, and then again: of the group alone, or of the whole process. What is in memory leaves as it closes. */
const close: Episode<GroupScene> = async (scene) => {
  const { simulation, random } = scene;
  const node = scene.isDurable ? scene.victim() : scene.leaver();
  if (node === undefined) return;
  if (random.chance(1, 2)) {
    await scene.closeGroup(node);
    await simulation.sleep(random.between(10, 1_500));
    await scene.joinAgain(node, "close");
  } else {
    if (await scene.waits.ends(node, "network.close", node.close())) {
      scene.onDied(node);
      node.exit();
      await simulation.sleep(random.between(10, 1_500));
      await node.restart();
      scene.onRestarted(node, "close");
    }
  }
  if (!scene.isDurable) await untilOnline(scene, node);
  scene.release(node);
};

/** Whoever is asked hands over, to somebody or to anybody. */
const transfer: Episode<GroupScene> = async (scene) => {
  const { simulation, random } = scene;
  const node = scene.anybodyOnline();
  if (node === undefined) return;
  const group = scene.groupOf(node);
  const { leader } = group;
  const others = group.members.filter(({ id, role }) => role === "voter" && id !== leader);
  const to = random.chance(1, 2) && others.length > 0 ? random.pick(others).id : undefined;
  simulation.trace.add(node.name, "asks for another leader");
  const isDone = await scene.waits.ends(node, "transferLeadership", group.transferLeadership(to));
  if (isDone && group.leader !== leader) simulation.faults.count("transfer");
};

async function untilOnline(scene: GroupScene, node: SimulatedNode): Promise<void> {
  const untilUs = scene.simulation.world.nowUs + 5_000_000;
  while (!scene.isOnline(node) && scene.simulation.world.nowUs < untilUs) await scene.simulation.sleep(50);
}

/** What happens to membership. Promotions and removals follow from who comes and goes. */
export const MEMBERSHIP_EPISODES: Readonly<Partial<Record<FaultKind, Episode<GroupScene>>>> = {
  "late-join": (scene) => scene.joinLate(),
  promotion: leave,
  removal: leave,
  leave,
  close,
  transfer,
  "lost-disk": loseStore("lost-disk"),
  "lost-store": loseStore("lost-store"),
};
