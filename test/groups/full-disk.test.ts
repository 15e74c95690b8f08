import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { MosaikError } from "../../src/env/index.ts";
import { FileDisk, type NodeDisk, SimDisk } from "../../src/storage/index.ts";
import { Counter, type Counters, counted, type Nodes, scenario } from "./nodes.ts";

const NAMES = ["ada", "bob", "cyd"] as const;
const TUNING = { snapshotEveryEntries: 1_000 };

/** Nodes on disks that may be full. */
class Disks {
  readonly #nodes: Nodes;
  readonly #disks = new Map<string, NodeDisk>();
  readonly #make: (name: string) => NodeDisk;

  constructor(nodes: Nodes, kind: "files" | "simple" = "files") {
    this.#nodes = nodes;
    const { random } = nodes.world;
    this.#make = (name) =>
      kind === "files" ? new FileDisk(random.fork(`disk/${name}`)) : new SimDisk(name, random.fork(`disk/${name}`));
  }

  of(name: string): NodeDisk {
    const disk = this.#disks.get(name) ?? this.#make(name);
    this.#disks.set(name, disk);
    return disk;
  }

  async start(name: string, expect: number): Promise<Counters> {
    const network = await this.#nodes.start(name, { disk: this.of(name) });
    return network.groups.join("counter", { expect, machine: Counter, tuning: TUNING });
  }

  async online(names: readonly string[]): Promise<Counters[]> {
    const groups: Counters[] = [];
    for (const name of names) groups.push(await this.start(name, names.length));
    await this.#nodes.within(20_000, Promise.all(groups.map((group) => group.when.online())));
    await groups[0]?.execute({ add: 1 });
    return groups;
  }

  fill(...names: readonly string[]): void {
    for (const name of names) this.of(name).setRoom(0);
  }

  empty(...names: readonly string[]): void {
    for (const name of names) this.of(name).setRoom();
  }
}

function isFull(nodes: Nodes, name: string): boolean {
  const [group] = nodes.network(name).inspect().groups as { isFull: boolean }[];
  return group?.isFull === true;
}

const soon = (nodes: Nodes, condition: () => boolean): Promise<void> => nodes.within(20_000, nodes.until(condition));

/** More than a log has room for that cannot grow. Each ends: some may be refused. */
async function pad(group: Counters, count = 60): Promise<PromiseSettledResult<unknown>[]> {
  const text = "x".repeat(1_000);
  return Promise.allSettled(Array.from({ length: count }, () => group.execute({ note: text }, { timeoutMs: 20_000 })));
}

function leaderOf(groups: readonly Counters[]): Counters {
  const leader = groups.find(({ isLeader }) => isLeader);
  ok(leader !== undefined);
  return leader;
}

for (const kind of ["files", "simple"] as const) {
  scenario(
    `a leader without room hands over; nothing is lost, and with room it catches up (${kind})`,
    async (nodes) => {
      const disks = new Disks(nodes, kind);
      const groups = await disks.online(NAMES);
      const full = leaderOf(groups);
      const name = NAMES[groups.indexOf(full)] as string;
      const before = full.position;
      disks.fill(name);
      // Also what it had appended when it learnt that it cannot write it: the others have it.
      const outcomes = await pad(full);
      deepEqual(
        outcomes.filter(({ status }) => status === "rejected"),
        [],
      );
      await soon(nodes, () => !full.isLeader);
      ok(isFull(nodes, name));
      match(nodes.network(name).metrics(), /mosaik_groups_storage_full\{[^}]*\} 1/);
      equal((await full.execute({ add: 10 })).result, 11);
      equal(await counted(full, "strong"), 11);
      equal(full.position, before + 61);

      disks.empty(name);
      await soon(nodes, () => !isFull(nodes, name));
      const messages = nodes.log.filter(({ node }) => node === name).map(({ level, message }) => `${level} ${message}`);
      ok(messages.includes("warn the disk has no room; what is to be written waits for it"), messages.join("\n"));
      ok(messages.includes("info the disk has room again"));
      // Its log is whole: it can be the majority now.
      const others = groups.filter((group) => group !== full);
      nodes.kill(NAMES[groups.indexOf(others[0] as Counters)] as string);
      await nodes.within(20_000, full.execute({ add: 1 }));
      equal(await counted(full, "strong"), 12);
    },
  );
}

scenario("without room on most disks commands are refused and handed back, and reads are served", async (nodes) => {
  const disks = new Disks(nodes);
  const groups = await disks.online(NAMES);
  const healthy = leaderOf(groups);
  const full = NAMES.filter((_, i) => groups[i] !== healthy);
  disks.fill(...full);
  void pad(healthy, 40);
  await soon(nodes, () => full.every((name) => isFull(nodes, name)));
  for (const group of groups) {
    const error = await group.execute({ add: 5 }).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    ok(MosaikError.is(error, "storage-full"), String(error));
    equal(error.outcome, "not-applied");
    deepEqual(error.details.rejected, [{ add: 5 }]);
    equal(await counted(group, "weak"), 1);
    equal(await counted(group, "strong"), 1);
  }
  disks.empty(full[0] as string);
  await soon(nodes, () => !isFull(nodes, full[0] as string));
  for (const group of groups) await nodes.within(10_000, group.execute({ add: 5 }));
  disks.empty(full[1] as string);
  await soon(nodes, () => groups.every((group) => group.position === healthy.position));
  equal(await counted(groups[0] as Counters, "strong"), 16);
});

scenario("a member alone without room refuses what it cannot write, and goes on with room", async (nodes) => {
  const disks = new Disks(nodes);
  const [ada] = (await disks.online(["ada"])) as [Counters];
  disks.fill("ada");
  const padding = pad(ada, 40);
  await soon(nodes, () => isFull(nodes, "ada"));
  ok(ada.isLeader);
  await rejects(ada.execute({ add: 1 }), (error) => {
    ok(MosaikError.is(error, "storage-full"));
    match(error.details.path, /groups/);
    return true;
  });
  equal(await counted(ada, "strong"), 1);
  disks.empty("ada");
  // What was sent before stays sent: none of it was refused, and all of it is applied.
  const outcomes = await padding;
  ok(outcomes.every(({ status }) => status === "fulfilled") || ada.position <= 41);
  equal((await ada.execute({ add: 1 })).result, 2);
});

scenario("a member without room votes, and answers its new leader", async (nodes) => {
  const disks = new Disks(nodes);
  const groups = await disks.online([...NAMES, "dan", "eve"]);
  const names = [...NAMES, "dan", "eve"] as const;
  const leader = leaderOf(groups);
  const full = names.filter((_, i) => groups[i] !== leader).slice(0, 2);
  disks.fill(...full);
  await pad(leader);
  ok(full.every((name) => isFull(nodes, name)));
  // Three are left to vote, two of them full: the third leads, and hears the full ones in its new term.
  const third = names.find((name, i) => groups[i] !== leader && !full.includes(name)) as string;
  nodes.kill(names[groups.indexOf(leader)] as string);
  nodes.kill(names.find((name, i) => groups[i] !== leader && !full.includes(name) && name !== third) as string);
  const next = groups[names.indexOf(third as "ada")] as Counters;
  await nodes.within(20_000, next.when.isLeader()).catch(() => undefined);
  await soon(nodes, () => next.leader !== undefined);
  await nodes.sleep(5_000);
  const { term } = next;
  await nodes.sleep(5_000);
  equal(next.term, term, "it is no reason for elections that disks are full");
  disks.empty(...full);
  await nodes.within(20_000, next.execute({ add: 1 }));
});

scenario("a member whose store finds no room waits for it, and joins then", async (nodes) => {
  const disks = new Disks(nodes);
  disks.fill("bob");
  const ada = await disks.start("ada", 2);
  const bob = await disks.start("bob", 2);
  await nodes.sleep(5_000);
  equal(bob.state, "joining");
  ok(isFull(nodes, "bob"));
  await rejects(bob.execute({ add: 1 }, { timeoutMs: 500 }), { code: "group-offline", outcome: "not-applied" });
  disks.empty("bob");
  await nodes.within(30_000, Promise.all([ada.when.online(), bob.when.online()]));
  equal((await bob.execute({ add: 2 })).result, 2);
});

scenario(
  "a group whose store cannot be bound for want of room closes at once, and leaves nothing half",
  async (nodes) => {
    const disks = new Disks(nodes, "simple");
    disks.of("ada").setRoom(100);
    const ada = await disks.start("ada", 1);
    await nodes.sleep(5_000);
    equal(ada.state, "joining");
    ok(isFull(nodes, "ada"));
    await ada.close();
    disks.empty("ada");
    const again = nodes.network("ada").groups.join("counter", { expect: 1, machine: Counter });
    await nodes.within(10_000, again.execute({ add: 1 }));
  },
);

scenario("who lacks what is cut from all logs gets a snapshot once there is room for it", async (nodes) => {
  const disks = new Disks(nodes);
  const groups: Counters[] = [];
  for (const name of NAMES) {
    const network = await nodes.start(name, { disk: disks.of(name) });
    groups.push(network.groups.join("counter", { expect: 3, machine: Counter, tuning: { snapshotEveryEntries: 8 } }));
  }
  await nodes.within(20_000, Promise.all(groups.map((group) => group.when.online())));
  const leader = leaderOf(groups);
  const name = NAMES.find((_, i) => groups[i] !== leader) as string;
  disks.fill(name);
  await pad(leader);
  await soon(nodes, () => isFull(nodes, name));
  nodes.cut(
    [name],
    NAMES.filter((other) => other !== name),
  );
  for (let i = 0; i < 60; i++) await leader.execute({ add: 1 });
  nodes.heal();
  await nodes.sleep(5_000);
  disks.empty(name);
  await soon(nodes, () => groups.every(({ position }) => position === leader.position));
  await soon(nodes, () => !isFull(nodes, name));
});
