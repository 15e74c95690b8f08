import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Group } from "../../src/index.ts";
import { type Counter, type Counters, type Nodes, scenario } from "./nodes.ts";

const roles = (group: Group<typeof Counter>): string[] => group.members.map(({ role }) => role).sort();
const votersOf = (group: Group<typeof Counter>): number => roles(group).filter((role) => role === "voter").length;
const leaderOf = (groups: readonly Counters[]): Counters => {
  const leader = groups.find(({ isLeader }) => isLeader);
  ok(leader !== undefined, "somebody leads");
  return leader;
};

scenario("a lone founder is joined by two: they follow, become voters, and go on without it", async (nodes) => {
  const [ada] = (await nodes.online(["ada"], { expect: 1 })) as [Counters];
  await ada.execute({ add: 7 });
  const [bob, cyd] = (await nodes.join(["bob", "cyd"], { expect: 1 })) as [Counters, Counters];
  await nodes.within(5_000, Promise.all([bob.when.online(), cyd.when.online()]));
  equal((await bob.query("value")).result, 7);
  await nodes.within(
    10_000,
    nodes.until(() => votersOf(ada) === 3),
  );
  equal(ada.isLeader, true);

  nodes.kill("ada");
  equal((await bob.execute({ add: 1 })).result, 8);
  equal((await cyd.query("value")).result, 8);
});

scenario(
  "whoever learnt of the group's life from others keeps it, too: no store with commands is ever set aside",
  async (nodes) => {
    const [ada] = (await nodes.online(["ada"], { expect: 1 })) as [Counters];
    await ada.execute({ add: 7 });
    const [bob, cyd] = (await nodes.join(["bob", "cyd"], { expect: 1 })) as [Counters, Counters];
    await nodes.within(
      10_000,
      nodes.until(() => [ada, bob, cyd].every((group) => votersOf(group) === 3)),
    );
    nodes.kill("ada");
    await nodes.within(5_000, bob.when.online());
    // Far longer than a provisional store is kept without progress.
    await nodes.sleep(30_000);
    deepEqual(await bob.query("value"), { position: 1, result: 7 });
    deepEqual(await cyd.query("value"), { position: 1, result: 7 });
  },
);

scenario("one that joins a pair makes it three; a fourth waits for a fifth", async (nodes) => {
  const pair = await nodes.online(["ada", "bob"], { expect: 2 });
  const [cyd] = (await nodes.join(["cyd"], { expect: 2 })) as [Counters];
  await nodes.within(
    10_000,
    nodes.until(() => votersOf(cyd) === 3),
  );
  const [dan] = (await nodes.join(["dan"], { expect: 2 })) as [Counters];
  await nodes.within(5_000, dan.when.online());
  await nodes.sleep(5_000);
  deepEqual(roles(leaderOf([...pair, cyd])), ["learner", "voter", "voter", "voter"]);
  await nodes.join(["eve"], { expect: 2 });
  await nodes.within(
    10_000,
    nodes.until(() => votersOf(dan) === 5),
  );
});

scenario("a dead voter is replaced when somebody can follow it, and not before", async (nodes) => {
  const tuning = { removeDeadAfterMs: 3_000 };
  const [ada, bob] = (await nodes.online(["ada", "bob", "cyd"], { expect: 3, tuning })) as [Counters, Counters];
  await ada.execute({ add: 1 });
  nodes.kill("cyd");
  await nodes.sleep(8_000);
  equal(votersOf(ada), 3);

  const [dan] = (await nodes.join(["dan"], { expect: 3, tuning })) as [Counters];
  await nodes.within(
    10_000,
    nodes.until(() => votersOf(dan) === 3 && roles(dan).length === 3),
  );
  equal((await dan.execute({ add: 1 })).result, 2);
  // The new voter counts: one of the old ones may go now.
  nodes.kill("bob");
  equal(bob.name, "counter");
  equal((await dan.execute({ add: 1 })).result, 3);
});

scenario(
  "a dead voter is replaced under load, too: more is committed in a second than a spare may lack",
  async (nodes) => {
    const tuning = { removeDeadAfterMs: 1_000 };
    const [ada, bob] = (await nodes.online(["ada", "bob", "cyd"], { expect: 3, tuning })) as [Counters, Counters];
    let isLoading = true;
    const load = async (group: Counters): Promise<void> => {
      for (; isLoading; await nodes.sleep(1)) await group.feed({ add: 1 });
    };
    const loads = [ada, ada, bob, bob].map(load);
    nodes.kill("cyd");
    const [dan] = (await nodes.join(["dan"], { expect: 3, tuning })) as [Counters];
    await nodes.within(
      5_000,
      nodes.until(() => votersOf(dan) === 3 && roles(dan).length === 3),
    );
    isLoading = false;
    await Promise.all(loads);
    ok(dan.position > 2_000, `${dan.position} commands`);
  },
);

scenario("members in memory leave as they close, down to the last", async (nodes) => {
  const groups = (await nodes.online(["ada", "bob", "cyd"], { expect: 3 })) as [Counters, Counters, Counters];
  const [ada, bob, cyd] = groups;
  await ada.execute({ add: 1 });
  await nodes.within(2_000, ada.close());
  await nodes.within(
    3_000,
    nodes.until(() => votersOf(bob) === 2),
  );
  equal((await bob.execute({ add: 1 })).result, 2);
  await nodes.within(2_000, bob.close());
  equal((await cyd.execute({ add: 1 })).result, 3);
  await nodes.within(2_000, cyd.close());
});

scenario("leave: by a follower, by the leader, and not by the last", async (nodes) => {
  const groups = (await nodes.online(["ada", "bob", "cyd"], { expect: 3 })) as [Counters, Counters, Counters];
  const leader = leaderOf(groups);
  await nodes.within(3_000, leader.leave());
  equal(leader.state, "closed");
  const [one, other] = groups.filter((group) => group !== leader) as [Counters, Counters];
  equal((await one.execute({ add: 1 })).result, 1);
  await nodes.within(3_000, one.leave());
  equal((await other.execute({ add: 1 })).result, 2);
  await rejects(other.leave(), { code: "last-voter" });
  equal((await other.execute({ add: 1 })).result, 3);
});

/** Resolves as soon as the leader has appended that one of these has a vote, which that one does not know yet. */
async function promoted(nodes: Nodes, leader: string, names: readonly string[]): Promise<string> {
  const own = (name: string): Inspected => (nodes.network(name).inspect().groups as Inspected[])[0] as Inspected;
  for (;;) {
    const { voters } = own(leader);
    const name = names.find((some) => voters.includes(nodes.network(some).peerId) && own(some).role === "reader");
    if (name !== undefined) return name;
    await nodes.sleep(0.05);
  }
}
type Inspected = { readonly voters: readonly string[]; readonly role: string };

for (const how of ["leave", "close"] as const) {
  scenario(
    `${how}: by a reader that was just given a vote, and does not know it: the vote is taken back`,
    async (nodes) => {
      const [ada] = (await nodes.online(["ada"], { expect: 1 })) as [Counters];
      await ada.execute({ add: 1 });
      const [bob, cyd] = (await nodes.join(["bob", "cyd"], { expect: 1 })) as [Counters, Counters];
      const name = await nodes.within(10_000, promoted(nodes, "ada", ["bob", "cyd"]));
      await nodes.within(1_000, (name === "bob" ? bob : cyd)[how]());
      equal((await nodes.within(1_000, ada.execute({ add: 1 }))).result, 2);
      equal(votersOf(ada), 1);
    },
  );

  scenario(`${how}: by a reader takes a moment, and none without a leader in sight`, async (nodes) => {
    const [ada] = (await nodes.online(["ada", "bob", "cyd"], { expect: 3 })) as [Counters];
    await ada.execute({ add: 1 });
    const [dan, eve] = (await nodes.join(["dan", "eve"], { expect: 3 })) as [Counters, Counters];
    await Promise.all([dan.when.online(), eve.when.online()]);
    await nodes.within(100, dan[how]());
    for (const name of ["ada", "bob", "cyd"]) nodes.kill(name);
    await nodes.within(
      5_000,
      nodes.until(() => eve.leader === undefined),
    );
    await nodes.within(100, eve[how]());
  });
}

scenario("leadership is transferred on request, by anybody, to whom they like", async (nodes) => {
  const groups = (await nodes.online(["ada", "bob", "cyd"], { expect: 3 })) as [Counters, Counters, Counters];
  const leader = leaderOf(groups);
  const [one, other] = groups.filter((group) => group !== leader) as [Counters, Counters];
  const to = other.members.find(({ id }) => id !== leader.leader && id !== one.leader)?.id;
  ok(to !== undefined);
  await nodes.within(2_000, one.transferLeadership(to));
  equal(one.leader, to);
  await nodes.within(2_000, leader.when.leaderIs(to));
  const before = one.leader;
  await nodes.within(2_000, leaderOf(groups).transferLeadership());
  equal(one.leader === before, false);
  await one.execute({ add: 1 });
});

scenario("a reluctant leader hands over to a normal voter", async (nodes) => {
  const [ada] = (await nodes.online(["ada"], { expect: 1, leadership: "reluctant" })) as [Counters];
  await ada.execute({ add: 1 });
  const others = (await nodes.join(["bob", "cyd"], { expect: 1 })) as [Counters, Counters];
  await nodes.within(
    20_000,
    nodes.until(() => others.some(({ isLeader }) => isLeader)),
  );
  equal(ada.isLeader, false);
});

scenario("watch shows what this member applies, rejected commands left out", async (nodes) => {
  const [ada, bob] = (await nodes.online(["ada", "bob"], { expect: 2 })) as [Counters, Counters];
  const watch = bob.watch();
  await ada.execute({ add: 2 });
  await rejects(ada.execute({ add: 666 }), { code: "command-rejected" });
  const { position } = await ada.execute({ add: 3 });
  await bob.when.reaches(position);
  const seen: unknown[] = [];
  for await (const item of watch) {
    seen.push(item.type === "applied" ? [item.position, item.name, item.input, item.result] : item.type);
    if (seen.length === 2) break;
  }
  deepEqual(seen, [
    [1, "add", 2, 2],
    [3, "add", 3, 5],
  ]);
});

scenario("two that founded apart are rivals when they meet: both serve, and both say so", async (nodes) => {
  const [ada] = (await nodes.online(["ada"], { expect: 1 })) as [Counters];
  await ada.execute({ add: 1 });
  // It knows of nobody, so it founds alone.
  const [bob] = (await nodes.join(["bob"], { expect: 1 }, { bootstrap: [] })) as [Counters];
  await nodes.within(30_000, bob.when.online());
  await bob.execute({ add: 10 });
  const rivals = Promise.all([ada.when.rival(), bob.when.rival()]);
  const [address] = nodes.network("ada").status().addresses;
  await nodes.network("bob").discovery.dial(address as string);
  const [ofAda, ofBob] = await nodes.within(30_000, rivals);
  equal(ofAda === ofBob, false);
  equal((await ada.execute({ add: 1 })).result, 2);
  equal((await bob.execute({ add: 1 })).result, 11);
  nodes.log.length = 0;
});
