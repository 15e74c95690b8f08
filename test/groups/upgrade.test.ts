import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { defineMachine, type Group, type OpenOptions, type RoleOptions } from "../../src/groups/index.ts";
import { SimDisk, simStorageFactory } from "../../src/storage/sim-disk.ts";
import { type NodeOptions, type Nodes, scenario } from "./nodes.ts";

// Two versions of one machine. The second one multiplies, and adds twice as much once its version is in force.
const Old = defineMachine("sum", {
  state: () => ({ value: 0 }),
  commands: {
    add: (state, by: number, { version }) => {
      state.value += by;
      return [state.value, version];
    },
  },
  queries: { value: (state) => state.value },
});
const New = defineMachine("sum", {
  version: 2,
  state: () => ({ value: 0 }),
  commands: {
    add: (state, by: number, { version }) => {
      state.value += version === 2 ? 2 * by : by;
      return [state.value, version];
    },
    multiply: (state, by: number) => {
      state.value *= by;
      return state.value;
    },
  },
  queries: { value: (state) => state.value },
});
type Olds = Group<typeof Old>;
type News = Group<typeof New>;

const TUNING = { heartbeatIntervalMs: 100, electionTimeoutMs: 600, promoteAfterMs: 200, removeDeadAfterMs: 2_000 };

/** A node that comes back as the same peer, with its disk, and perhaps with other code. */
class Durable {
  readonly #nodes: Nodes;
  readonly #disks = new Map<string, SimDisk>();

  constructor(nodes: Nodes) {
    this.#nodes = nodes;
  }

  async join<M extends typeof Old | typeof New>(
    name: string,
    machine: M,
    options: RoleOptions & OpenOptions = { expect: 3, tuning: TUNING },
    node: NodeOptions = {},
  ): Promise<Group<M>> {
    const disk = this.#disks.get(name) ?? new SimDisk(name, this.#nodes.world.random.fork(`disk/${name}`));
    this.#disks.set(name, disk);
    const storage = simStorageFactory(disk, this.#nodes.world.env(name));
    const network = await this.#nodes.start(name, { ...node, storage, identitySeed: disk.identitySeed });
    return network.groups.join("sum", { ...options, machine }) as unknown as Group<M>;
  }

  async restart<M extends typeof Old | typeof New>(name: string, machine: M): Promise<Group<M>> {
    await this.#nodes.network(name).close();
    const group = await this.join(name, machine);
    await this.#nodes.within(20_000, group.when.online(), `${name} comes back`);
    return group;
  }
}

const bondsOf = (nodes: Nodes, name: string): number =>
  (nodes.network(name).inspect().groups[0] as { bonds: unknown[] }).bonds.length;
const noBond = (nodes: Nodes): string[] =>
  nodes.log
    .filter(({ message }) => message === "no bond with a member")
    .map(({ node, fields }) => `${node} ${fields.reason}`);

scenario(
  "a machine is upgraded one node at a time; each version leads, and a command comes when all have it",
  async (nodes) => {
    const durable = new Durable(nodes);
    const ada = await durable.join("ada", Old);
    const bob = await durable.join("bob", Old);
    let cyd: Olds | News = await durable.join("cyd", Old);
    await Promise.all([ada, bob, cyd].map((group) => group.when.online()));
    deepEqual((await ada.execute({ add: 1 })).result, [1, 1]);

    // The first new one: what it alone knows is refused by name, whoever leads, and nobody's link suffers.
    const newCyd = await durable.restart("cyd", New);
    cyd = newCyd;
    const others = [nodes.network("ada").peerId, nodes.network("bob").peerId].sort();
    for (const leader of ["cyd", "ada"]) {
      await ada.transferLeadership(nodes.network(leader).peerId);
      await newCyd.when.leaderIs(nodes.network(leader).peerId);
      await rejects(
        newCyd.execute({ multiply: 10 }),
        (error: { code: string; outcome: string; details: { members: string[]; rejected: unknown[] } }) => {
          deepEqual([error.code, error.outcome], ["command-unsupported", "not-applied"]);
          deepEqual([...error.details.members].sort(), others);
          deepEqual(error.details.rejected, [{ multiply: 10 }]);
          return true;
        },
      );
      const before = (await bob.query("value")).result;
      deepEqual((await newCyd.execute({ add: 1 })).result, [before + 1, 1], "the version in force is the old one");
      deepEqual((await ada.execute({ add: 1 })).result, [before + 2, 1]);
    }
    equal(bondsOf(nodes, "cyd"), 2);
    deepEqual(noBond(nodes), []);

    // The others follow. With the last one the new version is in force, on all alike.
    const newBob = await durable.restart("bob", New);
    const newAda = await durable.restart("ada", New);
    await nodes.within(
      10_000,
      nodes.until(() => versionOf(nodes, "ada") === 2 && versionOf(nodes, "bob") === 2),
    );
    const before = (await newAda.query("value")).result;
    equal(before, 5);
    equal((await newCyd.execute({ multiply: 10 })).result, 50);
    deepEqual((await newAda.execute({ add: 1 })).result, [52, 2]);
    for (const group of [newAda, newBob, newCyd]) deepEqual(await group.query("value"), { position: 7, result: 52 });

    // Old code that comes too late is refused, on both sides by name; a late new one is welcome.
    const late = await durable.join("dan", Old);
    await nodes.within(
      10_000,
      nodes.until(() => noBond(nodes).some((line) => line.startsWith("dan"))),
    );
    equal(late.state, "joining");
    ok(
      noBond(nodes).every((line) => line.includes("too old")),
      noBond(nodes).join(),
    );
    const eve = await durable.join("eve", New);
    await nodes.within(20_000, eve.when.online());
    deepEqual(await eve.query("value"), { position: 7, result: 52 });
  },
  [1],
);

const versionOf = (nodes: Nodes, name: string): number | undefined =>
  (nodes.network(name).inspect().groups[0] as { agreed?: { version: number } }).agreed?.version;

scenario(
  "a voter that goes back to old code stores and votes, but applies nothing and takes nothing",
  async (nodes) => {
    const durable = new Durable(nodes);
    const groups: News[] = [];
    for (const name of ["ada", "bob", "cyd"]) groups.push(await durable.join(name, New));
    await Promise.all(groups.map((group) => group.when.online()));
    const [ada, bob] = groups as [News, News, News];
    deepEqual((await ada.execute({ add: 1 })).result, [2, 2]);
    await nodes.network("cyd").close();
    const cyd = await durable.join("cyd", Old);
    await rejects(cyd.execute({ add: 1 }), { code: "machine-failed" });

    // Its vote is needed, and counts.
    nodes.kill("bob");
    deepEqual((await ada.execute({ add: 1 }, { timeoutMs: 20_000 })).result, [4, 2]);
    equal(ada.isLeader, true);
    void bob;
    nodes.log.length = 0;
  },
  [1],
);

scenario(
  "nodes of two protocol versions are in one group, each as leader; tuning differs from node to node",
  async (nodes) => {
    const durable = new Durable(nodes);
    const older = { versionMin: 1, versionMax: 1, features: 0, logFormat: 1 };
    const newer = { versionMin: 1, versionMax: 2, features: 5, logFormat: 2 };
    const codes = { ada: older, bob: newer, cyd: newer };
    const groups: Olds[] = [];
    for (const [i, [name, code]] of Object.entries(codes).entries()) {
      const tuning = { heartbeatIntervalMs: 50 * (i + 1), electionTimeoutMs: 500 * (i + 1) };
      groups.push(await durable.join(name, Old, { expect: 3, tuning }, { code }));
    }
    await Promise.all(groups.map((group) => group.when.online()));
    let sum = 0;
    for (const name of ["ada", "bob", "cyd"]) {
      const { peerId } = nodes.network(name);
      await (groups[0] as Olds).transferLeadership(peerId);
      await Promise.all(groups.map((group) => group.when.leaderIs(peerId)));
      for (const group of groups) deepEqual((await group.execute({ add: 1 })).result, [++sum, 1]);
    }
    const versions = (name: string) =>
      nodes
        .network(name)
        .inspect()
        .links.filter((link) => "protocol" in link && link.protocol === "mosaik/group/1")
        .map((link) => "version" in link && link.version);
    deepEqual(
      [versions("ada"), versions("bob").sort()],
      [
        [1, 1],
        [1, 2],
      ],
    );
    const formats = () =>
      ["ada", "bob", "cyd"].map(
        (name) => (nodes.network(name).inspect().groups[0] as { agreed: { format: number } }).agreed.format,
      );
    deepEqual(formats(), [1, 1, 1], "the log is of the oldest voter's format");

    // The last old one is replaced: the newer format is in force, and code that speaks only a later protocol finds nobody.
    await nodes.network("ada").close();
    const ada = await durable.join("ada", Old, { expect: 3 }, { code: newer });
    await nodes.within(20_000, ada.when.online());
    await nodes.within(
      10_000,
      nodes.until(() => formats().every((format) => format === 2)),
    );
    const strange = { versionMin: 3, versionMax: 4, features: 0, logFormat: 3 };
    const dan = await durable.join("dan", Old, { expect: 3 }, { code: strange });
    await nodes.sleep(3_000);
    equal(dan.state, "joining");
    equal(bondsOf(nodes, "dan"), 0);
  },
  [1],
);
