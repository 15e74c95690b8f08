import { deepEqual, equal, notEqual, ok, rejects, throws } from "node:assert/strict";
import { MosaikError } from "../../src/env/index.ts";
import { defineMachine, type Group } from "../../src/groups/index.ts";
import { Counter, type Counters, counted, type Nodes, scenario } from "./nodes.ts";

const Other = defineMachine("other", {
  state: () => ({ value: 0 }),
  commands: { add: (state, by: number) => (state.value += by) },
  queries: { value: (state) => state.value },
});

const warnings = (nodes: Nodes, node: string): string[] =>
  nodes.log.filter((line) => line.node === node && line.level === "warn").map(({ message }) => message);

scenario("when: each condition, at once if it holds", async (nodes) => {
  const [ada, bob, cyd] = (await nodes.join(["ada", "bob", "cyd"])) as [Counters, Counters, Counters];
  const groups = [ada, bob, cyd];
  for (const group of groups) {
    await group.when.offline();
    await group.when.isFollower();
    deepEqual(
      [group.state, group.leader, group.isLeader, group.position, group.term],
      ["joining", undefined, false, 0, 0],
    );
  }
  const elected = await Promise.all(groups.map((group) => group.when.leaderElected()));
  equal(new Set(elected).size, 1);
  await Promise.all(groups.map((group) => group.when.online()));
  await Promise.all(groups.map((group) => group.when.leaderIs(elected[0] as (typeof elected)[0])));
  const leader = groups.find(({ isLeader }) => isLeader) as Counters;
  const follower = groups.find(({ isLeader }) => !isLeader) as Counters;
  await leader.when.isLeader();
  await follower.when.isFollower();
  ok(groups.every(({ term }) => term === leader.term && term > 0));
  const reached = follower.when.reaches(2);
  await leader.when.reaches(0);
  await leader.execute({ add: 1 });
  await leader.execute({ add: 1 });
  await reached;
  ok(follower.position >= 2);
  const network = nodes.network(["ada", "bob", "cyd"][groups.indexOf(leader)] as string);
  const changed = follower.when.leaderChanged();
  const term = follower.term;
  await network.close();
  notEqual(await changed, elected[0]);
  ok(follower.term > term);
});

scenario("when: each wait ends by an abort, and by a close", async (nodes) => {
  const [group] = (await nodes.join(["ada"], { expect: 3 })) as [Counters];
  const peer = nodes.network("ada").peerId;
  const waits = (signal?: AbortSignal): Promise<unknown>[] => {
    const options = signal === undefined ? {} : { signal };
    const { when } = group;
    return [
      when.online(options),
      when.noQuorum(options),
      when.isLeader(options),
      when.leaderElected(options),
      when.leaderChanged(options),
      when.leaderIs(peer, options),
      when.reaches(1, options),
      group.whileLeader(() => {}, options),
      nodes.network("ada").when.ready(options),
    ];
  };
  const reason = new Error("enough");
  for (const wait of waits(AbortSignal.abort(reason))) await rejects(wait, reason);
  const controller = new AbortController();
  const aborted = waits(controller.signal).map((wait) => rejects(wait, reason));
  controller.abort(reason);
  await Promise.all(aborted);

  const closed = waits().map((wait, i) => (i === 7 ? wait : rejects(wait, { code: "closed" })));
  await group.close();
  await Promise.all(closed);
  equal(await group.closed, undefined);
});

scenario("whileLeader runs while this node leads, and its signal says when that ends", async (nodes) => {
  const names = ["ada", "bob", "cyd"];
  const groups = await nodes.online(names);
  const ran: string[] = [];
  const ends = groups.map((group, i) =>
    group.whileLeader(async ({ term, signal }) => {
      ran.push(`${names[i]} ${term === group.term && group.isLeader}`);
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      ran.push(`${names[i]} ends`);
    }),
  );
  await nodes.sleep(100);
  equal(ran.length, 1);
  const first = groups.findIndex(({ isLeader }) => isLeader);
  await groups[first]?.close();
  await Promise.all(groups.filter((_, i) => i !== first).map((group) => group.when.leaderElected()));
  await nodes.sleep(1_000);
  const second = groups.findIndex(({ isLeader }) => isLeader);
  deepEqual(ran, [`${names[first]} true`, `${names[first]} ends`, `${names[second]} true`]);
  await Promise.all(groups.map((group) => group.close()));
  await Promise.all(ends);
  equal(ran.at(-1), `${names[second]} ends`);
});

scenario("whileLeader: work that throws hands over and rejects", async (nodes) => {
  const groups = await nodes.online(["ada", "bob", "cyd"]);
  const leader = groups.find(({ isLeader }) => isLeader) as Counters;
  const error = new Error("the work failed");
  const changed = Promise.all(groups.map((group) => group.when.leaderChanged()));
  await rejects(
    leader.whileLeader(async () => {
      await nodes.sleep(10);
      throw error;
    }),
    error,
  );
  equal(new Set(await nodes.within(2_000, changed)).size, 1);
  equal(leader.isLeader, false);
});

scenario("two handles of one member: the last that closes ends it", async (nodes) => {
  const network = await nodes.start("ada");
  const one = network.groups.join("counter", { expect: 1, machine: Counter });
  const two = network.groups.join("counter", { expect: 1, machine: Counter });
  equal(one.id, two.id);
  await one.execute({ add: 1 });
  equal(await counted(two), 1);
  await one.close();
  equal(one.state, "closed");
  await rejects(one.execute({ add: 1 }), { code: "closed" });
  equal((await two.execute({ add: 1 })).result, 2);
  equal(network.status().groups.length, 1);
  await one.close();
  equal((await two.execute({ add: 1 })).result, 3, "a handle counts once");
  await two.close();
  equal(network.status().groups.length, 0);
  const three = network.groups.join("counter", { expect: 1, machine: Counter });
  await rejects(two.query("value"), { code: "closed" });
  deepEqual(await three.query("value"), { position: 0, result: 0 });
});

scenario("another machine under the same name on one node is a conflict", async (nodes) => {
  const network = await nodes.start("ada");
  network.groups.join("counter", { expect: 1, machine: Counter });
  throws(() => network.groups.join("counter", { expect: 1, machine: Other }), {
    code: "definition-conflict",
    details: { name: "counter" },
  });
  throws(() => network.groups.join("counter", { expect: 1 }), { code: "definition-conflict" });
});

scenario("wrong options are refused at once, by name", async (nodes) => {
  const { groups } = await nodes.start("ada");
  const bad = (option: string, join: () => unknown): void => throws(join, { code: "bad-option", details: { option } });
  bad("expect", () => groups.join("g", {} as never));
  for (const expect of [0, 6, 1.5, -1, Number.NaN, "3"]) bad("expect", () => groups.join("g", { expect } as never));
  bad("name", () => groups.join("", { expect: 1 }));
  bad("name", () => groups.join("x".repeat(257), { expect: 1 }));
  bad("leadership", () => groups.join("g", { expect: 1, leadership: "boss" as never }));
  bad("leadership", () => groups.join("g", { expect: 1, leadership: { reluctant: 0 } }));
  bad("timeoutMs", () => groups.join("g", { expect: 1, timeoutMs: 0 }));
  bad("secret", () => groups.join("g", { expect: 1, secret: "short" }));
  bad("secret", () => groups.join("g", { expect: 1, secret: [] }));
  bad("tuning.heartbeatIntervalMs", () => groups.join("g", { expect: 1, tuning: { heartbeatIntervalMs: 1 } }));
  bad("tuning.electionTimeoutMs", () => groups.join("g", { expect: 1, tuning: { electionTimeoutMs: 300 } }));
  equal(groups.join("g", { expect: 1 }).state, "joining");
});

scenario("the group's secret: who does not have it is not in, and both sides say so", async (nodes) => {
  const secret = "a secret of the group";
  const [ada, bob] = await nodes.join(["ada", "bob"], { expect: 2, secret });
  const [eve] = await nodes.join(["eve"], { expect: 2, secret: "what eve believes it is" });
  const [mal] = await nodes.join(["mal"], { expect: 2 });
  // Rotation: the old one is still accepted, and its holder accepted by it.
  const [cyd] = await nodes.join(["cyd"], { expect: 2, secret: ["a new secret of the group", secret] });
  await Promise.all([ada?.when.online(), bob?.when.online()]);
  await ada?.execute({ add: 1 });
  await nodes.sleep(3_000);
  for (const group of [eve, mal]) {
    equal(group?.leader, undefined);
    deepEqual(
      group?.members.map(({ isConnected }) => isConnected),
      [true],
      "nobody but itself",
    );
  }
  equal(ada?.members.length, 2, "and cyd cannot prove a secret that ada does not know");
  equal(cyd?.leader, undefined);
  for (const node of ["ada", "eve", "mal"]) ok(warnings(nodes, node).includes("no bond with a member"), node);
  ok(
    !JSON.stringify(nodes.log).includes(secret) && !JSON.stringify(nodes.log).includes("eve believes"),
    "no secret in the log",
  );
});

scenario("the group's secret can be rotated one member at a time", async (nodes) => {
  const [old, fresh] = ["the old secret of all", "the new secret of all"];
  const [ada] = await nodes.join(["ada"], { expect: 2, secret: [old, fresh] });
  const [bob] = await nodes.join(["bob"], { expect: 2, secret: [fresh, old] });
  await nodes.within(3_000, Promise.all([ada?.when.online(), bob?.when.online()]));
  equal((await ada?.execute({ add: 1 }))?.position, 1);
});

scenario("another machine does not bond, and both sides say which", async (nodes) => {
  const [ada, bob] = await nodes.join(["ada", "bob"], { expect: 2 });
  const stranger = (await nodes.start("cyd")).groups.join("counter", { expect: 2, machine: Other });
  await Promise.all([ada?.when.online(), bob?.when.online()]);
  await nodes.sleep(2_000);
  equal(stranger.leader, undefined);
  equal(ada?.members.length, 2);
  const told = nodes.log.filter(({ message }) => message === "no bond with a member");
  ok(told.some(({ node }) => node === "cyd") && told.some(({ node }) => node !== "cyd"));
  for (const { fields } of told) {
    equal(fields.code, 30_409);
    ok(String(fields.reason).includes("`counter`") && String(fields.reason).includes("`other`"));
  }
  ok(told.length <= 4, "once for each pair and side, however often it is tried");
});

scenario("an observer never votes, executes and queries by forwarding", async (nodes) => {
  const members = await nodes.online(["ada", "bob", "cyd"]);
  const [observer] = (await nodes.join(["dan"], { leadership: "observer" })) as [Counters];
  await nodes.within(3_000, observer.when.online());
  deepEqual(await observer.execute({ add: 4 }), { position: 1, result: 4 });
  deepEqual(await observer.query("value"), { position: 1, result: 4 });
  await members[0]?.execute({ add: 5 });
  deepEqual(await observer.query("value"), { position: 2, result: 9 });
  deepEqual(await observer.query("value", { consistency: { atLeast: 2 } }), { position: 2, result: 9 });
  await rejects(observer.execute({ add: 666 }), { code: "command-rejected" });
  const roles = observer.members.map(({ role }) => role).sort();
  deepEqual(roles, ["observer", "voter", "voter", "voter"]);
  equal(observer.isLeader, false);

  // The leader goes, then a second voter: no observer makes a quorum.
  const leads = members.findIndex(({ isLeader }) => isLeader);
  const changed = observer.when.leaderChanged();
  await nodes.network(["ada", "bob", "cyd"][leads] as string).close();
  equal(await nodes.within(3_000, changed), members.find(({ isLeader }) => isLeader)?.leader);
  await nodes.within(3_000, observer.when.online());
  equal((await observer.execute({ add: 1 })).result, 10);
  nodes.kill(["ada", "bob", "cyd"][(leads + 1) % 3] as string);
  await rejects(observer.execute({ add: 1 }, { timeoutMs: 3_000 }), (error) =>
    MosaikError.is(error, "outcome-unknown", "group-offline"),
  );
  deepEqual(await observer.query("value", { consistency: "weak" }), { position: 4, result: 10 });
});

scenario("a stranger that joins an open group follows it from the beginning", async (nodes) => {
  const members = await nodes.online(["ada", "bob", "cyd"]);
  await members[0]?.executeMany(Array.from({ length: 3_000 }, () => ({ add: 1 })));
  await members[1]?.execute({ add: 7 });
  const [dan] = (await nodes.join(["dan"], { expect: 3 })) as [Counters];
  await nodes.within(3_000, dan.when.online());
  deepEqual(await dan.query("value", { consistency: "weak" }), { position: 3_001, result: 3_007 });
  equal((await dan.execute({ add: 1 })).result, 3_008);
  equal(dan.members.find(({ id }) => id === nodes.network("dan").peerId)?.role, "learner");
});

scenario(
  "a stranger that learns and applies all in one step knows that its store is open: it never gives that up",
  async (nodes) => {
    const [ada] = (await nodes.online(["ada", "bob", "cyd"])) as [Counters];
    await ada.execute({ add: 1 });
    const [dan] = (await nodes.join(["dan"], { expect: 3 })) as [Counters];
    await dan.when.reaches(1);
    const [inspected] = nodes.network("dan").inspect().groups as [{ isOpen: boolean; role: string }];
    deepEqual([inspected.isOpen, inspected.role], [true, "reader"]);
  },
);

scenario("observers that come first wait for founders", async (nodes) => {
  const [observer] = (await nodes.join(["dan"], { leadership: "observer" })) as [Counters];
  await nodes.sleep(5_000);
  equal(observer.state, "joining");
  await nodes.online(["ada", "bob", "cyd"]);
  await nodes.within(3_000, observer.when.online());
});

scenario("who joins an open group is in it at once, not after a timeout", async (nodes) => {
  await nodes.online(["ada", "bob", "cyd"]);
  const [dan] = (await nodes.join(["dan"], { expect: 3 })) as [Counters];
  await nodes.within(400, dan.when.online());
});

scenario("a leader hands over when it closes; one whose fellows are gone does not wait for them", async (nodes) => {
  const groups = await nodes.online(["ada", "bob", "cyd"]);
  for (const limitMs of [100, 100, 100]) {
    const leader = groups.find(({ isLeader }) => isLeader) ?? groups.find(({ state }) => state !== "closed");
    const rest = groups.filter((group) => group !== leader && group.state !== "closed");
    const changed = rest.length === 2 ? Promise.all(rest.map((group) => group.when.leaderChanged())) : undefined;
    await nodes.within(limitMs, leader?.close() ?? Promise.reject(new Error("nobody is left")), "the close");
    if (changed !== undefined) await nodes.within(limitMs, changed, "the new leader");
  }
});

scenario("more founders than expected: one group, the others follow", async (nodes) => {
  const groups = await nodes.join(["ada", "bob", "cyd", "dan", "eve"], { expect: 3 });
  await nodes.within(5_000, Promise.all(groups.map((group) => group.when.online())));
  equal(new Set(groups.map(({ leader }) => leader)).size, 1);
  await Promise.all(groups.map((group) => group.execute({ add: 1 })));
  for (const group of groups) deepEqual(await group.query("value"), { position: 5, result: 5 });
  equal(groups[0]?.members.filter(({ role }) => role === "voter").length, 3);
});

scenario("founders that come one by one, with seconds between, are one group", async (nodes) => {
  const groups: Counters[] = [];
  for (const name of ["ada", "bob", "cyd"]) {
    groups.push(...(await nodes.join([name], { expect: 3 })));
    await nodes.sleep(3_000);
  }
  await nodes.within(2_000, Promise.all(groups.map((group) => group.when.online())));
  equal((await groups[2]?.execute({ add: 1 }))?.position, 1);
});

scenario("lone founders that meet before they opened become one group", async (nodes) => {
  const names = ["ada", "bob", "cyd"];
  for (const name of names) await nodes.start(name, { bootstrap: [] });
  // Each sees nobody: they know no address.
  const alone = names.map((name) => nodes.network(name).groups.join("counter", { expect: 1, machine: Counter }));
  await nodes.within(2_000, Promise.all(alone.map((group) => group.when.isLeader())));
  // A fourth knows them all, and so they learn of each other.
  const [dan] = await nodes.join(["dan"], { leadership: "observer" });
  const groups = [...alone, dan as Counters];
  await nodes.within(
    30_000,
    nodes.until(() => new Set(groups.map(({ leader }) => leader)).size === 1 && dan?.leader !== undefined),
  );
  await Promise.all(groups.map((group) => group.when.online()));
  for (const group of groups) await group.execute({ add: 1 });
  for (const group of groups) deepEqual(await group.query("value"), { position: 4, result: 4 });
});

scenario("two groups on one network do not disturb each other", async (nodes) => {
  const names = ["ada", "bob", "cyd"];
  const counters = await nodes.join(names);
  const others: Group<typeof Other>[] = names.map((name) =>
    nodes.network(name).groups.join("other", { expect: 3, machine: Other }),
  );
  await Promise.all([...counters, ...others].map((group) => group.when.online()));
  await Promise.all(names.map((name) => nodes.network(name).when.ready()));
  await Promise.all(counters.map((group, i) => group.execute({ add: i + 1 })));
  await others[2]?.execute({ add: 50 });
  notEqual(counters[0]?.id, others[0]?.id);
  deepEqual(await counters[2]?.query("value"), { position: 3, result: 6 });
  deepEqual(await others[0]?.query("value"), { position: 1, result: 50 });
  await Promise.all(counters.map((group) => group.close()));
  deepEqual(await others[1]?.query("value"), { position: 1, result: 50 });
  deepEqual(
    nodes
      .network("ada")
      .status()
      .groups.map(({ name }) => name),
    ["other"],
  );
});

scenario("two networks in one process are strangers, whatever their addresses", async (nodes) => {
  const [ada] = (await nodes.join(["ada"], { expect: 1 }, { network: "one" })) as [Counters];
  const [bob] = (await nodes.join(["bob"], { expect: 1 }, { network: "two", bootstrap: [] })) as [Counters];
  // This one was given addresses of the other networks alone. It never founds: nobody of its own has answered.
  const [cyd] = (await nodes.join(["cyd"], { expect: 1 }, { network: "three" })) as [Counters];
  await Promise.all([ada.when.online(), bob.when.online()]);
  notEqual(ada.id, bob.id);
  await ada.execute({ add: 1 });
  await bob.execute({ add: 2 });
  await nodes.sleep(2_000);
  deepEqual([await counted(ada), await counted(bob)], [1, 2]);
  equal(cyd.state, "joining");
  deepEqual([nodes.network("ada").status().peers, nodes.network("bob").status().peers], [0, 0]);
});

scenario("a member that comes back without its store is a stranger, and follows", async (nodes) => {
  const names = ["ada", "bob", "cyd"];
  const groups = await nodes.online(names);
  await groups[0]?.execute({ add: 1 });
  const gone = groups.findIndex(({ isLeader }) => !isLeader);
  const name = names[gone] as string;
  nodes.kill(name);
  const [back] = (await nodes.join([name], { expect: 3 })) as [Counters];
  await nodes.within(5_000, back.when.online());
  deepEqual(await back.query("value"), { position: 1, result: 1 });
  equal((await back.execute({ add: 1 })).result, 2);
});

scenario("status, inspect and metrics tell of the group, as plain JSON", async (nodes) => {
  const [ada] = (await nodes.online(["ada", "bob", "cyd"])) as [Counters];
  await ada.execute({ add: 1 });
  const network = nodes.network("ada");
  const status = network.status();
  equal(status.ready, true);
  deepEqual(status.groups, [{ name: "counter", state: "online", leader: ada.leader, position: 1 }]);
  const inspected = JSON.parse(JSON.stringify(network.inspect()));
  equal(inspected.version, 1);
  equal(inspected.groups[0].name, "counter");
  equal(inspected.groups[0].position, 1);
  equal(inspected.groups[0].voters.length, 3);
  ok(network.metrics().includes("mosaik"));
  const closing = network.close();
  equal(network.status().ready, false);
  await closing;
  equal(await network.closed, undefined);
  throws(() => network.groups.join("late", { expect: 1 }), { code: "closed" });
  await rejects(network.when.ready(), { code: "closed" });
});
