import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { defineMachine } from "../groups/index.ts";
import { runScenario, type Scenario, simulate } from "./simulate.ts";

const Counter = defineMachine("counter", {
  state: () => ({ value: 0 }),
  commands: {
    add: (counter, by: number) => {
      counter.value += by;
      return counter.value;
    },
  },
  queries: { value: (counter) => counter.value },
});

test("a scenario that throws fails with its seed, how to replay it, and its own error as the cause", async () => {
  const boom = new Error("boom");
  const seen: number[] = [];
  const scenario: Scenario = async (sim) => {
    seen.push(sim.random());
    if (seen.length === 3) throw boom;
  };
  const error = await simulate(scenario, { seeds: 5, seed: 7 }).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  ok(error instanceof Error);
  match(error.message, /^seed 9: boom\nreplay: MOSAIK_SEED=9/);
  equal(error.cause, boom);
  equal(new Set(seen).size, 3, "each seed draws its own numbers");
});

test("MOSAIK_SEED replays one seed alone", async () => {
  const drawn: number[] = [];
  process.env["MOSAIK_SEED"] = "9";
  try {
    await simulate(async (sim) => void drawn.push(sim.random()), { seeds: 5 });
  } finally {
    delete process.env["MOSAIK_SEED"];
  }
  const expected: number[] = [];
  await simulate(async (sim) => void expected.push(sim.random()), { seeds: 1, seed: 9 });
  deepEqual(drawn, expected);
});

test("a scenario that waits for ever is stalled; one that looks at the clock is a leak", async () => {
  const stalled = await runScenario(() => new Promise(() => {}), 1);
  equal(stalled.report.verdict, "stalled");
  const leak = await runScenario(async (sim) => {
    await sim.node("ada");
    Date.now();
  }, 1);
  equal(leak.report.verdict, "leak");
  match(leak.report.reason ?? "", /Date\.now/);
});

test("wrong options are refused by name", async () => {
  const never: Scenario = () => Promise.reject(new Error("must not run"));
  await rejects(simulate(never, { seeds: 0 }), { code: "bad-option", message: /seeds/ });
  await rejects(simulate(never, { seed: 0.5 }), { code: "bad-option", message: /seed/ });
  await rejects(simulate(never, { faults: { loss: 2 } }), { code: "bad-option", message: /faults\.loss/ });
  await rejects(simulate(never, { faults: { delayMs: [5, 1] } }), { code: "bad-option", message: /faults\.delayMs/ });
});

test("random crashes, pauses and failing disks in the background leave a group that serves", async () => {
  const faults = { loss: 0.02, duplication: 0.1, delayMs: [1, 20] as const, crashes: 2, pauses: 2, diskErrors: 1 };
  const scenario: Scenario = async (sim) => {
    const { ada } = await sim.group(Counter, ["ada", "bob", "cyd"]);
    await sim.sleep(20_000);
    await sim.until(() => ada.group.state === "online", { withinMs: 30_000 });
    await ada.group.execute({ add: 1 });
  };
  for (const seed of [1, 2, 3]) {
    const { report } = await runScenario(scenario, seed, faults);
    equal(report.verdict, "ok", report.reason);
    ok((report.faults["recut"] ?? 0) > 0 && (report.faults["delay"] ?? 0) > 0);
    deepEqual((await runScenario(scenario, seed, faults)).report, report, "and one seed gives one run");
  }
});

test("a cut holds what it should, one way or both, until the heal", async () => {
  await simulate(
    async (sim) => {
      const { ada, bob, cyd } = await sim.group(Counter, ["ada", "bob", "cyd"]);
      await sim.elect(bob);
      ok(bob.group.isLeader);
      sim.cut(ada, [bob, cyd]);
      await rejects(ada.group.execute({ add: 1 }, { timeoutMs: 500 }));
      sim.heal();
      await sim.until(() => ada.group.state === "online", { withinMs: 20_000 });
      await ada.group.execute({ add: 1 });
      await rejects(
        sim.until(() => false, { withinMs: 10 }),
        /did not hold within 10 ms/,
      );
    },
    { seeds: 3 },
  );
});

test("the witness catches a machine whose answers are not a function of its commands", async () => {
  let calls = 0;
  const Liar = defineMachine("liar", {
    state: () => ({ value: 0 }),
    commands: { add: () => ++calls },
    queries: { value: () => calls },
  });
  const { report } = await runScenario(async (sim) => {
    const { ada } = await sim.group(Liar, ["ada", "bob", "cyd"]);
    await ada.group.execute("add");
  }, 1);
  deepEqual([report.verdict, report.invariant], ["violation", "linearizability"]);
});
