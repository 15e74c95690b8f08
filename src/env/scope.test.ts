import { deepEqual, equal, rejects } from "node:assert/strict";
import { describe, it } from "node:test";
import { Scope } from "./scope.ts";
import { VirtualWorld } from "./virtual.ts";

/** A scope on virtual time, and what its tasks failed with. */
async function withScope(
  play: (scope: Scope, failures: unknown[], sleep: (ms: number) => Promise<void>) => Promise<void>,
): Promise<void> {
  const world = new VirtualWorld({ seed: 1 });
  const env = world.env("node");
  const failures: unknown[] = [];
  const scope = new Scope(env, (cause) => failures.push(cause));
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => env.after(ms, resolve));
  await world.run(() => play(scope, failures, sleep));
}

describe("a scope", () => {
  it("runs timers while it is open, and none after", () =>
    withScope(async (scope, failures, sleep) => {
      const seen: string[] = [];
      scope.after(10, () => seen.push("once"));
      const every = scope.every(4, () => seen.push("every"));
      scope.after(5, () => seen.push("cancelled")).cancel();
      await sleep(11);
      deepEqual(seen, ["every", "every", "once"]);
      every.cancel();
      every.cancel();
      scope.after(5, () => seen.push("too late"));
      await scope.close();
      scope.after(1, () => seen.push("after the close"));
      await sleep(50);
      equal(seen.length, 3);
      deepEqual(failures, []);
    }));

  it("may have as many tasks that listen as there are, and nobody warns of a leak", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    await withScope(async (scope) => {
      for (let i = 0; i < 50; i++) {
        scope.spawn((signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())));
      }
      await scope.close();
    });
    await new Promise(setImmediate);
    process.off("warning", note);
    deepEqual(warnings, []);
  });

  it("waits for its tasks as it closes, and aborts them", () =>
    withScope(async (scope, failures, sleep) => {
      let ended = false;
      scope.spawn(async (signal) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        await sleep(5);
        ended = true;
        throw new Error("of no interest any more");
      });
      await scope.close("over");
      equal(ended, true);
      equal(scope.signal.reason, "over");
      deepEqual(failures, []);
      scope.spawn(() => Promise.reject(new Error("never begun")));
      await scope.close();
    }));

  it("waits for what a caller waits for, who alone hears how it ended", () =>
    withScope(async (scope, failures, sleep) => {
      equal(await scope.run(async () => 5), 5);
      await rejects(
        scope.run(() => Promise.reject(new Error("for the caller"))),
        { message: "for the caller" },
      );
      let ended = false;
      const running = scope.run(async () => {
        await sleep(5);
        ended = true;
        throw new Error("too late");
      });
      const told = rejects(running, { message: "too late" });
      await scope.close(new Error("over"));
      equal(ended, true);
      await told;
      await rejects(
        scope.run(async () => 5),
        { message: "over" },
      );
      deepEqual(failures, []);
    }));

  it("tells its owner what failed, and stays open", () =>
    withScope(async (scope, failures, sleep) => {
      scope.spawn(() => Promise.reject("a task"));
      scope.after(1, () => {
        throw new Error("a timer");
      });
      await sleep(2);
      deepEqual(failures.map(String), ["a task", "Error: a timer"]);
      equal(scope.isClosed, false);
      await scope.close();
    }));

  it("a sleep ends by time, by its signal, and by the close", () =>
    withScope(async (scope, _failures, sleep) => {
      await scope.sleep(5);
      const controller = new AbortController();
      const aborted = rejects(scope.sleep(1_000, controller.signal), { message: "no more" });
      controller.abort(new Error("no more"));
      await aborted;
      await rejects(scope.sleep(1, AbortSignal.abort(new Error("before"))), { message: "before" });
      const closed = rejects(scope.sleep(1_000), { message: "closing" });
      await sleep(1);
      await scope.close(new Error("closing"));
      await closed;
      await rejects(scope.sleep(1), { message: "closing" });
    }));
});
