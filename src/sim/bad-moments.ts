import { MosaikError } from "../env/index.ts";
import { isFull, until } from "./disk-episodes.ts";
import type { LastActs } from "./scene.ts";
import type { SimulatedNode } from "./simulation.ts";

/** With a snapshot this often, others forget soon what a node lacks that is away. */
const SNAPSHOT_EVERY_ENTRIES_MAX = 60;
const FORGOTTEN_WITHIN_MS = 10_000;
const FULL_WITHIN_MS = 1_000;
/** More than two segments hold. */
const FILLERS_MAX = 40;
const FILLER = "filler".repeat(1_000);
const RESTORED_WITHIN_MS = 10_000;

/**
 * The last act of a run whose disks fail: one node dies at a moment which random deaths hardly ever meet, for it is short, or its node is somebody
 * else's victim all the while. Whatever it had promised until then must be there when it comes back.
 */
export async function dieAtABadMoment(acts: LastActs): Promise<void> {
  const { simulation, plan, cast, onRestarted, expect } = acts;
  const random = simulation.random.fork("bad-moment");
  const node = cast.victim();
  if (node === undefined) return;
  const canForget = (plan.tuning.snapshotEveryEntries ?? Number.POSITIVE_INFINITY) <= SNAPSHOT_EVERY_ENTRIES_MAX;
  const isInstalling = canForget && random.chance(1, 2);
  const hasCome = isInstalling ? await beginInstalling(acts, node) : await beFull(acts, node);
  await simulation.sleep(random.between(0, isInstalling ? 20 : 500));
  if (hasCome) simulation.faults.count(isInstalling ? "install-death" : "full-death");
  node.crash({ silent: random.chance(1, 2) });
  node.disk.setSyncDelay();
  // Now and then there is no room yet when it starts again.
  const roomAfterMs = random.chance(1, 2) ? 0 : random.between(500, 3_000);
  if (roomAfterMs === 0) node.disk.setRoom();
  await simulation.sleep(random.between(10, 1_000));
  await node.restart();
  onRestarted(node);
  await simulation.sleep(roomAfterMs);
  node.disk.setRoom();
  await expect("who died at a bad moment is online again", () => cast.isOnline(node));
  cast.release(node);
}

/** Its disk takes nothing more, and it has felt that: another one's writes use up what its log still has. */
async function beFull(acts: LastActs, node: SimulatedNode): Promise<boolean> {
  const { simulation, cast } = acts;
  node.disk.setRoom(0);
  for (let value = 0; value < FILLERS_MAX && !isFull(node); value++) {
    const writer = simulation.nodes.find((other) => other !== node && cast.isOnline(other));
    // Under a key that no client has, so that no history is about it.
    const written = writer && cast.groupOf(writer).execute({ write: { key: FILLER, value } }, { timeoutMs: 1_000 });
    await written?.catch((error: unknown) => {
      if (!MosaikError.is(error)) throw error;
    });
    await simulation.sleep(20);
  }
  await until(acts, FULL_WITHIN_MS, () => isFull(node));
  return isFull(node);
}

/** A snapshot has just taken the place of its log in memory, and its disk is slow. */
async function beginInstalling(acts: LastActs, node: SimulatedNode): Promise<boolean> {
  const { simulation, cast, onRestarted } = acts;
  const { invariants } = simulation;
  const last = lastOf(acts, node);
  const others = simulation.nodes.filter((other) => other !== node);
  node.crash();
  await until(acts, FORGOTTEN_WITHIN_MS, () => others.every((other) => baseOf(acts, other) > last));
  await node.restart();
  onRestarted(node);
  node.disk.setSyncDelay({ fromUs: 20_000, toUs: 100_000 });
  const before = invariants.snapshots.restores;
  await until(acts, RESTORED_WITHIN_MS, () => invariants.snapshots.restores > before || cast.isOnline(node));
  return invariants.snapshots.restores > before && node.disk.changesUnderWay > 0;
}

function lastOf({ simulation, cast }: LastActs, node: SimulatedNode): number {
  const member = cast.presentOf(node)?.member;
  return (member && simulation.invariants.logOf(member)?.last) ?? Number.POSITIVE_INFINITY;
}

/** Where its log begins, hence what others can no longer have from it. */
function baseOf({ simulation, cast }: LastActs, node: SimulatedNode): number {
  const member = cast.presentOf(node)?.member;
  return (member && simulation.invariants.logOf(member)?.base) ?? 0;
}
