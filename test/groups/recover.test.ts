import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { MosaikError, mosaikError } from "../../src/env/index.ts";
import type { UniqueId } from "../../src/identity/index.ts";
import { SimDisk, type StorageFactory } from "../../src/storage/index.ts";
import { Counter, type Counters, expectErrors, type Nodes, scenario } from "./nodes.ts";

interface Inspected {
  readonly last: { readonly index: number; readonly term: number };
  readonly storeId: string;
  readonly incarnation: UniqueId;
  readonly role: string;
  readonly voters: readonly string[];
  readonly rivals: readonly UniqueId[];
  readonly origins: readonly { readonly incarnation: UniqueId; readonly position: number }[];
}

/** Nodes whose stores outlive them, and that come back as the same peers. */
class Cast {
  readonly nodes: Nodes;
  readonly #disks = new Map<string, SimDisk>();

  constructor(nodes: Nodes) {
    this.nodes = nodes;
  }

  /** @param bootstrap - instead of all who were there before */
  async start(name: string, bootstrap?: readonly string[]): Promise<Counters> {
    const disk = this.#disks.get(name) ?? new SimDisk(name, this.nodes.world.random.fork(`disk/${name}`));
    this.#disks.set(name, disk);
    const network = await this.nodes.start(name, bootstrap === undefined ? { disk } : { disk, bootstrap });
    return network.groups.join("counter", { expect: 3, machine: Counter });
  }

  /** A group of these, online. */
  async group<const Name extends string>(names: readonly Name[]): Promise<Record<Name, Counters>> {
    const groups: [Name, Counters][] = [];
    for (const name of names) groups.push([name, await this.start(name)]);
    await this.nodes.within(20_000, Promise.all(groups.map(([, group]) => group.when.online())));
    return Object.fromEntries(groups) as Record<Name, Counters>;
  }

  /** Its store and its identity are gone. */
  lose(...names: readonly string[]): void {
    this.kill(...names);
    for (const name of names) this.#disks.delete(name);
  }

  kill(...names: readonly string[]): void {
    for (const name of names) {
      this.nodes.kill(name);
      this.#disks.get(name)?.crash();
    }
  }

  inspect(name: string): Inspected {
    return this.nodes.network(name).inspect().groups[0] as unknown as Inspected;
  }
}

const ACCEPTED = { acceptDataLoss: true } as const;
const play = (title: string, scene: (cast: Cast, nodes: Nodes) => Promise<void>): void =>
  scenario(title, (nodes) => scene(new Cast(nodes), nodes), [1, 2, 3]);
const countOf = async (group: Counters): Promise<number> => (await group.query("value")).result;

play("a survivor begins the group anew: nothing it held is lost, and others join it and vote", async (cast, nodes) => {
  const { ada } = await cast.group(["ada", "bob", "cyd"]);
  for (let i = 1; i <= 20; i++) await ada.execute({ add: i });
  const before = cast.inspect("ada");
  const term = ada.term;
  cast.kill("bob", "cyd");
  await nodes.within(20_000, ada.when.noQuorum());
  equal((await ada.query("value", { consistency: "weak" })).result, 210);

  await nodes.within(10_000, ada.recover(ACCEPTED));
  await nodes.within(10_000, ada.when.online());
  const after = cast.inspect("ada");
  notEqual(after.storeId, before.storeId);
  notEqual(after.incarnation, before.incarnation);
  deepEqual(
    after.origins.map(({ incarnation, position }) => [incarnation, position]),
    [[before.incarnation, 20]],
  );
  equal(after.voters.length, 1);
  ok(ada.term > term);
  deepEqual(await ada.execute({ add: 1 }), { position: 21, result: 211 });
  const line = nodes.log.find(({ message }) => message.startsWith("recovered:"));
  deepEqual([line?.level, line?.fields.succeeds, line?.fields.position], ["warn", before.incarnation, 20]);

  const dan = await cast.start("dan");
  const eve = await cast.start("eve");
  await nodes.within(
    30_000,
    nodes.until(() => cast.inspect("ada").voters.length === 3),
  );
  cast.kill("ada");
  equal((await nodes.within(30_000, dan.execute({ add: 1 }))).result, 212);
  equal(await countOf(eve), 212);
});

play(
  "a member of the former incarnation returns, and starts over in the one that holds all of its log",
  async (cast, nodes) => {
    const { ada } = await cast.group(["ada", "bob", "cyd"]);
    await ada.execute({ add: 5 });
    cast.kill("bob", "cyd");
    await nodes.within(20_000, ada.when.noQuorum());
    await nodes.within(10_000, ada.recover(ACCEPTED));
    await ada.execute({ add: 6 });

    const bob = await cast.start("bob");
    await nodes.within(20_000, bob.when.online());
    equal(cast.inspect("bob").incarnation, cast.inspect("ada").incarnation);
    equal(await countOf(bob), 11);
    deepEqual(cast.inspect("ada").rivals, []);
    const cyd = await cast.start("cyd");
    await nodes.within(
      30_000,
      nodes.until(() => cast.inspect("ada").voters.length === 3),
    );
    equal(await countOf(cyd), 11);
  },
);

play("voters that come back without their stores are strangers: no majority, and no obstacle", async (cast, nodes) => {
  const { ada } = await cast.group(["ada", "bob", "cyd"]);
  await ada.execute({ add: 5 });
  cast.lose("bob", "cyd");
  const bob = await cast.start("bob");
  const cyd = await cast.start("cyd");
  await nodes.within(20_000, ada.when.noQuorum());
  await nodes.sleep(5_000);
  equal(ada.state, "no-quorum");
  await nodes.within(10_000, ada.recover(ACCEPTED));
  await nodes.within(
    60_000,
    nodes.until(() => cast.inspect("ada").voters.length === 3),
  );
  equal(await countOf(bob), 5);
  equal((await cyd.execute({ add: 1 })).result, 6);
});

play("all that restart later find the new incarnation in their stores", async (cast, nodes) => {
  const { ada } = await cast.group(["ada", "bob", "cyd"]);
  await ada.execute({ add: 5 });
  cast.kill("bob", "cyd");
  await nodes.within(20_000, ada.when.noQuorum());
  await nodes.within(10_000, ada.recover(ACCEPTED));
  await ada.execute({ add: 6 });
  const { incarnation, storeId } = cast.inspect("ada");
  cast.kill("ada");
  const again = await cast.start("ada");
  await nodes.within(20_000, again.when.online());
  deepEqual([cast.inspect("ada").incarnation, cast.inspect("ada").storeId], [incarnation, storeId]);
  equal(await countOf(again), 11);
});

play(
  "it is refused while a leader or a majority is in sight, and to who has nothing to begin from",
  async (cast, nodes) => {
    const { ada, bob, cyd } = await cast.group(["ada", "bob", "cyd"]);
    await ada.execute({ add: 5 });
    for (const group of [ada, bob, cyd])
      await rejects(group.recover(ACCEPTED), {
        code: "recover-refused",
        details: {
          reason: "leader",
          peers: group.isLeader ? [] : [ada, bob, cyd].filter(({ isLeader }) => isLeader).map(({ leader }) => leader),
        },
      });
    await rejects(ada.recover({} as never), { code: "bad-option" });
    const observer = (await nodes.start("dan")).groups.join("counter", { leadership: "observer", machine: Counter });
    await observer.when.online();
    await rejects(observer.recover(ACCEPTED), { details: { reason: "observer", peers: [] } });
    const lone = (await nodes.start("eve")).groups.join("other", { expect: 3, machine: Counter });
    await nodes.sleep(2_000);
    await rejects(lone.recover(ACCEPTED), { details: { reason: "no-log", peers: [] } });
    equal((await ada.execute({ add: 1 })).result, 6);
  },
);

/** All restart, and each asks as soon as it has joined. */
async function askAtOnce(cast: Cast, nodes: Nodes, bootstrap?: readonly string[]): Promise<void> {
  const names = ["ada", "bob", "cyd"] as const;
  const { ada } = await cast.group(names);
  await ada.execute({ add: 5 });
  const { incarnation } = cast.inspect("ada");
  cast.kill(...names);
  const groups: Counters[] = [];
  const reasons: Promise<unknown>[] = [];
  for (const name of names) {
    const group = await cast.start(name, name === "ada" ? bootstrap : undefined);
    groups.push(group);
    reasons.push(
      group.recover(ACCEPTED).then(
        () => "recovered",
        (cause: unknown) => (MosaikError.is(cause, "recover-refused") ? cause.details.reason : cause),
      ),
    );
    // Machines do not start in the same moment.
    await nodes.sleep(200);
  }
  for (const reason of await nodes.within(10_000, Promise.all(reasons)))
    ok(reason === "majority" || reason === "leader", String(reason));
  await nodes.within(20_000, Promise.all(groups.map((group) => group.when.online())));
  equal(cast.inspect("cyd").incarnation, incarnation);
  equal(await countOf(groups[2] as Counters), 5);
}

play("called at once after a restart of all, it waits until it sees the others, and is refused", askAtOnce);
play("so it is on a node that looks for nobody, but is found", (cast, nodes) => askAtOnce(cast, nodes, []));

play("started again alone, it says that there is no quorum, and is begun anew only by force", async (cast, nodes) => {
  const { ada } = await cast.group(["cyd", "bob", "ada"]);
  await ada.execute({ add: 5 });
  // It may have applied what is on the disks of the two others alone, yet.
  await nodes.sleep(1_000);
  cast.kill("ada", "bob", "cyd");
  const again = await cast.start("ada");
  equal(again.state, "joining");
  await rejects(nodes.within(15_000, again.recover(ACCEPTED)), {
    code: "recover-refused",
    outcome: "not-applied",
    details: { reason: "no-answer", peers: [] },
  });
  await nodes.within(5_000, again.when.noQuorum());
  await nodes.within(10_000, again.recover({ ...ACCEPTED, force: true }));
  await nodes.within(10_000, again.when.online());
  equal(await countOf(again), 5);
});

play("forced, it waits for its own store all the same, and for no longer than its signal", async (cast, nodes) => {
  const { ada } = await cast.group(["cyd", "bob", "ada"]);
  await ada.execute({ add: 5 });
  cast.kill("ada", "bob", "cyd");
  const again = await cast.start("ada");
  const controller = new AbortController();
  const aborted = rejects(again.recover({ ...ACCEPTED, signal: controller.signal }), { name: "AbortError" });
  await nodes.sleep(100);
  controller.abort();
  await aborted;
  cast.kill("ada");
  await nodes.within(10_000, (await cast.start("ada")).recover({ ...ACCEPTED, force: true }));
});

const RIVAL = "rival-incarnation: this group exists twice, and both serve; set one aside with `discard`";
const FIVE = ["ada", "bob", "cyd", "dan", "eve"] as const;

/** A group of five voters. */
async function five(cast: Cast): Promise<Record<(typeof FIVE)[number], Counters>> {
  const { nodes } = cast;
  const groups = {
    ...(await cast.group(["ada", "bob", "cyd"])),
    dan: await cast.start("dan"),
    eve: await cast.start("eve"),
  };
  await nodes.within(
    30_000,
    nodes.until(() => cast.inspect("ada").voters.length === 5),
  );
  await groups.ada.execute({ add: 1 });
  await nodes.within(
    5_000,
    nodes.until(() => FIVE.every((name) => groups[name].position === 1)),
  );
  return groups;
}

play("it is refused in sight of a newer log; recovered there, the other one starts over", async (cast, nodes) => {
  const { ada } = await five(cast);
  cast.kill("eve");
  await nodes.within(20_000, ada.execute({ add: 10 }));
  await nodes.sleep(1_000);
  cast.kill("ada", "bob", "cyd", "dan");
  const dan = await cast.start("dan");
  const eve = await cast.start("eve");
  await nodes.sleep(5_000);
  await rejects(eve.recover(ACCEPTED), {
    code: "recover-refused",
    outcome: "not-applied",
    details: { reason: "newer-log", peers: [nodes.network("dan").peerId] },
  });
  await nodes.within(10_000, dan.recover(ACCEPTED));
  await nodes.within(
    20_000,
    nodes.until(() => eve.position === 2),
  );
  equal(await countOf(eve), 11);
  equal(cast.inspect("eve").incarnation, cast.inspect("dan").incarnation);
});

play("forced, it begins from an older log: the newer one stays, and is a rival", async (cast, nodes) => {
  expectErrors(nodes, RIVAL);
  const { ada } = await five(cast);
  cast.kill("eve");
  await nodes.within(20_000, ada.execute({ add: 10 }));
  await nodes.sleep(1_000);
  cast.kill("ada", "bob", "cyd", "dan");
  await cast.start("dan");
  const eve = await cast.start("eve");
  await nodes.sleep(5_000);
  await nodes.within(10_000, eve.recover({ ...ACCEPTED, force: true }));
  await nodes.within(10_000, eve.when.rival());
  await nodes.sleep(15_000);
  const [newer, begun] = [cast.inspect("dan"), cast.inspect("eve")];
  equal(begun.origins[0]?.incarnation, newer.incarnation);
  ok(newer.last.term > 0 && newer.last.index > 0);
  equal((await eve.execute({ add: 5 })).result, 6);
});

play("two survivors that are forced to recover at once are rivals, and both serve", async (cast, nodes) => {
  expectErrors(nodes, RIVAL, RIVAL);
  const { dan, eve } = await five(cast);
  cast.kill("ada", "bob", "cyd");
  await nodes.within(20_000, Promise.all([dan.when.noQuorum(), eve.when.noQuorum()]));
  const forced = { ...ACCEPTED, force: true } as const;
  await nodes.within(10_000, Promise.all([dan.recover(forced), eve.recover(forced)]));
  await nodes.within(10_000, Promise.all([dan.when.rival(), eve.when.rival()]));
  equal((await nodes.within(10_000, dan.execute({ add: 10 }))).result, 11);
  equal((await nodes.within(10_000, eve.execute({ add: 100 }))).result, 101);
  // Each looks once a second.
  await nodes.sleep(2_000);
});

play("a survivor that sees another one recovered does not, and starts over there", async (cast, nodes) => {
  const { dan, eve } = await five(cast);
  cast.kill("ada", "bob", "cyd");
  await nodes.within(20_000, Promise.all([dan.when.noQuorum(), eve.when.noQuorum()]));
  await nodes.within(10_000, dan.recover(ACCEPTED));
  await nodes.sleep(10);
  await rejects(eve.recover(ACCEPTED), {
    code: "recover-refused",
    outcome: "not-applied",
    details: { reason: "recovered", peers: [nodes.network("dan").peerId] },
  });
  await nodes.within(30_000, eve.when.online());
  equal(cast.inspect("eve").incarnation, cast.inspect("dan").incarnation);
});

play("what was not committed is carried over, and a command under way is applied once", async (cast, nodes) => {
  const { ada, bob, cyd } = await cast.group(["ada", "bob", "cyd"]);
  await ada.execute({ add: 1 });
  await ada.transferLeadership(nodes.network("ada").peerId);
  await nodes.within(10_000, ada.when.isLeader());
  await bob.execute({ add: 2 });
  cast.kill("bob", "cyd");
  equal(cyd.name, "counter");
  // It enters the log of the leader, which cannot commit it; so does nothing that comes once the leader has stepped down.
  const under = ada.execute({ add: 10 }, { timeoutMs: 60_000 });
  const failing = rejects(ada.execute({ add: 100 }, { timeoutMs: 2_000 }), { code: "outcome-unknown" });
  await nodes.within(20_000, ada.when.noQuorum());
  await failing;
  const later = ada.execute({ add: 1_000 }, { timeoutMs: 60_000 });
  await nodes.within(10_000, ada.recover(ACCEPTED));
  // The result went with the log that led there.
  await rejects(nodes.within(10_000, under), {
    code: "result-unavailable",
    outcome: "applied",
    details: { position: 3 },
  });
  equal((await nodes.within(10_000, later)).result, 1_113);
});

play("receipts of before say what became of their commands", async (cast, nodes) => {
  const { ada } = await cast.group(["ada", "bob", "cyd"]);
  await ada.execute({ add: 1 });
  await ada.transferLeadership(nodes.network("ada").peerId);
  await nodes.within(10_000, ada.when.isLeader());
  cast.kill("bob", "cyd");
  const error = await ada.execute({ add: 10 }, { timeoutMs: 500 }).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  ok(MosaikError.is(error, "outcome-unknown"));
  await nodes.within(20_000, ada.when.noQuorum());
  await nodes.within(10_000, ada.recover(ACCEPTED));
  equal((await nodes.within(20_000, ada.outcomeOf(error.details.receipt)))?.position, 2);
  equal(await countOf(ada), 11);
});

play("a disk without room for the opening of the new store is waited for", async (_, nodes) => {
  const disk = new SimDisk("ada", nodes.world.random.fork("disk/ada"));
  const inner = disk.storage(nodes.world.env("ada"));
  let openings = 0;
  const storage: StorageFactory = {
    ...inner,
    open: async (group) => {
      if (++openings === 2) throw mosaikError("storage-full", "no room", { details: { path: "" } });
      return inner.open(group);
    },
  };
  const ada = (await nodes.start("ada", { storage })).groups.join("counter", { expect: 1, machine: Counter });
  await nodes.within(10_000, ada.when.online());
  await ada.execute({ add: 5 });
  await nodes.within(10_000, ada.recover({ ...ACCEPTED, force: true }));
  await nodes.within(10_000, ada.when.online());
  equal(openings, 3);
  equal((await ada.execute({ add: 1 })).result, 6);
});
