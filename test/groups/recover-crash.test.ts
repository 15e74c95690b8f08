// A member that dies while it begins its group anew, at each call to its disk.
import { deepEqual, notEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import type { Network } from "../../src/network.ts";
import { FileDisk } from "../../src/storage/index.ts";
import { Counter, type Counters, Nodes } from "./nodes.ts";

const ACCEPTED = { acceptDataLoss: true } as const;

function incarnationOf(network: Network): string | undefined {
  return (network.inspect().groups[0] as { incarnation?: string } | undefined)?.incarnation;
}

/** @param at - of the call at which it dies; 0: never. */
async function play(at: number): Promise<{ readonly steps: number; readonly isLater: boolean }> {
  const nodes = new Nodes(at + 1);
  const disk = new FileDisk(nodes.world.random.fork("disk"));
  const start = async (): Promise<Counters> => {
    const storage = disk.storage(nodes.world.env("ada"));
    const network = await nodes.start("ada", { storage, identitySeed: disk.identitySeed });
    return network.groups.join("counter", { expect: 3, machine: Counter });
  };
  return nodes.world.run(async () => {
    const ada = await start();
    const groups = [ada, ...(await nodes.join(["bob", "cyd"], { expect: 3 }))];
    await nodes.within(20_000, Promise.all(groups.map((group) => group.when.online())));
    for (let i = 1; i <= 5; i++) await ada.execute({ add: i });
    nodes.kill("bob");
    nodes.kill("cyd");
    await nodes.within(20_000, ada.when.noQuorum());
    const former = incarnationOf(nodes.network("ada"));
    const from = disk.steps;
    const dead = at === 0 ? new Promise<void>(() => {}) : disk.crashAfter(at);
    const isDone = await Promise.race([ada.recover(ACCEPTED).then(() => true), dead.then(() => false)]);
    const steps = disk.steps - from;
    if (isDone) disk.crash();
    nodes.kill("ada");

    const again = await start();
    await nodes.within(
      20_000,
      nodes.until(() => incarnationOf(nodes.network("ada")) !== undefined),
    );
    const isLater = incarnationOf(nodes.network("ada")) !== former;
    if (isDone) ok(isLater, "what resolved is durable");
    // Nobody is there any more who could say that the others are gone.
    if (!isLater) await nodes.within(10_000, again.recover({ ...ACCEPTED, force: true }));
    await nodes.within(20_000, again.when.online());
    notEqual(incarnationOf(nodes.network("ada")), former);
    deepEqual(await nodes.within(10_000, again.execute({ add: 1 })), { position: 6, result: 16 });
    await nodes.closeAll();
    return { steps, isLater };
  });
}

test("a death at each call to the disk leaves the old group or the new one, and nothing is lost", async () => {
  const { steps } = await play(0);
  ok(steps > 20, `${steps} calls`);
  let [earlier, later] = [0, 0];
  for (let at = 1; at <= steps; at++) {
    try {
      if ((await play(at)).isLater) later++;
      else earlier++;
    } catch (cause) {
      throw new Error(`death at call ${at}`, { cause });
    }
  }
  ok(earlier > 10 && later > 2, `${earlier} and ${later}`);
});
