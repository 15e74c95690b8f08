import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { MosaikError, type Receipt } from "../../src/env/index.ts";
import { type Counters, counted, type Nodes, scenario } from "./nodes.ts";

const NAMES = ["ada", "bob", "cyd"];
const TTL_MS = 5_000;
/** Until a silent peer's links are given up, and the leader has looked. */
const AWAY_MS = 20_000 + TTL_MS;

/** Three members whose absent sessions end soon; the leader comes first. */
async function three(
  nodes: Nodes,
): Promise<{ groups: [Counters, Counters, Counters]; names: [string, string, string] }> {
  const groups = await nodes.online(NAMES, { expect: 3, tuning: { sessionTtlMs: TTL_MS } });
  const leads = groups.findIndex(({ isLeader }) => isLeader);
  const order = [leads, (leads + 1) % 3, (leads + 2) % 3];
  return {
    groups: order.map((i) => groups[i] as Counters) as [Counters, Counters, Counters],
    names: order.map((i) => NAMES[i] as string) as [string, string, string],
  };
}

/** The receipt of a call that must end in the unknown. */
async function receiptOf(call: Promise<unknown>): Promise<Receipt> {
  try {
    await call;
  } catch (error) {
    ok(MosaikError.is(error, "outcome-unknown"), String(error));
    return error.details.receipt;
  }
  throw new Error("the call came to an end");
}

const sessionsOf = (nodes: Nodes, name: string): number =>
  (nodes.network(name).inspect().groups[0] as { sessions: number }).sessions;

scenario("a session that ended while its owner was away: what was not applied is sent again, once", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [leader, away] = groups;
  equal((await away.execute({ add: 1 })).result, 1);
  equal((await leader.execute({ add: 10 })).result, 11);

  // Sent into a wire that is cut: one caller waits on, the other gives up.
  nodes.cut([names[1]], [names[0], names[2]]);
  const givenUp = receiptOf(away.execute({ add: 1_000 }, { timeoutMs: 500 }));
  const patient = away.execute({ add: 100 }, { timeoutMs: 120_000 });
  const receipt = await givenUp;
  await nodes.within(
    AWAY_MS,
    nodes.until(() => sessionsOf(nodes, names[0]) === 1),
    "the session ends",
  );
  equal((await leader.execute({ add: 20 })).result, 31);

  nodes.heal();
  equal((await nodes.within(30_000, patient)).result, 131);
  equal(await away.outcomeOf(receipt), undefined, "it never was applied, and never will be");
  for (const group of groups) {
    equal(await group.outcomeOf(receipt), undefined);
    deepEqual(await group.query("value"), { position: 4, result: 131 });
  }
  equal((await away.execute({ add: 1 })).result, 132, "the new session goes on");
  equal(sessionsOf(nodes, names[0]), 2);
});

scenario("a reply that was lost: the receipt tells where the command was applied, on any member", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [leader, away, other] = groups;
  await away.execute({ add: 1 });
  // Its commands arrive; the answers do not.
  nodes.deafen([names[1]], [names[0], names[2]]);
  const lost = receiptOf(away.execute({ add: 10 }, { timeoutMs: 1_000 }));
  const refused = receiptOf(away.execute({ add: 666 }, { timeoutMs: 1_000 }));
  const many = receiptOf(away.executeMany([{ add: 100 }, { add: 1_000 }], { timeoutMs: 1_000 }));
  await nodes.within(
    1_000,
    nodes.until(() => leader.position === 5 && other.position === 5),
  );
  const receipts = await Promise.all([lost, refused, many]);
  equal(away.position < 5, true, "the owner does not know");

  for (const group of [leader, other]) {
    deepEqual(await group.outcomeOf(receipts[0] as Receipt), { position: 2, result: undefined });
    await rejects(group.outcomeOf(receipts[1] as Receipt), { code: "command-rejected", outcome: "not-applied" });
    deepEqual(await group.outcomeOf(receipts[2] as Receipt), { position: 5, result: undefined });
  }
  // The owner waits for it, and has the results.
  const known = away.outcomeOf(receipts[0] as Receipt, { timeoutMs: 60_000 });
  nodes.heal();
  deepEqual(await nodes.within(30_000, known), { position: 2, result: 11 });
  await rejects(away.outcomeOf(receipts[1] as Receipt), { code: "command-rejected", details: { reason: "unlucky" } });
  deepEqual(await away.outcomeOf(receipts[2] as Receipt), { position: 5, result: [111, 1_111] });
});

scenario("as long as a command may still come, nobody says that it will not", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [leader, away] = groups;
  await away.execute({ add: 1 });
  nodes.cut([names[1]], [names[0], names[2]]);
  const receipt = await receiptOf(away.execute({ add: 10 }, { timeoutMs: 300 }));
  await rejects(leader.outcomeOf(receipt, { timeoutMs: 2_000 }), { code: "outcome-unknown", details: { receipt } });
  const controller = new AbortController();
  const asked = leader.outcomeOf(receipt, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await rejects(asked, { message: "enough" });
  nodes.heal();
  const fate = await nodes.within(30_000, leader.outcomeOf(receipt, { timeoutMs: 30_000 }));
  deepEqual(fate, { position: 2, result: undefined });
  equal(await counted(leader), 11);
});

scenario("a member that closes ends its session", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [leader, going] = groups;
  await going.execute({ add: 1 });
  nodes.deafen([names[1]], [names[0], names[2]]);
  const receipt = await receiptOf(going.execute({ add: 10 }, { timeoutMs: 300 }));
  equal(sessionsOf(nodes, names[0]), 1);
  await going.close();
  deepEqual(await nodes.within(3_000, leader.outcomeOf(receipt)), { position: 2, result: undefined });
  await nodes.within(
    3_000,
    nodes.until(() => sessionsOf(nodes, names[0]) === 0),
  );
});

scenario(
  "a receipt of a history that nobody knows is unknown for good; text that is none is refused",
  async (nodes) => {
    const { groups } = await three(nodes);
    const [leader] = groups;
    await leader.execute({ add: 1 });
    const strange = `m1.${"0".repeat(32)}.1.1.1` as Receipt;
    await rejects(leader.outcomeOf(strange), { code: "outcome-unknown", details: { receipt: strange } });
    await rejects(leader.outcomeOf("nonsense" as Receipt), { code: "bad-option", details: { option: "receipt" } });
  },
);
