import { FileDisk } from "../storage/index.ts";
import type { LastActs } from "./scene.ts";
import type { SimulatedNode } from "./simulation.ts";

/**
 * In some runs an operator puts an older copy of a node's disk back, of a time before its last start. While all are well: the others must have seen that start,
 * and still know of it, for that is all that tells the copy from the store that it was. It must be set aside, and take part in nothing.
 */
export async function rollBack(acts: LastActs): Promise<void> {
  const { simulation, plan, cast, onRestarted, expect } = acts;
  const random = simulation.random.fork("rollback");
  // Of two voters none can be spared.
  if (!plan.isDurable || plan.style === "rivals" || !random.chance(1, 4)) return;
  const node = cast.loser();
  if (node === undefined || !(node.disk instanceof FileDisk)) return;
  // Not silently: whoever still has a connection to its former life has not seen the next one.
  node.crash();
  const copy = node.disk.copy();
  await simulation.sleep(random.between(10, 1_000));
  await node.restart();
  onRestarted(node);
  await expect("all see who came back", () => isSeenByAll(acts, node));
  await simulation.sleep(random.between(10, 1_000));

  cast.release(node);
  if (!isSeenByAll(acts, node) || cast.loser(node) === undefined) return;
  const member = cast.presentOf(node)?.member;
  if (member === undefined) return cast.release(node);
  node.crash();
  simulation.trace.add(node.name, "gets an older copy of its disk");
  cast.noteLoss(node);
  simulation.invariants.distrust(member);
  node.disk.putBack(copy);
  await node.restart();
  cast.noteStore(node);
  onRestarted(node);
  await expect("who was rolled back starts over", () => cast.isOnline(node) && cast.presentOf(node) !== undefined);
  cast.release(node);
  simulation.faults.count("rolled-back");
}

function isSeenByAll({ simulation, cast }: LastActs, node: SimulatedNode): boolean {
  return simulation.nodes.every((other) => {
    if (!cast.isOnline(other)) return false;
    const known = cast.groupOf(other).members.find(({ id }) => id === node.peerId);
    return other === node || known?.isConnected === true;
  });
}
