import { deepEqual, equal } from "node:assert/strict";
import { story } from "../../src/sim/story.ts";
import { Counter } from "./cast.ts";

story("a survivor of three begins the group anew, and the others start over in it", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  for (let i = 1; i <= 10; i++) await bob.group.execute({ add: i });
  await sim.until(() => ada.group.position === 10, { withinMs: 20_000 });

  // Two are gone, and with them the majority; nothing is acknowledged meanwhile.
  bob.crash();
  cyd.crash();
  await sim.until(() => ada.group.state === "no-quorum", { withinMs: 20_000 });
  await ada.group.recover({ acceptDataLoss: true });
  await sim.until(() => ada.group.isLeader, { withinMs: 20_000 });
  equal((await ada.group.execute({ add: 11 })).position, 11);

  // They were not lost, after all. What they hold is there, so they start over, and get votes.
  await bob.restart();
  await sim.until(() => bob.group.position === 11, { withinMs: 60_000 });
  await cyd.restart();
  await sim.until(() => cyd.group.position === 11, { withinMs: 60_000 });
  await sim.until(() => ada.group.members.filter(({ role }) => role === "voter").length === 3, { withinMs: 60_000 });
  ada.crash();
  await sim.until(() => bob.group.leader !== undefined && bob.group.state === "online", { withinMs: 60_000 });
  equal((await cyd.group.execute({ add: 12 })).result, 78);
  deepEqual((await bob.group.query("value")).result, 78);
});
