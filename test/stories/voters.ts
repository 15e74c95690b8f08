import { equal } from "node:assert/strict";
import { story } from "../../src/sim/story.ts";
import { Counter } from "./cast.ts";

story("a stranger takes the place of the voter that lost its disk, and then counts", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  await ada.group.execute({ add: 1 });
  cyd.crash();
  await cyd.restart({ keepDisk: false });

  // Her former self is dead for the others after half a minute; then her new one follows.
  const isVoter = () => cyd.group.members.find(({ id }) => id === cyd.network.peerId)?.role === "voter";
  await sim.until(isVoter, { withinMs: 90_000 });
  ada.crash();
  equal((await bob.group.execute({ add: 1 }, { timeoutMs: 20_000 })).result, 2);
  equal((await cyd.group.query("value", { timeoutMs: 20_000 })).result, 2);
});

story("members come and go while commands run, and none is lost or applied twice", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  const tuning = { promoteAfterMs: 200, removeDeadAfterMs: 2_000 };
  const extra = await Promise.all(["dan", "eve"].map((name) => sim.node(name)));
  const joined = extra.map(({ network }) => network.groups.join("counter", { machine: Counter, expect: 3, tuning }));
  let sum = 0;
  let isRunning = true;
  const load = (async () => {
    while (isRunning) {
      await bob.group.execute({ add: 1 }, { timeoutMs: 20_000 });
      sum++;
      await sim.sleep(5 + sim.random() * 20);
    }
  })();

  // Three become five, one of them leaves, and the leader hands over twice on the way.
  const votersOf = () => bob.group.members.filter(({ role }) => role === "voter").length;
  await sim.until(() => votersOf() === 5, { withinMs: 60_000 });
  await ada.group.transferLeadership();
  await joined[0]?.leave();
  await sim.until(() => votersOf() === 4, { withinMs: 20_000 });
  await cyd.group.transferLeadership();

  // Two of the four are cut off for a while: no majority anywhere, then all goes on.
  sim.cut([ada, cyd], [bob, ...extra]);
  await sim.sleep(3_000);
  sim.heal();
  isRunning = false;
  await load;
  equal((await bob.group.query("value", { timeoutMs: 20_000 })).result, sum);
  equal((await joined[1]?.query("value", { timeoutMs: 20_000 }))?.result, sum);
});
