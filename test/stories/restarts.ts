import { deepEqual, equal, rejects } from "node:assert/strict";
import { defineMachine, Rejection } from "../../src/index.ts";
import { story } from "../../src/sim/story.ts";
import { Counter } from "./cast.ts";

story("what was acknowledged survives the loss of all power", async (sim) => {
  const names = ["ada", "bob", "cyd"] as const;
  const cast = await sim.group(Counter, names);
  for (let i = 1; i <= 10; i++) await cast[names[i % 3] as "ada"].group.execute({ add: i });

  for (const name of names) cast[name].crash();
  await Promise.all(names.map((name) => cast[name].restart()));
  await sim.until(() => names.every((name) => cast[name].group.state === "online"), { withinMs: 20_000 });
  equal((await cast.bob.group.query("value")).result, 55);
  equal((await cast.cyd.group.execute({ add: 1 })).position, 11);
});

story("a command under way while its leader dies is applied once", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  await sim.elect(ada);
  const calls = Array.from({ length: 20 }, (_, i) => bob.group.execute({ add: i + 1 }));
  await sim.sleep(sim.random() * 10);
  ada.crash();
  // The calls ride out the election; each is applied once, in call order.
  await Promise.all(calls);
  deepEqual(
    (await cyd.group.query("history")).result,
    calls.map((_, i) => i + 1),
  );
  await ada.restart();
  await sim.until(() => ada.group.position === 20, { withinMs: 20_000 });
});

story("a member that comes back without its disk is a stranger, and votes for nobody", async (sim) => {
  const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
  await ada.group.execute({ add: 1 });
  const former = cyd.network.peerId;
  cyd.crash();
  await cyd.restart({ keepDisk: false });
  await sim.until(() => cyd.group.position === 1, { withinMs: 20_000 });
  equal(
    cyd.group.members.find(({ id }) => id === cyd.network.peerId)?.role === "voter" || cyd.network.peerId === former,
    false,
  );
  equal((await bob.group.execute({ add: 1 })).result, 2);

  // With one of the two voters gone, the stranger makes no majority.
  ada.crash();
  await rejects(bob.group.execute({ add: 1 }, { timeoutMs: 5_000 }));
  await ada.restart();
  await sim.until(() => bob.group.state === "online", { withinMs: 20_000 });
});

const Account = defineMachine("account", {
  state: () => ({ cents: 0 }),
  commands: {
    deposit: (account, cents: number) => {
      account.cents += cents;
      return account.cents;
    },
    withdraw: (account, cents: number) => {
      if (cents > account.cents) throw new Rejection("insufficient-funds", { missing: cents - account.cents });
      account.cents -= cents;
      return account.cents;
    },
  },
  queries: { cents: (account) => account.cents },
});

story(
  "a deposit survives the loss of the leader",
  async (sim) => {
    const { ada, bob, cyd } = await sim.group(Account, ["ada", "bob", "cyd"]);
    await sim.elect(ada);
    await ada.group.execute({ deposit: 5 });

    // Ada is cut off: she takes a command and cannot say what becomes of it.
    sim.cut(ada, [bob, cyd]);
    await rejects(ada.group.execute({ deposit: 1 }, { timeoutMs: 1_000 }), { code: "outcome-unknown" });
    await sim.elect(cyd);
    await cyd.group.execute({ deposit: 10 });

    bob.crash();
    await bob.restart();
    sim.heal();
    const balance = async () => (await bob.group.query("cents", { consistency: "weak" })).result;
    await sim.until(async () => (await balance()) >= 15, { withinMs: 20_000 });
    await rejects(bob.group.execute({ withdraw: 1_000 }), { code: "command-rejected" });
  },
  { faults: { loss: 0.01, delayMs: [1, 50] } },
);
