// What a crash may do to a store on files, at each of its calls to the file system.
import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { SimFileSystem } from "../../src/storage/file/sim-file-system.ts";
import type { Storage } from "../../src/storage/index.ts";
import { FOLDER, factoryOn, GROUP, Model, type Operation, perform, simFiles } from "./bench.ts";

const STORY: readonly Operation[] = [
  { type: "bind" },
  { type: "append", sizes: [10, 700, 3], term: 1 },
  { type: "vote", term: 1, votedFor: "ada" },
  { type: "append", sizes: [3_000, 0], term: 0 },
  { type: "rewrite", back: 2, sizes: [600, 30], term: 1 },
  { type: "append", sizes: [5_000], term: 0 },
  { type: "settle" },
  { type: "append", sizes: [6_000, 20], term: 0 },
  { type: "save", back: 3, bytes: 1_500 },
  { type: "prune", back: 4 },
  { type: "append", sizes: [9_000], term: 0 },
  { type: "vote", term: 3, votedFor: undefined },
  { type: "append", sizes: [8_000, 2_000], term: 2 },
  { type: "prune", back: 1 },
  { type: "settle" },
  { type: "append", sizes: [9_000], term: 0 },
  { type: "append", sizes: [20_000], term: 0 },
  { type: "append", sizes: [25_000], term: 0 },
  { type: "append", sizes: [25_000], term: 0 },
  { type: "append", sizes: [90], term: 0 },
  { type: "prune", back: 0 },
  { type: "append", sizes: [90], term: 0 },
  { type: "settle" },
  { type: "append", sizes: [20_000], term: 0 },
  { type: "reset", ahead: 4, bytes: 700 },
  { type: "append", sizes: [40], term: 1 },
  { type: "append", sizes: [50_000], term: 0 },
  { type: "rewrite", back: 0, sizes: [60], term: 1 },
  { type: "save", back: 0, bytes: 10 },
  { type: "settle" },
];

interface Run {
  readonly seed: number;
  readonly operations: readonly Operation[];
  /** Calls until each end of a life, counted from the opening before it: a power loss, or below 0 the process is killed. */
  readonly crashes: readonly number[];
}

function crashesAfter(files: SimFileSystem, calls: number): Promise<void> {
  return files.crashAfter(Math.abs(calls), calls < 0 ? "kill" : "power");
}

/** Opens, works, loses the power, opens again, ... and compares each time. */
async function run({ seed, operations, crashes }: Run): Promise<{ steps: number; hasCrashed: boolean }> {
  const files = simFiles(seed);
  const factory = await factoryOn(files, seed);
  const first = await factory.open(GROUP);
  const model = new Model(first);
  const openings = [...first.openingIds];
  let store: Storage | undefined = first;
  let hasCrashed = false;
  let next = 0;
  let current = 0;
  const startSteps = files.steps;
  for (const [life, crashAfter] of [...crashes, 0].entries()) {
    current = life;
    const crashed = crashAfter === 0 ? new Promise<void>(() => {}) : crashesAfter(files, crashAfter);
    const work = async (): Promise<"done"> => {
      store ??= await (await factoryOn(files, seed + next)).open(GROUP);
      const pending: Promise<void>[] = [];
      // What was checked after a crash goes on from there.
      if (next > 0) await model.check(store, `after crash ${next}`);
      // Who is cut off from the disk does nothing more.
      while (next < operations.length && current === life) {
        const operation = operations[next++];
        if (operation !== undefined) await perform(store, model, operation, pending);
      }
      await Promise.all(pending);
      return "done";
    };
    const end = await Promise.race([work(), crashed]);
    if (end === undefined) {
      hasCrashed = true;
      store = undefined;
    } else if (crashAfter !== 0) files.kill();
  }
  const steps = files.steps - startSteps;
  files.crash();
  const last = await (await factoryOn(files, seed + 1_000)).open(GROUP);
  equal(last.storeId, first.storeId);
  equal(last.predecessor, undefined);
  ok(openings.every((id) => last.openingIds.includes(id)));
  await model.check(last, "at the end");
  await last.close();
  return { steps, hasCrashed };
}

test("without a crash, all of the story is there", async () => {
  for (let seed = 1; seed <= 20; seed++) await run({ seed, operations: STORY, crashes: [] });
});

test("a crash at each call leaves what was promised, and nothing that was torn", async () => {
  const { steps } = await run({ seed: 1, operations: STORY, crashes: [] });
  ok(steps > 60, `the story has ${steps} steps`);
  let crashed = 0;
  for (let at = 1; at <= steps; at++) {
    for (const seed of [1, 2, 3]) {
      try {
        if ((await run({ seed: seed * 1_000 + at, operations: STORY, crashes: [at] })).hasCrashed) crashed++;
      } catch (cause) {
        throw new Error(`crash at call ${at}, seed ${seed * 1_000 + at}`, { cause });
      }
    }
  }
  ok(crashed > steps, `${crashed} crashes`);
});

test("a process that is killed at each call, and soon after the power is lost: what was read was not on the disk", async () => {
  const { steps } = await run({ seed: 1, operations: STORY, crashes: [] });
  for (let at = 1; at <= steps; at++) {
    for (const [seed, after] of [15, 24, 33].entries()) {
      const crashes = [-at, after];
      try {
        await run({ seed: seed * 1_000 + at, operations: STORY, crashes });
      } catch (cause) {
        throw new Error(`killed at call ${at}, power lost ${after} later, seed ${seed * 1_000 + at}`, { cause });
      }
    }
  }
});

/** Appends until the log has moved on to its second segment. `onStep` is told of each call. */
async function twoSegments(files: SimFileSystem, seed: number): Promise<Storage> {
  const store = await (await factoryOn(files, seed)).open(GROUP);
  for (let index = 1; index <= 4; index++) {
    await store.append([{ index, term: 1, kind: 0, data: new Uint8Array(4_000).fill(index) }]);
  }
  return store;
}

test("a name that was found, but was not on the disk, is on the disk before anything is promised", async () => {
  let lost = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const steps: string[] = [];
    await twoSegments(
      simFiles(seed, (step) => steps.push(step)),
      seed,
    );
    const rename = steps.findIndex((step) => step.endsWith("log-000000000002"));
    ok(rename > 0);
    // Killed when the second segment got its name, or just before.
    const files = simFiles(seed);
    const killed = files.crashAfter(rename + 1, "kill");
    await Promise.race([twoSegments(files, seed), killed]);
    if (files.bytes(`${FOLDER}/log-000000000002`) !== undefined) lost++;
    const store = await (await factoryOn(files, seed)).open(GROUP);
    await store.write({ hardState: { term: 7, votedFor: undefined } });
    files.crash();
    equal((await (await factoryOn(files, seed)).open(GROUP)).hardState.term, 7);
  }
  ok(lost > 5, "some were killed after it");
});

test("crashes during recovery, one after the other, change nothing", async () => {
  for (let at = 20; at <= 80; at += 7) {
    for (let again = 1; again <= 12; again++) {
      const crashes = [at, again, again, Math.max(1, again - 1)];
      try {
        await run({ seed: at * 100 + again, operations: STORY, crashes });
      } catch (cause) {
        throw new Error(`crashes at ${crashes}, seed ${at * 100 + again}`, { cause });
      }
    }
  }
});

const size = fc.oneof(
  { weight: 5, arbitrary: fc.nat(300) },
  { weight: 3, arbitrary: fc.nat(3_000) },
  { weight: 1, arbitrary: fc.nat(40_000) },
);
const sizes = fc.array(size, { minLength: 1, maxLength: 4 });
const term = fc.nat(2);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("append" as const), sizes, term }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("rewrite" as const), back: fc.nat(5), sizes, term }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("vote" as const),
      term,
      votedFor: fc.option(fc.constantFrom("ada", "bob"), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "bind" as const }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("prune" as const), back: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("save" as const), back: fc.nat(4), bytes: fc.nat(3_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("reset" as const),
      ahead: fc.integer({ min: 1, max: 4 }),
      bytes: fc.nat(900),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ type: "settle" as const }) },
);

test("whatever is called for, and whenever the power goes, a beginning of it that holds all promises is found", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(1_000_000),
        operations: fc.array(operation, { minLength: 1, maxLength: 25 }),
        crashes: fc.array(fc.integer({ min: -90, max: 90 }), { maxLength: 4 }),
      }),
      async (each) => {
        await run(each);
      },
    ),
    { numRuns: 150 },
  );
});
