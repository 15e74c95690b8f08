import { deepEqual, equal, notDeepEqual, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { type Env, SeededRandom, VirtualWorld } from "../env/index.ts";
import { hash } from "../identity/index.ts";
import type { Entry } from "../raft/index.ts";
import { STORAGE_CONFORMANCE } from "./conformance.ts";
import { SimDisk, simStorageFactory } from "./sim-disk.ts";

const GROUP = hash("group");
const entry = (index: number): Entry => ({ index, term: 1, kind: 1, data: Uint8Array.of(index) });
const sleep = (env: Env, ms: number): Promise<void> => new Promise((resolve) => env.after(ms, resolve));

for (const { name, run } of STORAGE_CONFORMANCE) {
  test(`simulated disk: ${name}`, async () => {
    const world = new VirtualWorld({ seed: 1 });
    const disk = new SimDisk("ada", world.random.fork("disk"));
    await world.run(() => run(simStorageFactory(disk, world.env("ada"))));
  });
}

/** Writes one entry at a time, crashes after `crashMs`, and tells what was promised and what is found. */
async function crashRun(seed: number, crashMs: number): Promise<{ promised: number; found: number; lost: number }> {
  const world = new VirtualWorld({ seed });
  const ada = world.node("ada");
  const disk = new SimDisk("ada", world.random.fork("disk"));
  return world.run(async () => {
    let promised = 0;
    const store = await simStorageFactory(disk, ada.env).open(GROUP);
    for (let i = 1; i <= 20; i++) {
      ada.env.after(i, () => {
        void store.append([entry(i)]).then((index) => {
          promised = index;
        });
      });
    }
    await sleep(world.env("sim"), crashMs);
    disk.crash();
    ada.crash();
    const again = await simStorageFactory(disk, ada.env).open(GROUP);
    equal(again.storeId, store.storeId);
    const { length } = await again.getRange(1, 99);
    equal(length, again.last.index, "no gap");
    return { promised, found: length, lost: disk.takeEffects().lost };
  });
}

test("a crash loses what was not synced, and nothing that was", async () => {
  const runs = [];
  for (let seed = 1; seed <= 40; seed++) runs.push(await crashRun(seed, 10));
  ok(runs.every(({ promised, found }) => found >= promised));
  ok(
    runs.some(({ lost }) => lost > 0),
    "some run lost something",
  );
  ok(
    runs.some(({ promised, found }) => found > promised),
    "some run kept what was not promised",
  );
  deepEqual(await crashRun(3, 10), runs[2], "the same seed loses the same");
});

test("a failed sync rejects its changes and all after them; the next life begins with what was durable", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const ada = world.node("ada");
  const steps: string[] = [];
  const disk = new SimDisk("ada", world.random.fork("disk"), (step) => steps.push(step));
  await world.run(async () => {
    const store = await simStorageFactory(disk, ada.env).open(GROUP);
    await store.append([entry(1)]);
    disk.failAfter(0);
    const [two, three] = [store.append([entry(2)]), store.append([entry(3)])];
    await Promise.all([two, three].map((write) => rejects(write, { code: "storage-failed" })));
    await rejects(store.get(1), { code: "storage-failed" });
    await store.close();
    disk.crash();
    ada.crash();
    const again = await simStorageFactory(disk, ada.env).open(GROUP);
    equal(again.last.index, 1);
  });
  deepEqual(steps, ["1 open ok", "2 sync 1 ok", "3 sync 1 EIO", "4 open ok"]);
});

test("a slow disk takes its time", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const disk = new SimDisk("ada", world.random.fork("disk"));
  await world.run(async () => {
    const store = await simStorageFactory(disk, world.env("ada")).open(GROUP);
    disk.setSyncDelay({ fromUs: 500_000, toUs: 500_000 });
    const before = world.nowUs;
    await store.append([entry(1)]);
    equal(world.nowUs - before, 500_000);
  });
});

test("a disk keeps its node's identity; another disk has another", () => {
  const [one, same, other] = [1, 1, 2].map((seed) => new SimDisk("ada", new SeededRandom(seed)).identitySeed);
  deepEqual(one, same);
  notDeepEqual(one, other);
});
