import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Member } from "../../src/groups/index.ts";
import { Counter, type Counters, type Nodes, scenario } from "./nodes.ts";

// What a handle shows and does, at its edges: aborts, closes, two handles of one member.

const NAMES = ["ada", "bob", "cyd"];

const leaderOf = (groups: readonly Counters[]): Counters => {
  const leader = groups.find(({ isLeader }) => isLeader);
  ok(leader !== undefined, "somebody leads");
  return leader;
};
const memberOf = (nodes: Nodes, group: Counters, name: string): Member | undefined =>
  group.members.find(({ id }) => id === nodes.network(name).peerId);

scenario("members: roles, who is connected, how far they are", async (nodes) => {
  const groups = (await nodes.online(NAMES)) as [Counters, Counters, Counters];
  const [ada] = groups;
  const [dan] = (await nodes.join(["dan"], { expect: 3 })) as [Counters];
  const [eve] = (await nodes.join(["eve"], { leadership: "observer" })) as [Counters];
  await nodes.within(5_000, Promise.all([dan.when.online(), eve.when.online()]));
  await ada.execute({ add: 1 });
  await ada.execute({ add: 1 });
  // Each tells how far it is once a second.
  const all = [...NAMES, "dan", "eve"];
  const seen = (): unknown[] => all.map((name) => memberOf(nodes, ada, name)?.position);
  await nodes.within(
    5_000,
    nodes.until(() => seen().every((position) => position === 2)),
  );
  for (const group of [...groups, dan, eve]) {
    await nodes.within(
      2_000,
      nodes.until(() => group.members.length === 5 && group.members.every(({ isConnected }) => isConnected)),
    );
    const roles = all.map((name) => memberOf(nodes, group, name)?.role);
    deepEqual(roles, ["voter", "voter", "voter", "learner", "observer"]);
    deepEqual(
      group.members.map(({ id }) => id),
      group.members.map(({ id }) => id).sort(),
    );
  }

  // A voter that is gone stays one, until somebody takes its place; nobody knows how far it is.
  const gone = NAMES[groups.findIndex(({ isLeader }) => !isLeader)] as string;
  const { peerId } = nodes.network(gone);
  const watcher = leaderOf(groups);
  nodes.kill(gone);
  const find = (): Member | undefined => watcher.members.find(({ id }) => id === peerId);
  await nodes.within(
    5_000,
    nodes.until(() => find()?.isConnected === false),
  );
  deepEqual([find()?.role, find()?.position], ["voter", undefined]);
  // An observer that is gone is none.
  await eve.close();
  await nodes.within(
    5_000,
    nodes.until(() => watcher.members.every(({ role }) => role !== "observer")),
  );
});

scenario("members of a closed handle: the last that were seen, or nobody, and no error", async (nodes) => {
  const [ada] = (await nodes.online(["ada"], { expect: 1 })) as [Counters];
  await ada.close();
  ok(ada.members.every(({ id }) => id === nodes.network("ada").peerId));
  deepEqual([ada.state, ada.leader, ada.isLeader], ["closed", undefined, false]);
});

scenario("whileLeader: an abort ends the work's signal with its reason, and the wait", async (nodes) => {
  const [ada] = (await nodes.online(["ada"], { expect: 1 })) as [Counters];
  const controller = new AbortController();
  const reasons: unknown[] = [];
  const runs = ada.whileLeader(
    async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      reasons.push(signal.reason);
    },
    { signal: controller.signal },
  );
  await nodes.sleep(100);
  controller.abort("enough");
  await rejects(runs, (reason) => reason === "enough");
  deepEqual(reasons, ["enough"]);
  equal(ada.isLeader, true, "and leadership stays where it is");
});

scenario("whileLeader: work that returns waits for the next term, and then runs again", async (nodes) => {
  const groups = await nodes.online(NAMES);
  const [first] = [leaderOf(groups)];
  const terms: number[] = [];
  const runs = first.whileLeader(({ term }) => {
    terms.push(term);
  });
  await nodes.sleep(500);
  equal(terms.length, 1);
  const back = nodes.network(NAMES[groups.indexOf(first)] as string).peerId;
  await first.transferLeadership();
  await nodes.within(
    5_000,
    nodes.until(() => groups.some((group) => group !== first && group.isLeader)),
  );
  await first.transferLeadership(back);
  await nodes.within(
    5_000,
    nodes.until(() => terms.length === 2),
  );
  ok((terms[0] as number) < (terms[1] as number));
  await first.close();
  await runs;
  equal(terms.length, 2);
});

scenario("whileLeader: work that throws after its signal aborted ends nothing", async (nodes) => {
  const groups = await nodes.online(NAMES);
  const first = leaderOf(groups);
  let ended = false;
  const runs = first.whileLeader(async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    throw new Error("stopped, as asked");
  });
  void runs.then(() => {
    ended = true;
  });
  await first.transferLeadership();
  await nodes.sleep(1_000);
  equal(ended, false);
  await first.close();
  await runs;
});

scenario(
  "whileLeader: on a closed handle it is over at once; of two handles, one close leaves the other's work alone",
  async (nodes) => {
    const network = await nodes.start("ada");
    const join = (): Counters => network.groups.join("counter", { expect: 1, machine: Counter });
    const [one, two] = [join(), join()];
    await one.when.isLeader();
    const aborted: string[] = [];
    const work =
      (name: string) =>
      async ({ signal }: { signal: AbortSignal }) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        aborted.push(name);
      };
    const [ofOne, ofTwo] = [one.whileLeader(work("one")), two.whileLeader(work("two"))];
    await nodes.sleep(100);
    await one.close();
    await nodes.within(1_000, ofOne);
    deepEqual(aborted, ["one"]);
    let ran = 0;
    await nodes.within(
      1_000,
      one.whileLeader(() => {
        ran++;
      }),
    );
    equal(ran, 0);
    await two.close();
    await nodes.within(3_000, ofTwo);
    deepEqual(aborted, ["one", "two"]);
  },
);

scenario(
  "transferLeadership: to the leader itself it is done; to nobody in the group, or without a leader, it fails in time",
  async (nodes) => {
    const groups = (await nodes.online(NAMES, { expect: 3, timeoutMs: 1_000 })) as [Counters, Counters, Counters];
    const leader = leaderOf(groups);
    const { term } = leader;
    await leader.transferLeadership(leader.leader);
    deepEqual([leader.isLeader, leader.term], [true, term]);

    const stranger = (await nodes.start("dan")).peerId;
    const follower = groups.find(({ isLeader }) => !isLeader) as Counters;
    for (const group of [leader, follower]) {
      await nodes.within(3_000, rejects(group.transferLeadership(stranger), { code: "group-offline" }));
    }
    equal(leaderOf(groups), leader, "and it leads on");
    equal((await follower.execute({ add: 1 })).result, 1);

    const reason = new Error("no patience");
    await rejects(follower.transferLeadership(undefined, { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const transfer = follower.transferLeadership(stranger, { signal: controller.signal });
    controller.abort(reason);
    await rejects(transfer, reason);

    const pending = rejects(follower.transferLeadership(stranger), { code: "closed" });
    await follower.close();
    await nodes.within(3_000, pending);
    await rejects(follower.transferLeadership(), { code: "closed" });

    const lone = (await nodes.start("eve", { bootstrap: [] })).groups.join("counter", { expect: 3, machine: Counter });
    await rejects(lone.transferLeadership(), { code: "group-offline" });
  },
);

scenario("transferLeadership under load: no command is lost or doubled", async (nodes) => {
  const groups = (await nodes.online(NAMES)) as [Counters, Counters, Counters];
  const calls: Promise<unknown>[] = [];
  for (let i = 0; i < 300; i++) {
    calls.push((groups[i % 3] as Counters).execute({ add: 1 }));
    if (i % 100 === 50) await leaderOf(groups).transferLeadership();
    await nodes.sleep(1);
    await nodes.within(
      3_000,
      nodes.until(() => groups.some(({ isLeader }) => isLeader)),
    );
  }
  await Promise.all(calls);
  for (const group of groups) deepEqual(await group.query("value"), { position: 300, result: 300 });
});

scenario(
  "watch: a slow reader gets a reset, then what comes after; each ends by a break, an abort, or a close",
  async (nodes) => {
    const [ada] = (await nodes.online(["ada"], { expect: 1 })) as [Counters];
    const slow = ada.watch();
    const other = ada.watch();
    await ada.executeMany(Array.from({ length: 5_000 }, () => ({ add: 1 })));
    const iterator = slow[Symbol.asyncIterator]();
    const seen: string[] = [];
    let { value: item } = await iterator.next();
    while (item.type !== "reset") {
      seen.push(item.type);
      ({ value: item } = await iterator.next());
    }
    ok(seen.length < 5_000);
    ok(item.position <= 5_000);
    const now = (await ada.query("value")).position;
    await ada.execute({ add: 1 });
    // After the reset: nothing twice, and nothing missing from there on.
    let last = item.position;
    while (last <= now) {
      const { value } = await iterator.next();
      equal(value.type, "applied");
      ok(value.position > last);
      last = value.position;
    }
    equal(last, now + 1);
    await iterator.return?.();
    equal((await iterator.next()).done, true);

    const reason = new Error("seen enough");
    const controller = new AbortController();
    const aborted = ada.watch({ signal: controller.signal });
    const pending = aborted[Symbol.asyncIterator]().next();
    controller.abort(reason);
    await pending.then(
      ({ done }) => equal(done, true),
      (error) => equal(error, reason),
    );
    await other.close();
    const ending = ada.watch();
    const end = (async () => {
      for await (const _ of ending);
      return "ended";
    })();
    await ada.close();
    equal(await nodes.within(3_000, end), "ended");
  },
);

scenario(
  "watch: of two handles, the one that closes ends its own watches, and leaves the other's alone",
  async (nodes) => {
    const network = await nodes.start("ada");
    const join = (): Counters => network.groups.join("counter", { expect: 1, machine: Counter });
    const [one, two] = [join(), join()];
    await one.when.isLeader();
    const collect = async (group: Counters, into: number[]): Promise<string> => {
      for await (const item of group.watch()) into.push(item.position);
      return "ended";
    };
    const [ofOne, ofTwo]: [number[], number[]] = [[], []];
    const [endOne, endTwo] = [collect(one, ofOne), collect(two, ofTwo)];
    await two.execute({ add: 1 });
    await nodes.sleep(10);
    await one.close();
    equal(await nodes.within(1_000, endOne), "ended");
    await two.execute({ add: 1 });
    await two.close();
    equal(await nodes.within(3_000, endTwo), "ended");
    deepEqual([ofOne, ofTwo], [[1], [1, 2]]);
  },
);

scenario("leadership: a reluctant voter leads if nobody else can, and an observer never does", async (nodes) => {
  const [ada] = (await nodes.online(["ada"], { expect: 1, leadership: { reluctant: 10 } })) as [Counters];
  equal(ada.isLeader, true, "there is nobody else");
  await ada.execute({ add: 1 });
  const [eve] = (await nodes.join(["eve"], { leadership: "observer" })) as [Counters];
  await nodes.within(5_000, eve.when.online());
  await nodes.sleep(5_000);
  deepEqual([ada.isLeader, eve.isLeader], [true, false]);
  equal((await eve.execute({ add: 1 })).result, 2);
  nodes.kill("ada");
  await nodes.within(10_000, eve.when.offline());
  await nodes.sleep(20_000);
  deepEqual([eve.isLeader, eve.leader], [false, undefined]);
  deepEqual(await eve.query("value", { consistency: "weak" }), { position: 2, result: 2 });
});
