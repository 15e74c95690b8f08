import { deepEqual, equal, notDeepEqual, ok, rejects } from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { EventEmitter, on, once } from "node:events";
import { readFile } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import * as timers from "node:timers";
import { Scope } from "./scope.ts";
import { SimulationError, VirtualWorld } from "./virtual.ts";

const sleepOn = (world: VirtualWorld, ms: number): Promise<void> =>
  new Promise((resolve) => world.env("sim").after(ms, resolve));

test("time moves from event to event, in order of time, then of scheduling", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const { after, clock } = world.env("ada");
  const seen: string[] = [];
  await world.run(async () => {
    for (const [delayMs, name] of [
      [5, "late"],
      [1, "first"],
      [1, "second"],
      [0, "now"],
      [0.5, "half"],
    ] as const) {
      after(delayMs, () => seen.push(`${name} ${clock.monotonicUs()}`));
    }
    after(2, () => seen.push("never")).cancel();
    await sleepOn(world, 10);
  });
  deepEqual(seen, ["now 0", "half 500", "first 1000", "second 1000", "late 5000"]);
  equal(world.nowUs, 10_000);
});

test("each event's microtasks and ticks are over before the next event", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const seen: string[] = [];
  await world.run(async () => {
    const { after } = world.env("ada");
    after(1, () => {
      void (async () => {
        for (let i = 0; i < 3; i++) await null;
        process.nextTick(() => queueMicrotask(() => seen.push("all of one")));
      })();
    });
    after(1, () => seen.push("two"));
    await sleepOn(world, 2);
  });
  deepEqual(seen, ["all of one", "two"]);
});

test("async iteration, events, abort signals, scopes and node streams work on virtual time", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const read = await world.run(async () => {
    const env = world.env("ada");
    const emitter = new EventEmitter();
    const stop = new AbortController();
    const scope = new Scope(env, (cause) => world.fail(cause));
    scope.every(10, () => emitter.emit("tick", env.clock.monotonicUs()));
    const seen: unknown[] = [];
    await rejects(async () => {
      for await (const [at] of on(emitter, "tick", { signal: stop.signal })) {
        seen.push(at);
        if (seen.length === 3) stop.abort(new Error("enough"));
      }
    });
    await once(emitter, "tick");
    const stream = new PassThrough();
    scope.after(3, () => stream.end("bytes"));
    for await (const chunk of stream) seen.push(String(chunk));
    await scope.close();
    return seen;
  });
  deepEqual(read, [10_000, 20_000, 30_000, "bytes"]);
});

test("nothing left to happen is `stalled`, and so is no end in sight", async () => {
  const stalls = { name: "SimulationError", verdict: "stalled" };
  await rejects(
    new VirtualWorld({ seed: 1 }).run(() => new Promise(() => {})),
    stalls,
  );
  const forever = async (world: VirtualWorld): Promise<void> => {
    for (;;) await sleepOn(world, 1);
  };
  const few = new VirtualWorld({ seed: 1, eventsMax: 100 });
  await rejects(
    few.run(() => forever(few)),
    stalls,
  );
  const short = new VirtualWorld({ seed: 1, virtualMsMax: 50 });
  await rejects(
    short.run(() => forever(short)),
    stalls,
  );
});

test("what the story, an event or a hook throws ends the run", async () => {
  const boom = new Error("boom");
  await rejects(
    new VirtualWorld({ seed: 1 }).run(() => Promise.reject(boom)),
    boom,
  );
  const thrower = new VirtualWorld({ seed: 1 });
  await rejects(
    thrower.run(async () => {
      thrower.env("ada").after(1, () => {
        throw boom;
      });
      await sleepOn(thrower, 9);
    }),
    boom,
  );
  equal(thrower.nowUs, 1_000);
  const hooked = new VirtualWorld({ seed: 1 });
  hooked.afterEvent(() => {
    if (hooked.nowUs === 3_000) throw boom;
  });
  await rejects(
    hooked.run(async () => {
      for (;;) await sleepOn(hooked, 1);
    }),
    boom,
  );
});

test("a paused node's timers wait; a crashed node's never come", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const seen: string[] = [];
  const note = (what: string) => (): void => {
    seen.push(`${what} ${world.nowUs / 1000}`);
  };
  await world.run(async () => {
    const [ada, bob] = [world.node("ada"), world.node("bob")];
    ada.env.after(1, note("a"));
    const cancelled = ada.env.after(2, note("cancelled"));
    bob.env.after(2, note("b"));
    const old = bob.env;
    ada.pause();
    await sleepOn(world, 5);
    bob.env.after(1, note("lost"));
    bob.crash();
    old.after(0, note("ghost"));
    void old.compute(async () => note("ghost")());
    bob.env.after(1, note("new life"));
    cancelled.cancel();
    ada.resume();
    await sleepOn(world, 5);
  });
  deepEqual(seen, ["b 2", "a 5", "new life 6"]);
});

test("wall clocks jump, and clocks drift, for one node alone", async () => {
  const world = new VirtualWorld({ seed: 1 });
  await world.run(async () => {
    const [ada, bob] = [world.node("ada"), world.node("bob")];
    const startMs = bob.env.clock.wallMs();
    ada.jumpWallClock(-60_000);
    equal(ada.env.clock.wallMs(), startMs - 60_000);
    ada.setDrift(100_000);
    let rangAtUs = 0;
    ada.env.after(1_100, () => {
      rangAtUs = world.nowUs;
    });
    await sleepOn(world, 2_000);
    equal(rangAtUs, 1_000_000, "eleven of ada's seconds are ten of the world's");
    equal(ada.env.clock.monotonicUs(), 2_200_000);
    equal(bob.env.clock.monotonicUs(), 2_000_000);
    ada.setDrift(0);
    await sleepOn(world, 1_000);
    equal(ada.env.clock.monotonicUs(), 3_200_000, "time does not go back when the drift ends");
  });
});

test("time stands still while jobs run, and results come in the order of submission", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const seen: string[] = [];
  await world.run(async () => {
    const { after, compute } = world.env("ada");
    after(1, () => seen.push("timer"));
    // The second is done long before the first.
    const slow = compute(async () => {
      for (let i = 0; i < 5; i++) await readFile(import.meta.filename);
      return "slow";
    });
    const quick = compute(async () => "quick");
    const failed = compute(async () => {
      await readFile(import.meta.filename);
      throw new Error("failed");
    });
    await Promise.all([
      slow.then((value) => seen.push(value)),
      quick.then((value) => seen.push(value)),
      failed.catch((cause: Error) => seen.push(cause.message)),
    ]);
    equal(world.nowUs, 0);
    await sleepOn(world, 2);
  });
  deepEqual(seen, ["slow", "quick", "failed", "timer"]);
});

/** A little world whose history depends on everything that could leak: timers, randomness, promises, jobs. */
function history(seed: number): { world: VirtualWorld; story: () => Promise<string> } {
  const hash = createHash("sha256");
  const world = new VirtualWorld({
    seed,
    onEvent: (timeUs, node, label) => hash.update(`${timeUs} ${node} ${label}\n`),
  });
  const story = async (): Promise<string> => {
    await Promise.all(
      ["ada", "bob", "cyd"].map(async (name) => {
        const env = world.env(name);
        for (let i = 0; i < 50; i++) {
          await new Promise<void>((resolve) => env.after(env.random.below(20), resolve));
          if (env.random.below(10) === 0) await env.compute(() => readFile(import.meta.filename));
          hash.update(`${name} ${env.random.uint32()} ${env.clock.wallMs()}\n`);
        }
      }),
    );
    return hash.digest("hex");
  };
  return { world, story };
}

const hashOf = (seed: number): Promise<string> => {
  const { world, story } = history(seed);
  return world.run(story);
};

test("one seed gives one history: alone, again, interleaved, inside another world's barrier", async () => {
  const alone = [await hashOf(1), await hashOf(2), await hashOf(3)];
  equal(new Set(alone).size, 3);
  deepEqual([await hashOf(3), await hashOf(2), await hashOf(1)].reverse(), alone);
  deepEqual(await Promise.all([hashOf(1), hashOf(2), hashOf(3)]), alone);
  const outer = new VirtualWorld({ seed: 9 });
  equal(await outer.run(() => outer.env("ada").compute(() => hashOf(2))), alone[1]);
});

test("forked random streams are independent of what was drawn elsewhere", () => {
  const [one, two] = [new VirtualWorld({ seed: 7 }), new VirtualWorld({ seed: 7 })];
  one.env("ada").random.bytes(100);
  one.random.uint32();
  deepEqual(one.env("bob").random.bytes(9), two.env("bob").random.bytes(9));
  notDeepEqual(one.env("cyd").random.bytes(9), one.env("bob").random.bytes(9));
  const { random } = two;
  for (const bound of [1, 2, 3, 1000, 2 ** 32]) for (let i = 0; i < 100; i++) ok(random.below(bound) < bound);
});

const LEAKS: Record<string, (world: VirtualWorld) => unknown> = {
  "Date.now": () => Date.now(),
  "new Date()": () => new Date(),
  "Date()": () => Date(),
  "performance.now": () => performance.now(),
  "process.hrtime.bigint": () => process.hrtime.bigint(),
  "process.uptime": () => process.uptime(),
  "Math.random": () => Math.random(),
  "Math.log": () => Math.log(2),
  "Math.exp": () => Math.exp(2),
  "Math.pow": () => Reflect.get(Math, "pow")(2, 3),
  setTimeout: () => setTimeout(() => {}, 1),
  setInterval: () => setInterval(() => {}, 1),
  setImmediate: () => setImmediate(() => {}),
  "crypto.getRandomValues": () => crypto.getRandomValues(new Uint8Array(1)),
  "crypto.randomUUID": () => crypto.randomUUID(),
  "String.prototype.localeCompare": () => "a".localeCompare("b"),
  RANDOMBYTESREQUEST: () => randomBytes(1),
  HASHREQUEST: () => crypto.subtle.digest("SHA-256", new Uint8Array(1)),
  SIGNREQUEST: () => sign(null, Buffer.from("a"), generateKeyPairBefore.privateKey, () => {}),
  Timeout: () => AbortSignal.timeout(1),
  Immediate: () => timers.setImmediate(() => {}),
  FSREQPROMISE: () => readFile(import.meta.filename),
  MESSAGEPORT: () => new MessageChannel().port1.close(),
};
const generateKeyPairBefore = generateKeyPairSync("ed25519");

for (const [what, leak] of Object.entries(LEAKS)) {
  test(`a leak is caught: ${what}`, async () => {
    // In the first turn, in an event, and in a microtask after an await.
    const plants: ((world: VirtualWorld) => Promise<unknown>)[] = [
      async (world) => leak(world),
      async (world) => {
        world.env("ada").after(1, () => leak(world));
        await sleepOn(world, 5);
      },
      async (world) => {
        await sleepOn(world, 1);
        await null;
        leak(world);
        await sleepOn(world, 5);
      },
    ];
    for (const plant of plants) {
      const world = new VirtualWorld({ seed: 1 });
      const isIt = (error: unknown): boolean =>
        error instanceof SimulationError && error.verdict === "leak" && error.message === `leak: ${what}`;
      await rejects(
        world.run(() => plant(world)),
        isIt,
      );
    }
  });
}

test("what is a function of its arguments is no leak, nor is anything outside a run", async () => {
  const originals = [Date, Date.now, setTimeout, Math.random, performance.now];
  const world = new VirtualWorld({ seed: 1 });
  await world.run(async () => {
    new Date(5).toISOString();
    sign(null, Buffer.from("a"), generateKeyPairBefore.privateKey);
    createHash("sha256").update("a").digest();
    structuredClone({ a: 1 });
    AbortSignal.any([new AbortController().signal]);
    await world.env("ada").compute(async () => [Date.now(), Math.random(), await readFile(import.meta.filename)]);
  });
  deepEqual([Date, Date.now, setTimeout, Math.random, performance.now], originals, "all is put back");
});

test("an unhandled throw in a tick ends the run", async () => {
  // In a process of its own, since the test runner listens for such things too.
  const { spawnSync } = await import("node:child_process");
  const code = `
    const { VirtualWorld } = await import(${JSON.stringify(new URL("./virtual.ts", import.meta.url).href)});
    for (const plant of [() => process.nextTick(() => { throw new Error("in a tick"); }), () => void Promise.reject(new Error("unhandled"))]) {
      const world = new VirtualWorld({ seed: 1 });
      await world.run(async () => { plant(); await new Promise((resolve) => world.env("a").after(5, resolve)); })
        .then(() => console.log("missed"), (error) => console.log(error.message));
    }`;
  const { stdout } = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], {
    encoding: "utf8",
  });
  equal(stdout, "in a tick\nunhandled\n");
});
