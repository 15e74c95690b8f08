import { deepEqual, equal, notEqual, rejects, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { LIMITS, type MosaikError, mosaikError } from "../../env/index.ts";
import { ReadServer, Reads, type ReadWaiter } from "./reads.ts";

/** A member's reads with a clock, a replica and a leader by hand. */
class Bench {
  nowUs = 0;
  applied = 0;
  /** Requests that went to the leader. */
  readonly asked: number[] = [];
  readonly reads = new Reads(
    () => this.nowUs,
    () => this.applied,
  );

  route(): void {
    this.reads.setRoute((request) => this.asked.push(request));
  }

  apply(index: number): void {
    this.applied = index;
    this.reads.onApplied();
  }

  read(deadlineUs = 1_000): { readonly waiter: ReadWaiter; readonly done: Promise<void> } {
    let waiter: ReadWaiter | undefined;
    const done = new Promise<void>((resolve, reject) => {
      waiter = { deadlineUs, onReady: resolve, onFailed: (error: MosaikError) => reject(error) };
      this.reads.add(waiter);
    });
    return { waiter: waiter as ReadWaiter, done };
  }

  /** All microtasks that are due. */
  async turn(): Promise<void> {
    for (let i = 0; i < 5; i++) await null;
  }
}

describe("strong reads", () => {
  it("those of one turn share a request, a later one has its own", async () => {
    const bench = new Bench();
    bench.route();
    const first = [bench.read(), bench.read(), bench.read()];
    await bench.turn();
    const later = bench.read();
    await bench.turn();
    deepEqual(bench.asked, [1, 2]);
    bench.reads.onReply(1, 0);
    await Promise.all(first.map(({ done }) => done));
    equal(bench.reads.pending, 1, "an answer to an earlier request confirms nothing that began later");
    bench.reads.onReply(2, 0);
    await later.done;
  });

  it("waits until the replica is where the leader was", async () => {
    const bench = new Bench();
    bench.route();
    let isDone = false;
    const { done } = bench.read();
    void done.then(() => {
      isDone = true;
    });
    await bench.turn();
    bench.reads.onReply(1, 10);
    bench.apply(9);
    await bench.turn();
    equal(isDone, false);
    bench.apply(12);
    await done;
    equal(bench.reads.pending, 0);
  });

  it("what was confirmed in a log that another one replaced is asked again, and waits for the other replica", async () => {
    const bench = new Bench();
    bench.route();
    const { done } = bench.read();
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    await bench.turn();
    bench.reads.onReply(1, 10);
    bench.apply(5);
    bench.applied = 0; // another store, from entry 1
    bench.reads.forget();
    bench.apply(10);
    await bench.turn();
    equal(isDone, false);
    deepEqual(bench.asked, [1, 2]);
    bench.reads.onReply(2, 11);
    bench.apply(11);
    await done;
  });

  it("another route asks again, and the old answer confirms nothing", async () => {
    const bench = new Bench();
    bench.route();
    const { done } = bench.read();
    await bench.turn();
    bench.reads.setRoute(undefined);
    await bench.turn();
    deepEqual(bench.asked, [1]);
    bench.route();
    await bench.turn();
    deepEqual(bench.asked, [1, 2]);
    bench.reads.onReply(1, 0);
    equal(bench.reads.pending, 1);
    bench.reads.onReply(2, 0);
    await done;
  });

  it("a refusal is asked again at the next tick", async () => {
    const bench = new Bench();
    bench.route();
    const { done } = bench.read();
    await bench.turn();
    bench.reads.onReply(1, undefined);
    await bench.turn();
    deepEqual(bench.asked, [1], "not at once: a leader that refuses would be asked without end");
    bench.reads.sweep();
    await bench.turn();
    deepEqual(bench.asked, [1, 2]);
    bench.reads.onReply(2, 0);
    await done;
  });

  it("ends at its deadline, wherever it waits, and the others go on", async () => {
    const bench = new Bench();
    const gathering = bench.read(100);
    await bench.turn();
    bench.nowUs = 100;
    bench.reads.sweep();
    await rejects(gathering.done, { code: "group-offline" });

    bench.route();
    const asked = bench.read(200);
    const other = bench.read(500);
    await bench.turn();
    bench.nowUs = 200;
    bench.reads.sweep();
    await rejects(asked.done, { code: "group-offline" });
    bench.reads.onReply(1, 7);
    bench.nowUs = 500;
    bench.reads.sweep();
    await rejects(other.done, { code: "group-offline" });
    equal(bench.reads.pending, 0);
  });

  it("can be taken back in each state, once", async () => {
    const bench = new Bench();
    const gathering = bench.read();
    equal(bench.reads.remove(gathering.waiter), true);
    equal(bench.reads.remove(gathering.waiter), false);
    bench.route();
    const asked = bench.read();
    await bench.turn();
    equal(bench.reads.remove(asked.waiter), true);
    const confirmed = bench.read();
    await bench.turn();
    bench.reads.onReply(2, 5);
    equal(bench.reads.remove(confirmed.waiter), true);
    equal(bench.reads.pending, 0);
    bench.apply(5);
    bench.reads.onReply(1, 0);
    equal(bench.reads.pending, 0);
  });

  it("close ends all of them, and later ones too", async () => {
    const bench = new Bench();
    bench.route();
    const confirmed = bench.read();
    await bench.turn();
    bench.reads.onReply(1, 9);
    const asked = bench.read();
    await bench.turn();
    const gathering = bench.read();
    const error = mosaikError("closed", "the group was closed");
    bench.reads.close(error);
    for (const { done } of [confirmed, asked, gathering]) await rejects(done, { code: "closed" });
    equal(bench.reads.pending, 0);
    await rejects(bench.read().done, { code: "closed" });
  });

  it("is bounded", () => {
    const bench = new Bench();
    const waiter: ReadWaiter = { deadlineUs: 1, onReady: () => {}, onFailed: () => {} };
    for (let i = 0; i < LIMITS.readsMax; i++) bench.reads.add(waiter);
    throws(() => bench.reads.add(waiter), { code: "overloaded" });
  });
});

describe("a leader's answers to reads", () => {
  it("go to whoever asked, once; a loss of leadership refuses the rest", () => {
    const server = new ReadServer();
    const answers: [string, number | undefined][] = [];
    const ask = (who: string): number => server.register((index) => answers.push([who, index])) as number;
    const [ada, bob, cyd] = [ask("ada"), ask("bob"), ask("cyd")];
    server.answer(bob, 4);
    server.answer(bob, 5);
    server.refuseAll();
    server.answer(ada, 6);
    server.answer(cyd, 6);
    deepEqual(answers, [
      ["bob", 4],
      ["ada", undefined],
      ["cyd", undefined],
    ]);
    equal(ask("dan") > cyd, true, "ids are never reused");
  });

  it("are bounded, whoever asks", () => {
    const server = new ReadServer();
    for (let i = 0; i < LIMITS.readsMax; i++) server.register(() => {});
    equal(
      server.register(() => {}),
      undefined,
    );
    server.refuseAll();
    notEqual(
      server.register(() => {}),
      undefined,
    );
  });
});
