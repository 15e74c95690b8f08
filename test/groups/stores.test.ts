import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { MosaikError, type Receipt } from "../../src/env/index.ts";
import { hashBytes, type UniqueId } from "../../src/identity/index.ts";
import type { Network } from "../../src/network.ts";
import { SimDisk, type StorageFactory, simStorageFactory } from "../../src/storage/index.ts";
import { Counter, type Counters, type Nodes, scenario } from "./nodes.ts";

/** Nodes whose stores outlive them, and that come back as the same peers. */
class Durables {
  readonly #nodes: Nodes;
  readonly #disks = new Map<string, SimDisk>();

  constructor(nodes: Nodes) {
    this.#nodes = nodes;
  }

  diskOf(name: string): SimDisk {
    const disk = this.#disks.get(name) ?? new SimDisk(name, this.#nodes.world.random.fork(`disk/${name}`));
    this.#disks.set(name, disk);
    return disk;
  }

  /** @param openingMs - how long the opening of its store takes */
  async start(name: string, openingMs = 0): Promise<Counters> {
    const env = this.#nodes.world.env(name);
    const disk = simStorageFactory(this.diskOf(name), env);
    const storage: StorageFactory = {
      isDurable: true,
      open: async (group) => {
        await new Promise<void>((resolve) => env.after(openingMs, resolve));
        return disk.open(group);
      },
    };
    const network = await this.#nodes.start(name, { storage, identitySeed: hashBytes(`identity of ${name}`) });
    return network.groups.join("counter", { expect: 3, machine: Counter });
  }

  async kill(name: string): Promise<void> {
    this.#nodes.kill(name);
    this.diskOf(name).crash();
    await this.#nodes.sleep(500);
  }
}

const NAMES = ["ada", "bob", "cyd"] as const;

function own(network: Network): { readonly id: UniqueId; readonly storeId: string; readonly role: string } {
  const [group] = network.inspect().groups as { id: UniqueId; storeId: string; role: string }[];
  ok(group !== undefined);
  return group;
}

for (const openingMs of [0, 400]) {
  scenario(
    `an older copy of a store is found out also if it takes ${openingMs} ms to open: the others remember what they saw`,
    async (nodes) => {
      const durables = new Durables(nodes);
      const groups: Counters[] = [];
      for (const name of NAMES) groups.push(await durables.start(name));
      await nodes.within(20_000, Promise.all(groups.map((group) => group.when.online())));
      const [ada] = groups as [Counters];
      await ada.execute({ add: 1 });
      const { id, storeId } = own(nodes.network("cyd"));
      const disk = durables.diskOf("cyd");
      const older = disk.image(id)?.clone();

      await durables.kill("cyd");
      await nodes.within(20_000, (await durables.start("cyd")).when.online());
      equal(own(nodes.network("cyd")).storeId, storeId);
      await ada.execute({ add: 1 });

      await durables.kill("cyd");
      disk.setImage(id, older);
      await durables.start("cyd", openingMs);
      await nodes.within(
        20_000,
        nodes.until(() => own(nodes.network("cyd")).storeId !== storeId && own(nodes.network("cyd")).role !== "free"),
      );
      notEqual(own(nodes.network("cyd")).storeId, storeId);
      equal((await nodes.within(20_000, ada.execute({ add: 1 }))).result, 3);
    },
  );
}

scenario("a voter that restarts keeps its vote, however long its store takes to open", async (nodes) => {
  const durables = new Durables(nodes);
  const groups: Counters[] = [];
  for (const name of NAMES) groups.push(await durables.start(name));
  await nodes.within(20_000, Promise.all(groups.map((group) => group.when.online())));
  const [ada] = groups as [Counters];
  await ada.execute({ add: 1 });
  // A spare that would follow a dead voter.
  await durables.start("dan");
  await nodes.sleep(5_000);

  await durables.kill("cyd");
  await durables.start("cyd", 3_000);
  await nodes.sleep(8_000);
  equal(own(nodes.network("cyd")).role, "voter");
  ok(nodes.log.every(({ message }) => message !== "a voter is removed"));
});

/** The receipt of a call that must end in the unknown. */
async function receiptOf(call: Promise<unknown>): Promise<Receipt> {
  const error = await call.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  ok(MosaikError.is(error, "outcome-unknown"), String(error));
  return error.details.receipt;
}

scenario(
  "a receipt outlives all processes: each member knows what became of the command, and says so for good",
  async (nodes) => {
    const durables = new Durables(nodes);
    const groups: Counters[] = [];
    for (const name of NAMES) groups.push(await durables.start(name));
    await nodes.within(20_000, Promise.all(groups.map((group) => group.when.online())));
    const leads = groups.findIndex(({ isLeader }) => isLeader);
    const owner = NAMES[(leads + 1) % 3] as string;
    const others = NAMES.filter((name) => name !== owner);
    const away = groups[(leads + 1) % 3] as Counters;
    await away.execute({ add: 1 });

    // One command arrives, its answer does not; the next one does not even arrive.
    nodes.deafen([owner], others);
    const applied = await receiptOf(away.execute({ add: 10 }, { timeoutMs: 300 }));
    await nodes.within(
      1_000,
      nodes.until(() => groups[leads]?.position === 2),
    );
    nodes.cut([owner], others);
    const lost = await receiptOf(away.execute({ add: 100 }, { timeoutMs: 300 }));
    for (const name of NAMES) nodes.kill(name);
    nodes.heal();
    for (const name of NAMES) durables.diskOf(name).crash();
    await nodes.sleep(500);

    const again: Counters[] = [];
    for (const name of NAMES) again.push(await durables.start(name));
    await nodes.within(20_000, Promise.all(again.map((group) => group.when.online())));
    // The owner is another process now: with its next session the former one ends.
    const [first] = again as [Counters];
    const owners = again[(leads + 1) % 3] as Counters;
    equal((await nodes.within(20_000, owners.execute({ add: 1_000 }))).result, 1_011);
    for (const group of again) {
      deepEqual(await nodes.within(20_000, group.outcomeOf(applied)), { position: 2, result: undefined });
      equal(await nodes.within(20_000, group.outcomeOf(lost)), undefined);
    }
    deepEqual(await first.query("value", { consistency: "strong" }), { position: 3, result: 1_011 });
  },
);
