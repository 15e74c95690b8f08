import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { story } from "../../src/sim/story.ts";
import { Counter } from "./cast.ts";

story("a leader cut off from the majority commits nothing, and says so", async (sim) => {
  // A counter on three members; ada leads.
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  await sim.elect(ada);
  await ada.group.execute({ add: 100 });

  // Ada is cut off. She takes a command, misses her majority, steps down, and promises nothing.
  sim.cut(ada, [bob, cyd]);
  await rejects(ada.group.execute({ add: 1 }, { timeoutMs: 3_000 }), { code: "outcome-unknown" });
  equal(ada.group.isLeader, false);

  // The other two go on.
  await sim.elect(cyd);
  equal((await cyd.group.execute({ add: 10 })).result, 110);

  // The split heals, and one history is left: her command is in it once, after theirs, or not at all.
  sim.heal();
  const values = () => Promise.all([ada, bob, cyd].map(({ group }) => group.query("history", { consistency: "weak" })));
  await sim.until(async () => new Set((await values()).map(({ position }) => position)).size === 1, {
    withinMs: 20_000,
  });
  await sim.sleep(5_000);
  const histories = (await values()).map(({ result }) => result.join(" "));
  equal(new Set(histories).size, 1);
  ok(["100 10", "100 10 1"].includes(histories[0] as string), histories[0]);
});

story("a strong read at a leader that was replaced behind its back is not answered from the past", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  await sim.elect(ada);
  await ada.group.execute({ add: 1 });

  // Ada is cut off, and reads while she still believes that she leads.
  sim.cut(ada, [bob, cyd]);
  const read = ada.group.query("value", { timeoutMs: 15_000 });
  read.catch(() => {});
  await sim.elect(bob);
  await bob.group.execute({ add: 1 });

  // A read that began after that write, and one that began before: whatever comes back names its place, and the witness compares.
  const late = ada.group.query("value", { timeoutMs: 15_000 });
  late.catch(() => {});
  await sim.sleep(3_000);
  sim.heal();
  equal((await late).result, 2);
  await read.catch(() => {});
});

story("a leader that can speak but not hear gives way, and the terms stay few", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  await sim.elect(ada);
  const before = ada.group.term;

  // Her heartbeats arrive, the answers do not.
  sim.cut([bob, cyd], ada, { oneWay: true });
  await sim.until(() => [bob, cyd].some(({ group }) => group.isLeader), { withinMs: 20_000 });
  await bob.group.execute({ add: 5 });
  sim.heal();
  await sim.until(() => [ada, bob, cyd].every(({ group }) => group.state === "online"), { withinMs: 20_000 });
  equal((await ada.group.query("value")).result, 5);
  ok(ada.group.term - before <= 4, `terms went from ${before} to ${ada.group.term}`);
});

story("two members that see the third, but not each other, have one leader", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  await sim.elect(ada);
  sim.cut(ada, cyd);
  // Cyd hears of no leader, but bob does: the pre-vote keeps her from deposing ada for ever.
  await sim.sleep(10_000);
  const before = [ada, bob].map(({ group }) => group.term);
  for (let i = 0; i < 5; i++) await bob.group.execute({ add: 1 });
  await sim.sleep(10_000);
  deepEqual(
    [ada, bob].map(({ group }) => group.term),
    before,
  );
  sim.heal();
  await sim.until(() => cyd.group.position === 5, { withinMs: 10_000 });
});

story("a paused leader wakes up as no leader, and what it took meanwhile is applied once or never", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  await sim.elect(ada);
  await ada.group.execute({ add: 1 });
  const pending = ada.group.execute({ add: 2 });
  pending.catch(() => {});
  ada.pause();
  await sim.until(() => [bob, cyd].some(({ group }) => group.isLeader), { withinMs: 20_000 });
  await cyd.group.execute({ add: 4 });
  ada.resume();
  await sim.until(() => ada.group.state === "online", { withinMs: 20_000 });
  notEqual(ada.group.term, 0);
  await pending.catch(() => {});
  const { result } = await ada.group.query("history");
  equal(new Set(result).size, result.length, "nothing is twice in the history");
});
