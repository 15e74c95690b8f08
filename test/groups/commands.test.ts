import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { inspect } from "node:util";
import { LIMITS, MosaikError } from "../../src/env/index.ts";
import { defineMachine, type Group } from "../../src/groups/index.ts";
import { type Counters, expectErrors, type Nodes, scenario } from "./nodes.ts";

const NAMES = ["ada", "bob", "cyd"];

/** Three members; the leader comes first, with the names in the same order. */
async function three(nodes: Nodes): Promise<{ groups: [Counters, Counters, Counters]; names: string[] }> {
  const groups = await nodes.online(NAMES);
  const leads = groups.findIndex(({ isLeader }) => isLeader);
  const order = [leads, (leads + 1) % 3, (leads + 2) % 3];
  return {
    groups: order.map((i) => groups[i] as Counters) as [Counters, Counters, Counters],
    names: order.map((i) => NAMES[i] as string),
  };
}

scenario("executeMany is one step: results in order, contiguous, seen by all", async (nodes) => {
  const { groups } = await three(nodes);
  const [leader, follower] = groups;
  const many = await follower.executeMany([{ add: 1 }, { add: 2 }, { note: "x" }, { add: 3 }]);
  deepEqual(many, { position: 4, result: [1, 3, 3, 6] });
  const more = await leader.executeMany([{ add: 4 }]);
  deepEqual(more, { position: 5, result: [10] });
  for (const group of groups) deepEqual(await group.query("value"), { position: 5, result: 10 });
});

scenario("a rejection reaches its caller, takes a position, and changes nothing", async (nodes) => {
  const { groups } = await three(nodes);
  for (const group of groups) {
    const before = await group.query("value");
    await rejects(group.execute({ add: 666 }), (error) => {
      ok(MosaikError.is(error, "command-rejected"));
      deepEqual([error.outcome, error.details.reason, error.details.data], ["not-applied", "unlucky", { by: 666 }]);
      return true;
    });
    deepEqual(await group.query("value"), { position: before.position + 1, result: before.result });
  }
  // In a batch the others are applied, and the call says so.
  const [, follower] = groups;
  await rejects(follower.executeMany([{ add: 1 }, { add: 666 }, { add: 2 }]), {
    code: "command-rejected",
    outcome: "applied",
  });
  deepEqual(await follower.query("value"), { position: 6, result: 3 });
  deepEqual(await follower.feed({ add: 666 }), { position: 7, result: undefined });
});

scenario("what cannot be a command is refused at once, with the value, and nothing is sent", async (nodes) => {
  const { groups } = await three(nodes);
  const [, follower] = groups;
  const handedBack = (code: string, value: unknown) => (error: unknown) => {
    ok(MosaikError.is(error));
    deepEqual([error.code, error.outcome], [code, "not-applied"]);
    deepEqual((error.details as { rejected: unknown }).rejected, [value]);
    ok(!inspect(error).includes("payload"), "an error prints no payload");
    return true;
  };
  const long = { note: "payload".repeat(LIMITS.commandBytesMax / 7 + 1) };
  await rejects(follower.execute(long), handedBack("too-large", long));
  const foreign = { note: (() => "payload") as unknown as string };
  await rejects(follower.execute(foreign), handedBack("not-encodable", foreign));
  await rejects(follower.execute({ unknown: 1 } as never), { code: "bad-option", details: { option: "command" } });
  const short = { note: "payload" };
  await rejects(follower.executeMany([short, long]), (error) => MosaikError.is(error, "too-large"));
  const halves = [1, 2, 3].map(() => ({ note: "payload".repeat(120_000) }));
  await rejects(follower.executeMany(halves), (error) => {
    ok(MosaikError.is(error, "too-large"));
    deepEqual([error.details.bytesMax, error.details.rejected], [LIMITS.batchBytesMax, halves]);
    return true;
  });
  await rejects(follower.query("nothing" as never), { code: "bad-option" });
  await rejects(follower.query("value", { consistency: { atLeast: -1 } }), { code: "bad-option" });
  await rejects(follower.execute({ add: 1 }, { timeoutMs: 0 }), { code: "bad-option" });
  equal(follower.position, 0);
  const almost = { note: "x".repeat(LIMITS.commandBytesMax - 100) };
  equal((await follower.execute(almost)).position, 1);
});

scenario("the window: more than it holds is `overloaded`, with the values, and the rest arrives", async (nodes) => {
  const { groups } = await three(nodes);
  const [, follower] = groups;
  const calls = Array.from({ length: LIMITS.windowEntriesMax + 10 }, () => follower.execute({ add: 1 }));
  const settled = await Promise.allSettled(calls);
  const refused = settled.filter((call) => call.status === "rejected").map(({ reason }) => reason);
  equal(refused.length, 10);
  for (const error of refused) {
    ok(MosaikError.is(error, "overloaded"));
    deepEqual([error.outcome, error.details.rejected], ["not-applied", [{ add: 1 }]]);
  }
  deepEqual(await follower.query("value"), { position: LIMITS.windowEntriesMax, result: LIMITS.windowEntriesMax });
});

scenario("no leader until the deadline: `group-offline`, and the values come back", async (nodes) => {
  const network = await nodes.start("ada");
  const [lonely] = await nodes.join(["bob"], { expect: 3 });
  await rejects(lonely?.execute({ add: 7 }, { timeoutMs: 300 }) ?? Promise.resolve(), (error) => {
    ok(MosaikError.is(error, "group-offline"));
    deepEqual([error.outcome, error.details.rejected], ["not-applied", [{ add: 7 }]]);
    return true;
  });
  await rejects(lonely?.executeMany([{ add: 1 }, { add: 2 }], { timeoutMs: 300 }) ?? Promise.resolve(), (error) => {
    ok(MosaikError.is(error, "group-offline"));
    deepEqual(error.details.rejected, [{ add: 1 }, { add: 2 }]);
    return true;
  });
  await rejects(lonely?.query("value", { timeoutMs: 300 }) ?? Promise.resolve(), { code: "group-offline" });
  await rejects(lonely?.query("value", { timeoutMs: 300, consistency: { atLeast: 1 } }) ?? Promise.resolve(), {
    code: "group-offline",
  });
  await rejects(lonely?.query("value", { consistency: "weak" }) ?? Promise.resolve(), { code: "group-offline" });
  equal(network.status().groups.length, 0);
});

scenario("a leader that is cut off: `outcome-unknown` for what it took, and the others go on", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [leader, one, other] = groups;
  await leader.execute({ add: 1 });
  nodes.cut([names[0] as string], names.slice(1));
  const lost = leader.execute({ add: 100 }, { timeoutMs: 3_000 });
  const strong = leader.query("value", { timeoutMs: 3_000 });
  await Promise.all([
    rejects(lost, (error) => {
      ok(MosaikError.is(error, "outcome-unknown"));
      deepEqual([error.outcome, error.details.rejected], ["unknown", [{ add: 100 }]]);
      ok(error.details.receipt.length > 0);
      return true;
    }),
    rejects(strong, { code: "group-offline" }),
    nodes.within(15_000, leader.when.noQuorum(), "no-quorum"),
  ]);
  deepEqual(await leader.query("value", { consistency: "weak" }), { position: 1, result: 1 });
  equal(leader.isLeader, false);
  equal((await one.execute({ add: 10 })).result, 11);
  equal((await other.execute({ add: 10 })).result, 21);

  nodes.heal();
  await nodes.within(10_000, leader.when.online(), "it comes back");
  // It was sent, so it must be sent again, since later numbers may not overtake it: applied once, like any other.
  const { result } = await leader.execute({ add: 1_000 });
  ok(result === 1_121, `1000 after 100 and 21, and not ${result}`);
  for (const group of groups) deepEqual(await group.query("value"), { position: 5, result: 1_121 });
});

scenario("commands ride out an election, each applied once, in call order", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [, one, other] = groups;
  const calls = Array.from({ length: 50 }, (_, i) => [one, other].map((group) => group.execute({ add: i + 1 })));
  await nodes.sleep(1);
  nodes.kill(names[0] as string);
  const results = await nodes.within(9_000, Promise.all(calls.flat()));
  const positions = results.map(({ position }) => position);
  deepEqual(
    [...positions].sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  for (const of of [0, 1]) {
    const own = positions.filter((_, i) => i % 2 === of);
    deepEqual(
      own,
      [...own].sort((a, b) => a - b),
    );
  }
  for (const group of [one, other]) deepEqual(await group.query("value"), { position: 100, result: 2_550 });
});

scenario("an abort: its own reason before the command was sent, `outcome-unknown` after", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [, follower] = groups;
  const reason = new Error("no patience");
  await rejects(follower.execute({ add: 5 }, { signal: AbortSignal.abort(reason) }), reason);
  // The first command of a node opens its session; what waits for that was not sent.
  await follower.execute({ add: 1 });
  nodes.cut([names[1] as string], [names[0] as string, names[2] as string]);
  const controller = new AbortController();
  const sent = follower.execute({ add: 5 }, { signal: controller.signal });
  const read = follower.query("value", { signal: controller.signal });
  const reached = follower.query("value", { consistency: { atLeast: 9 }, signal: controller.signal });
  const ends = Promise.all([
    rejects(sent, (error) => MosaikError.is(error, "outcome-unknown") && error.cause === reason),
    rejects(read, reason),
    rejects(reached, reason),
  ]);
  await nodes.sleep(10);
  controller.abort(reason);
  await ends;

  // Without a leader nothing is sent.
  await nodes.within(30_000, follower.when.offline());
  const late = new AbortController();
  const unsent = follower.execute({ add: 6 }, { signal: late.signal });
  await nodes.sleep(10);
  late.abort(reason);
  await rejects(unsent, reason);
  nodes.heal();
  await nodes.within(10_000, follower.when.online());
  equal((await follower.execute({ add: 10 })).result, 16, "5 was sent, 6 never");
});

scenario("close ends all calls that wait, each with what is known of it", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [, follower] = groups;
  // The first command of a node opens its session; what waits for that was not sent.
  await follower.execute({ add: 1 });
  nodes.cut([names[1] as string], [names[0] as string, names[2] as string]);
  const sent = follower.execute({ add: 5 });
  const read = follower.query("value");
  const reached = follower.query("value", { consistency: { atLeast: 9 } });
  await nodes.sleep(10);
  const [, closed] = await Promise.all([
    Promise.all([
      rejects(sent, { code: "outcome-unknown", outcome: "unknown" }),
      rejects(read, { code: "closed" }),
      rejects(reached, { code: "closed" }),
    ]),
    follower.close().then(() => follower.closed),
  ]);
  equal(closed, undefined);
  await rejects(follower.execute({ add: 1 }), { code: "closed", outcome: "not-applied" });
  await rejects(follower.query("value", { consistency: "weak" }), { code: "closed" });
  await rejects(follower.when.online(), { code: "closed" });
  equal(follower.state, "closed");
});

/** A machine with a bug that shows on one node alone, or on all: what must never be, and what must not harm the others. */
const fragile = (own: string) =>
  defineMachine("fragile", {
    state: () => ({ value: 0 }),
    commands: {
      add: (state, by: number) => {
        state.value += by;
        return state.value;
      },
      trip: (state, at: string) => {
        if (at === own || at === "everywhere") throw new Error("a bug of the machine's");
        return state.value;
      },
    },
    queries: { value: (state) => state.value },
  });

async function joinFragile(nodes: Nodes): Promise<Map<string, Group<ReturnType<typeof fragile>>>> {
  const groups = new Map<string, Group<ReturnType<typeof fragile>>>();
  for (const name of NAMES) {
    groups.set(name, (await nodes.start(name)).groups.join("fragile", { expect: 3, machine: fragile(name) }));
  }
  await Promise.all([...groups.values()].map((group) => group.when.online()));
  return groups;
}

const HALTED = "the state machine failed and is halted on this member";

scenario("a machine that fails on all members halts them, with the cause to every waiter", async (nodes) => {
  expectErrors(nodes, HALTED, HALTED, HALTED);
  const groups = await joinFragile(nodes);
  const [ada, bob] = [...groups.values()];
  ok(ada !== undefined && bob !== undefined);
  await ada.execute({ add: 3 });
  await Promise.all([
    rejects(ada.query("value", { consistency: { atLeast: 99 } }), { code: "machine-failed" }),
    rejects(ada.execute({ trip: "everywhere" }), (error) => {
      ok(MosaikError.is(error, "machine-failed"));
      deepEqual([error.details.position, error.details.command, error.outcome], [2, "trip", "unknown"]);
      equal((error.cause as Error).message, "a bug of the machine's");
      return true;
    }),
    rejects(bob.when.reaches(2), { code: "machine-failed" }),
  ]);
  for (const group of groups.values()) {
    await rejects(group.execute({ add: 1 }), { code: "machine-failed", outcome: "not-applied" });
    await rejects(group.query("value"), { code: "machine-failed" });
    await rejects(group.query("value", { consistency: "weak" }), { code: "machine-failed" });
    equal(group.position, 1);
  }
});

for (const which of ["the leader", "a follower"]) {
  scenario(`a machine that fails on ${which} alone: the others go on, and its member votes`, async (nodes) => {
    expectErrors(nodes, HALTED);
    const groups = await joinFragile(nodes);
    const failing = NAMES.find((name) => groups.get(name)?.isLeader === (which === "the leader")) as string;
    const [one, other] = [...groups].filter(([name]) => name !== failing).map(([, group]) => group);
    const failed = groups.get(failing);
    ok(one !== undefined && other !== undefined && failed !== undefined);
    const [before, after] = await Promise.all([
      other.execute({ add: 1 }),
      one.execute({ trip: failing }).then(() => one.execute({ add: 1 })),
    ]);
    deepEqual([before.result, after.result].sort(), [1, 2]);
    await rejects(failed.when.reaches(3), { code: "machine-failed" });
    await nodes.within(5_000, one.when.online());
    // It yields leadership, and the others find each other with its vote, whoever of them is away.
    equal(failed.isLeader, false);
    for (const group of [one, other]) deepEqual(await group.query("value"), { position: 3, result: 2 });
    const away = NAMES.find((name) => groups.get(name) === other) as string;
    await nodes.network(away).close();
    equal((await one.execute({ add: 5 })).result, 7);
  });
}

scenario("a command's result is its own copy: nobody shares state with the machine", async (nodes) => {
  const List = defineMachine("list", {
    state: () => ({ items: [] as string[][] }),
    commands: { put: (state, item: string[]) => state.items.push(item) },
    queries: { items: (state) => state.items.map((item) => item.join("+")) },
  });
  const group = (await nodes.start("ada")).groups.join("list", { expect: 1, machine: List });
  const item = ["a"];
  const call = group.execute({ put: item });
  item.push("changed after the call");
  await call;
  deepEqual((await group.query("items")).result, ["a"]);
});
