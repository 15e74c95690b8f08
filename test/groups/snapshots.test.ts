import { deepEqual, equal, ok } from "node:assert/strict";
import { defineMachine, type Group, type OpenOptions, type RoleOptions } from "../../src/groups/index.ts";
import type { Network } from "../../src/network.ts";
import { SimDisk } from "../../src/storage/index.ts";
import { Counter, type Counters, counted, type Nodes, scenario } from "./nodes.ts";

/** A map whose snapshot is left to the library, and in which one command can do much. */
const Shop = defineMachine("shop", {
  state: () => ({ items: new Map<string, string>(), puts: 0 }),
  commands: {
    put: (shop, [key, value]: readonly [string, string]) => {
      shop.items.set(key, value);
      shop.puts++;
    },
    fill: (shop, { from, count, text }: { from: number; count: number; text: string }) => {
      for (let i = from; i < from + count; i++) shop.items.set(`key ${i}`, `${text} ${i}`);
      shop.puts += count;
    },
    clear: (shop) => shop.items.clear(),
  },
  queries: {
    size: (shop) => shop.items.size,
    get: (shop, key: string) => shop.items.get(key),
    all: (shop) => ({ puts: shop.puts, items: [...shop.items] }),
  },
});
type Shops = Group<typeof Shop>;

interface Inspected {
  readonly raft: { readonly base: { readonly index: number }; readonly snapshotIndex: number };
  readonly snapshots: { readonly fetched: number; readonly replaced: number; readonly refused: number };
}

const inspect = (network: Network): Inspected => network.inspect().groups[0] as Inspected;
const tuning = { snapshotEveryEntries: 16 };
const options = (expect: number): RoleOptions & OpenOptions => ({ expect, tuning });

async function shops(nodes: Nodes, names: readonly string[], role: RoleOptions & OpenOptions): Promise<Shops[]> {
  const groups: Shops[] = [];
  for (const name of names) {
    groups.push((await nodes.start(name)).groups.join("shop", { ...role, machine: Shop }));
  }
  await Promise.all(groups.map((group) => group.when.online()));
  return groups;
}

const all = async (group: Shops): Promise<unknown> => (await group.query("all", { consistency: "weak" })).result;
const namesOf = { ada: 0, bob: 1, cyd: 2 } as const;

scenario("logs are compacted on all members, and a laggard gets a snapshot", async (nodes) => {
  const groups = await nodes.online(["ada", "bob", "cyd"], options(3));
  await (groups[0] as Counters).execute({ add: 1 });
  const names = ["ada", "bob", "cyd"] as const;
  const behind = names.find((name) => groups[namesOf[name]]?.isLeader === false) as "ada" | "bob" | "cyd";
  const others = names.filter((name) => name !== behind);
  const laggard = groups[namesOf[behind]] as Counters;
  const writer = groups.find((group) => group !== laggard) as Counters;
  const watched: string[] = [];
  const watch = laggard.watch();
  void (async () => {
    for await (const item of watch) watched.push(item.type);
  })();

  nodes.cut([behind], others);
  for (let i = 0; i < 100; i++) await writer.execute({ add: 1 });
  for (const name of others) {
    const { base, snapshotIndex } = inspect(nodes.network(name)).raft;
    ok(base.index >= 60 && snapshotIndex >= base.index, `${name} begins at ${base.index}`);
    equal(snapshotIndex % 16, 0);
  }
  // Until its connections are given up: what is on its way would come after all.
  await nodes.sleep(12_000);
  nodes.heal();
  await nodes.within(10_000, laggard.when.reaches(101));
  equal(await counted(laggard), 101);
  equal(inspect(nodes.network(behind)).snapshots.fetched, 1);
  ok(watched.includes("reset"));
  equal((await laggard.execute({ add: 1 })).result, 102);
  equal(laggard.position, 102);
});

scenario("a reader that comes late is given a snapshot and what follows it, and so is one after it", async (nodes) => {
  const [ada] = (await shops(nodes, ["ada"], options(1))) as [Shops];
  for (let i = 0; i < 10; i++) await ada.execute({ fill: { from: i * 1_000, count: 1_000, text: "value" } });
  for (let i = 0; i < 60; i++) await ada.execute({ put: [`late ${i}`, "x"] });
  const [bob] = (await shops(nodes, ["bob"], { leadership: "observer", tuning })) as [Shops];
  equal((await bob.query("size")).result, 10_060);
  deepEqual(await all(bob), await all(ada));
  equal(inspect(nodes.network("bob")).snapshots.fetched, 1);
  ok(inspect(nodes.network("bob")).raft.base.index > 0);
  const [cyd] = (await shops(nodes, ["cyd"], { leadership: "observer", tuning })) as [Shops];
  deepEqual(await all(cyd), await all(ada));
});

scenario("snapshots of one place are equal on all members, byte for byte", async (nodes) => {
  const disks = ["ada", "bob", "cyd"].map((name) => new SimDisk(name, nodes.world.random.fork(name)));
  const groups: Shops[] = [];
  for (const disk of disks) {
    const network = await nodes.start(disk.name, { disk });
    groups.push(network.groups.join("shop", { ...options(3), machine: Shop }));
  }
  await Promise.all(groups.map((group) => group.when.online()));
  const writes = Array.from({ length: 40 }, (_, i) => (groups[i % 3] as Shops).execute({ put: [`${i % 7}`, `${i}`] }));
  await Promise.all(writes);
  await nodes.until(() => groups.every(({ position }) => position === 40));
  for (let i = 0; i < 40; i++) await (groups[i % 3] as Shops).execute({ put: [`${i}`, `${i}`] });
  await nodes.until(() => groups.every(({ position }) => position === 80));
  await nodes.sleep(1_000);
  const snapshots = disks.map((disk) => disk.image((groups[0] as Shops).id)?.snapshot);
  const [first] = snapshots;
  ok(first !== undefined && first.index >= 32);
  for (const snapshot of snapshots) deepEqual(snapshot, first);
});

scenario("all members restart from snapshots and what follows them, and go on", async (nodes) => {
  const disks = ["ada", "bob", "cyd"].map((name) => new SimDisk(name, nodes.world.random.fork(name)));
  const start = async (): Promise<Counters[]> => {
    const groups: Counters[] = [];
    for (const disk of disks) {
      const network = await nodes.start(disk.name, { disk });
      groups.push(network.groups.join("counter", { ...options(3), machine: Counter }));
    }
    await Promise.all(groups.map((group) => group.when.online()));
    return groups;
  };
  let groups = await start();
  for (let life = 0; life < 3; life++) {
    for (let i = 0; i < 50; i++) await (groups[i % 3] as Counters).execute({ add: 1 });
    for (const disk of disks) nodes.kill(disk.name);
    for (const disk of disks) disk.crash();
    groups = await start();
    for (const group of groups) equal((await group.query("value")).result, 50 * (life + 1));
    ok(disks.every((disk) => inspect(nodes.network(disk.name)).raft.base.index > 0));
  }
});
