import { deepEqual, equal, ok } from "node:assert/strict";
import { Counter, type Counters, counted, type Nodes, scenario } from "./nodes.ts";

// The scenarios that the reference passes: positions and values are theirs. What takes long there is fast here, and said so.

const T0 = 11_000;

scenario("is elected: alone, with followers that come later", async (nodes) => {
  const n0 = await nodes.start("n0");
  const g0 = n0.groups.join("election", { expect: 1 });
  equal(g0.leader, undefined);
  equal(g0.state, "joining");
  equal(await nodes.within(1_500, g0.when.leaderElected()), n0.peerId);
  await nodes.within(100, g0.when.isLeader());
  const term = g0.term;

  const later = [await nodes.start("n1"), await nodes.start("n2")];
  const followers = later.map((node) => node.groups.join("election", { expect: 1 }));
  for (const group of followers) equal(group.leader, undefined);
  for (const group of followers) await nodes.within(2_000, group.when.leaderIs(n0.peerId));
  for (const group of followers) await nodes.within(2_000, group.when.online());
  equal(g0.term, term, "nobody asked for an election");
  deepEqual(
    followers.map(({ isLeader, position }) => [isLeader, position]),
    [
      [false, 0],
      [false, 0],
    ],
  );
});

scenario("is elected: when the leader's network closes, the others agree on one new leader", async (nodes) => {
  const names = ["n0", "n1", "n2"];
  const networks = [];
  for (const name of names) networks.push(await nodes.start(name));
  const groups = networks.map((network) => network.groups.join("election", { expect: 3 }));
  for (const group of groups) equal(group.leader, undefined);
  await nodes.within(1_000, Promise.all(groups.map((group) => group.when.online())), "formation");
  const first = groups[0]?.leader;
  deepEqual(
    groups.map(({ leader }) => leader),
    [first, first, first],
  );
  equal(groups.filter(({ isLeader }) => isLeader).length, 1);

  const left = networks.findIndex(({ peerId }) => peerId === first);
  const survivors = groups.filter((_, i) => i !== left);
  const changed = Promise.all(survivors.map((group) => group.when.leaderChanged()));
  await networks[left]?.close();
  const [one, other] = await nodes.within(1_000, changed, "a new leader");
  equal(one, other);
  ok(one !== first);
  await nodes.within(1_000, Promise.all(survivors.map((group) => group.when.online())));
  equal(survivors.filter(({ isLeader }) => isLeader).length, 1);

  const n3 = await nodes.start("n3");
  const late = n3.groups.join("election", { expect: 3 });
  equal(await nodes.within(2_000, late.when.leaderElected(), "the late one sees it"), one);
  await nodes.within(2_000, late.when.online());
  equal(late.isLeader, false);
});

/** n0 leads alone; n1 and n2 came later, and follow. */
async function lone(nodes: Nodes): Promise<[Counters, Counters, Counters]> {
  const [g0] = await nodes.online(["n0"], { expect: 1 });
  equal(g0?.isLeader, true);
  const [g1, g2] = await nodes.join(["n1", "n2"], { expect: 1 });
  await nodes.within(T0, Promise.all([g1?.when.online(), g2?.when.online()]));
  return [g0, g1, g2] as [Counters, Counters, Counters];
}

/** Three founders; the one that leads comes first. */
async function three(nodes: Nodes): Promise<[Counters, Counters, Counters]> {
  const groups = await nodes.online(["n0", "n1", "n2"]);
  return groups.sort((a, b) => Number(b.isLeader) - Number(a.isLeader)) as [Counters, Counters, Counters];
}

for (const [how, form] of [
  ["a lone founder and followers", lone],
  ["three founders", three],
] as const) {
  scenario(`no catch-up, weak queries: ${how}`, async (nodes) => {
    const [g0, g1, g2] = await form(nodes);
    const groups = [g0, g1, g2];
    deepEqual(
      groups.map(({ position }) => position),
      [0, 0, 0],
    );
    deepEqual(await nodes.within(2_000, g0.execute({ add: 3 })), { position: 1, result: 3 });
    deepEqual(await nodes.within(2_000, g0.execute({ add: 4 })), { position: 2, result: 7 });
    equal(g0.position, 2);
    deepEqual(await g0.query("value"), { position: 2, result: 7 });
    for (const group of [g1, g2]) {
      await nodes.within(2_000, group.when.reaches(2));
      deepEqual(await group.query("value", { consistency: "weak" }), { position: 2, result: 7 });
    }
    deepEqual(await nodes.within(2_000, g1.execute({ add: -2 })), { position: 3, result: 5 });
    equal(await counted(g1), 5, "who executed it sees it");
    for (const group of [g0, g2]) {
      const read = await group.query("value", { consistency: { atLeast: 3 } });
      deepEqual(read, { position: 3, result: 5 });
    }
  });

  scenario(`no catch-up, strong queries: ${how}`, async (nodes) => {
    const [g0, g1, g2] = await form(nodes);
    await g0.execute({ add: 3 });
    await g0.execute({ add: 4 });
    const reads = await Promise.all([g0, g1, g2].map((group) => group.query("value", { consistency: "strong" })));
    deepEqual(
      reads,
      [0, 1, 2].map(() => ({ position: 2, result: 7 })),
    );
  });
}

scenario("no catch-up: the leader leaves, the survivors go on to 9 and 31", async (nodes) => {
  const [g0, g1, g2] = await three(nodes);
  await g0.execute({ add: 3 });
  await g0.execute({ add: 4 });
  await g1.execute({ add: -2 });
  const changed = Promise.all([g1.when.leaderChanged(), g2.when.leaderChanged()]);
  await g0.close();
  const [one, other] = await nodes.within(1_000, changed);
  equal(one, other);

  // Sent together, in call order: 4, 5, 6 through one and 7, 8, 9 through the other.
  const first = await Promise.all([1, 2, 3].map((by) => g1.execute({ add: by })));
  deepEqual(
    first.map(({ position }) => position),
    [4, 5, 6],
  );
  const second = await Promise.all([5, 6, 9].map((by) => g2.execute({ add: by })));
  deepEqual(
    second.map(({ position, result }) => [position, result]),
    [
      [7, 16],
      [8, 22],
      [9, 31],
    ],
  );
  for (const group of [g1, g2]) {
    await nodes.within(2_000, group.when.reaches(9));
    deepEqual([group.position, await counted(group)], [9, 31]);
  }
});

scenario("five executes on each of two members at once: 10 commands, value 75", async (nodes) => {
  const [g0, g1] = (await nodes.online(["n0", "n1"])) as [Counters, Counters];
  const calls = [1, 2, 3, 4, 5].flatMap((by) => [g0.execute({ add: by }), g1.execute({ add: 9 + by })]);
  const results = await nodes.within(2_000, Promise.all(calls));
  deepEqual(
    results.map(({ position }) => position).sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
  for (const of of [0, 1]) {
    const own = results.filter((_, i) => i % 2 === of).map(({ position }) => position);
    deepEqual(
      own,
      [...own].sort((a, b) => a - b),
      "each caller's in call order",
    );
  }
  for (const group of [g0, g1]) deepEqual(await group.query("value"), { position: 10, result: 75 });
});

scenario("four batches at once: 9 commands, value 50", async (nodes) => {
  const [g0, g1] = (await nodes.online(["n0", "n1"])) as [Counters, Counters];
  const add = (...values: number[]): { add: number }[] => values.map((by) => ({ add: by }));
  const batches = await nodes.within(
    2_000,
    Promise.all([
      g0.executeMany(add(1, 2, 3)),
      g1.executeMany(add(10, 12)),
      g0.executeMany(add(4, 5)),
      g1.executeMany(add(6, 7)),
    ]),
  );
  const sizes = [3, 2, 2, 2];
  const ranges = batches
    .map(({ position }, i) => [position - (sizes[i] as number) + 1, position] as const)
    .sort((a, b) => a[0] - b[0]);
  let next = 1;
  for (const [from, to] of ranges) {
    equal(from, next, "side by side, nothing between");
    next = to + 1;
  }
  equal(next, 10);
  for (const [i, { result }] of batches.entries()) equal(result.length, sizes[i]);
  for (const group of [g0, g1]) deepEqual(await group.query("value"), { position: 9, result: 50 });
});

scenario("six weak and six strong queries at once all give 30", async (nodes) => {
  const [g0, g1] = (await nodes.online(["n0", "n1"])) as [Counters, Counters];
  await g0.execute({ add: 10 });
  await g0.execute({ add: 20 });
  await g1.when.reaches(2);
  const reads = await Promise.all(
    [g0, g1].flatMap((group) =>
      (["weak", "strong"] as const).flatMap((consistency) =>
        [1, 2, 3].map(() => group.query("value", { consistency })),
      ),
    ),
  );
  equal(reads.length, 12);
  for (const read of reads) deepEqual(read, { position: 2, result: 30 });
});

scenario("feeds through a follower: 1, 2, then 3 to 5; value 15", async (nodes) => {
  const [g0, g1] = (await nodes.online(["n0", "n1"])) as [Counters, Counters];
  const follower = g0.isLeader ? g1 : g0;
  deepEqual(await nodes.within(2_000, follower.feed({ add: 1 })), { position: 1, result: undefined });
  deepEqual(await nodes.within(2_000, follower.feed({ add: 2 })), { position: 2, result: undefined });
  const many = await nodes.within(2_000, follower.feedMany([{ add: 3 }, { add: 4 }, { add: 5 }]));
  deepEqual(many, { position: 5, result: undefined });
  for (const group of [g0, g1]) {
    await nodes.within(T0, group.when.reaches(5));
    deepEqual([group.position, await counted(group)], [5, 15]);
  }
});

scenario("an empty batch resolves at once, with or without a leader", async (nodes) => {
  const network = await nodes.start("n0");
  const group = network.groups.join("counter", { expect: 3, machine: Counter });
  deepEqual(await group.executeMany([]), { position: 0, result: [] });
  deepEqual(await group.feedMany([]), { position: 0, result: undefined });
});
