import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../../src/env/index.ts";
import { defineMachine, type RoleOptions } from "../../src/groups/index.ts";
import { Crowd, type CrowdNode } from "./crowd.ts";
import { Counter, type Counters, expectErrors, scenario } from "./nodes.ts";

/** `MOSAIK_OBSERVERS=1000 node scripts/test.mjs test/groups/observers.test.ts` takes a minute or two. */
const MANY = Number(process.env["MOSAIK_OBSERVERS"] ?? 40);

interface Inside {
  readonly distance: number;
  readonly following: { readonly pullers: number };
  readonly bonds: readonly object[];
  readonly agreed?: { readonly version: number };
}

const inside = (node: CrowdNode): Inside => node.groups.inspect()[0] as Inside;

async function found(crowd: Crowd, count: number): Promise<Counters[]> {
  const voters: Counters[] = [];
  for (let i = 0; i < count; i++) voters.push(await crowd.join(`voter ${i}`, { expect: count, machine: Counter }));
  await Promise.all(voters.map((group) => group.when.online()));
  return voters;
}

async function observe(crowd: Crowd, count: number, first = 0): Promise<Counters[]> {
  const observers: Counters[] = [];
  for (let i = first; i < first + count; i++) {
    observers.push(await crowd.join(`observer ${i}`, { leadership: "observer", machine: Counter }));
    if (i % 20 === 19) await crowd.sleep(100);
  }
  return observers;
}

const areOnline = (groups: readonly Counters[]): boolean => groups.every(({ state }) => state === "online");
const areAt = (groups: readonly Counters[], position: number): boolean =>
  groups.every((group) => group.position === position);

function play(title: string, run: (crowd: Crowd) => Promise<void>): void {
  test(title, async () => {
    const crowd = new Crowd(1);
    await crowd.run(async () => {
      await run(crowd);
      await Promise.all(crowd.nodes.map((node) => crowd.isUp(node) && node.groups.close()));
    });
    deepEqual(crowd.warnings, []);
  });
}

/** What the leader sends while it replicates, to a group that has so many observers. */
async function trafficOf(observerCount: number): Promise<{ frames: number; bytes: number }> {
  const crowd = new Crowd(1);
  const traffic = { frames: 0, bytes: 0 };
  await crowd.run(async () => {
    const voters = await found(crowd, 3);
    const observers = await observe(crowd, observerCount);
    await crowd.until(5_000, "all observers online", () => areOnline(observers));
    const leads = voters.findIndex(({ isLeader }) => isLeader);
    const leader = crowd.nodes[leads] as CrowdNode;
    const { sent } = leader;
    await crowd.until(60_000, "all who met the leader first let it go", () => inside(leader).bonds.length === 2);
    const before = { ...sent };
    for (let i = 0; i < 30; i++) await voters[leads]?.execute({ add: 1 });
    await crowd.until(2_000, "all observers at the end", () => areAt(observers, 30));
    await crowd.sleep(2_000);
    traffic.frames = sent.frames - before.frames;
    traffic.bytes = sent.bytes - before.bytes;

    const all = crowd.nodes.map(inside);
    const observed = all.slice(3);
    ok(Math.max(...all.map(({ following }) => following.pullers)) <= LIMITS.pullersMax);
    ok(Math.max(...observed.map(({ bonds }) => bonds.length)) <= LIMITS.observersMax + 8);
    // A tree: it grows in depth with the logarithm of its size.
    const farthest = Math.max(...observed.map(({ distance }) => distance));
    ok(farthest <= Math.max(6, 1.25 * Math.log2(observerCount)), `${farthest} steps from a voter`);
    equal(inside(leader).bonds.length, 2, "the other voters");
    deepEqual(crowd.warnings, []);
    await Promise.all(crowd.nodes.map((node) => node.groups.close()));
  });
  return traffic;
}

test(`${MANY} observers cost a leader no more than five do`, async () => {
  const few = await trafficOf(5);
  const many = await trafficOf(MANY);
  const told = JSON.stringify({ few, many });
  ok(many.frames <= few.frames * 1.1, told);
  ok(many.bytes <= few.bytes * 1.1, told);
});

play(
  "observers write and read strongly over a bond with the leader that they make when they need it",
  async (crowd) => {
    const voters = await found(crowd, 3);
    const observers = await observe(crowd, 12);
    await crowd.until(5_000, "online", () => areOnline(observers));
    await crowd.sleep(12_000);
    const leads = crowd.nodes[voters.findIndex(({ isLeader }) => isLeader)] as CrowdNode;
    equal(inside(leads).bonds.length, 2);
    const results = await Promise.all(observers.map((group) => group.execute({ add: 1 })));
    deepEqual(
      results.map(({ position }) => position).sort((a, b) => a - b),
      observers.map((_, i) => i + 1),
    );
    // Each read sees all that was acknowledged before it began.
    for (const group of observers) {
      const { position } = await (voters[0] as Counters).execute({ add: 1 });
      equal((await group.query("value")).result, position);
    }
    equal(inside(leads).bonds.length, 2 + observers.length);
    await crowd.sleep(12_000);
    equal(inside(leads).bonds.length, 2);
    equal((await observers[0]?.query("value"))?.result, 24);
  },
);

play("observers that have nothing to ask leave the leader alone when the group agrees on a version", async (crowd) => {
  const machineOf = (version: number) =>
    defineMachine("sum", { version, state: () => ({}), commands: { add: (_, by: number) => by } });
  const join = (name: string, options: RoleOptions, version: number) =>
    crowd.join(name, { ...options, machine: machineOf(version) });
  const ada = await join("ada", { expect: 3 }, 2);
  const bob = await join("bob", { expect: 3 }, 2);
  // She alone does not have the second version.
  const cyd = await join("cyd", { expect: 3 }, 1);
  await Promise.all([ada, bob, cyd].map((group) => group.when.online()));
  await ada.transferLeadership((crowd.nodes[0] as CrowdNode).id);
  await (await join("dan", { expect: 3 }, 2)).when.online();
  const observers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => join(`observer ${i}`, { leadership: "observer" }, 2)),
  );
  await Promise.all(observers.map((group) => group.when.online()));
  await crowd.sleep(12_000);
  const leader = crowd.nodes[0] as CrowdNode;
  const versions = (): readonly unknown[] => crowd.nodes.slice(4).map((node) => inside(node).agreed?.version);
  deepEqual([new Set(versions()), inside(leader).bonds.length], [new Set([1]), 3]);

  await cyd.close();
  let most = 0;
  await crowd.until(5_000, "the second version is in force", () => {
    most = Math.max(most, inside(leader).bonds.length);
    return versions().every((version) => version === 2);
  });
  await crowd.sleep(500);
  equal(Math.max(most, inside(leader).bonds.length), 2, "the other voters");
  ok(ada.isLeader);
  // Before she had closed all of them, cyd was told why her bonds end.
  deepEqual(
    crowd.warnings.splice(0).filter((warning) => !warning.includes("version 1 is too old")),
    [],
  );
});

play("a lone leader has room for some observers; the others follow those", async (crowd) => {
  const [leader] = (await found(crowd, 1)) as [Counters];
  await leader.execute({ add: 1 });
  const observers = await observe(crowd, 30);
  await crowd.until(5_000, "online", () => areOnline(observers));
  await crowd.sleep(12_000);
  for (let i = 0; i < 20; i++) await leader.execute({ add: 1 });
  await crowd.until(3_000, "at the end", () => areAt(observers, 21));
  const { bonds, following } = inside(crowd.nodes[0] as CrowdNode);
  ok(bonds.length <= LIMITS.leaderObserversMax, `${bonds.length} bonds`);
  ok(following.pullers <= LIMITS.leaderPullersMax);
  // Those too that it had no room for as observers come as visitors.
  const results = await Promise.all(observers.map((group) => group.execute({ add: 1 })));
  equal(new Set(results.map(({ position }) => position)).size, observers.length);
});

play("observers find others when those that they follow die", async (crowd) => {
  const voters = await found(crowd, 3);
  const observers = await observe(crowd, 40);
  await crowd.until(5_000, "online", () => areOnline(observers));
  await voters[0]?.execute({ add: 1 });
  // A voter that is followed, and the observers that feed most others.
  const follower = voters.findIndex(({ isLeader }) => !isLeader);
  const fed = crowd.nodes.slice(3).sort((a, b) => inside(b).following.pullers - inside(a).following.pullers);
  const gone = [crowd.nodes[follower] as CrowdNode, ...fed.slice(0, 5)];
  for (const node of gone) crowd.kill(node);
  const left = observers.filter((_, i) => !gone.includes(crowd.nodes[3 + i] as CrowdNode));
  const leader = voters.find(({ isLeader }) => isLeader) as Counters;
  for (let i = 0; i < 20; i++) await leader.execute({ add: 1 });
  await crowd.until(5_000, "at the end", () => areAt(left, 21));
  await crowd.until(5_000, "online", () => areOnline(left));
});

play("observers hear of a new leader from those that they follow, and say when there is none", async (crowd) => {
  const voters = await found(crowd, 3);
  const observers = await observe(crowd, 30);
  await crowd.until(5_000, "online", () => areOnline(observers));
  await crowd.sleep(12_000);
  const first = voters.findIndex(({ isLeader }) => isLeader);
  crowd.kill(crowd.nodes[first] as CrowdNode);
  const rest = voters.filter((_, i) => i !== first);
  await crowd.until(5_000, "a new leader", () => rest.some(({ isLeader }) => isLeader));
  const second = rest.find(({ isLeader }) => isLeader) as Counters;
  await crowd.until(1_000, "told to all", () => observers.every((group) => group.leader === second.leader));
  await crowd.until(1_000, "online", () => areOnline(observers));
  equal((await observers[7]?.execute({ add: 1 }))?.position, 1);
  // Of two voters one is left: nobody leads, and nobody goes on telling another that somebody does.
  crowd.kill(crowd.nodes[voters.indexOf(second)] as CrowdNode);
  await crowd.until(5_000, "no leader", () => observers.every((group) => group.leader === undefined));
  ok(observers.every(({ state }) => state === "no-quorum"));
});

scenario("an observer whose incarnation is gone starts over in another, and says so", async (nodes) => {
  const names = ["ada", "bob", "cyd"];
  const rival = "rival-incarnation: this group exists twice, and both serve; set one aside with `discard`";
  expectErrors(nodes, rival, rival, rival, rival);
  const groups = await nodes.online(names);
  await groups[0]?.execute({ add: 1 });
  const [dan] = (await nodes.join(["dan"], { leadership: "observer", tuning: { removeDeadAfterMs: 5_000 } })) as [
    Counters,
  ];
  await nodes.within(5_000, dan.when.online());
  await dan.when.reaches(1);
  const changes: unknown[] = [];
  void (async () => {
    for await (const change of dan.watch()) changes.push(change);
  })();
  // All stores of the group are lost, and it is founded anew out of its sight.
  for (const name of names) nodes.kill(name);
  await nodes.within(
    5_000,
    nodes.until(() => dan.state === "no-quorum"),
  );
  nodes.cut(["dan"], names);
  const again = await nodes.online(names);
  await again[0]?.execute({ add: 7 });
  nodes.heal();
  await nodes.within(
    20_000,
    nodes.until(() => dan.state === "online" && dan.position === 1 && dan.leader !== undefined),
  );
  deepEqual(await dan.query("value"), { position: 1, result: 7 });
  equal((await dan.execute({ add: 1 })).result, 8);
  ok(changes.some((change) => (change as { type: string }).type === "reset"));
  const told = nodes.log.filter(({ message }) => message === "a store was set aside");
  deepEqual(
    told.map(({ node, level }) => [node, level]),
    [["dan", "warn"]],
  );
});
