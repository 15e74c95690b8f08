import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { type ByteWriter, inlineMessagePack } from "../../wire/index.ts";
import { FakePort, outflowOf } from "./outflow-bench.test.ts";
import type { QueueLimits } from "./outlet.ts";

const ROOMY: QueueLimits = { maxQueued: 10, maxQueuedBytes: 1_000, lagging: "wait" };

const fast = { sendEncoded: () => true, sentBytes: 0, queuedBytes: 0 };
const stuck = { ...fast, sendEncoded: () => false };

describe("an offer while another one is made", () => {
  it("is for the next turn, in `write`, `matches` and `undelivered`; the outer one is as it would be", () => {
    const answers: string[] = [];
    const offerInner = (value: string): void => {
      if (value.startsWith("outer")) answers.push(outflow.offer("inner"));
    };
    const outflow = outflowOf<string>({
      matches: (value, wanted) => {
        if (value === "outer matches") offerInner(value);
        return value !== "outer unwanted" || wanted !== 1;
      },
      write: (writer, value) => {
        if (value === "outer write") offerInner(value);
        inlineMessagePack.write(writer, value);
      },
      undelivered: offerInner,
    });
    const port = new FakePort(10);
    const subscriber = outflow.enter(port, { key: "1", value: 1 }, () => {});
    for (const value of ["outer write", "outer matches", "outer unwanted"]) equal(outflow.offer(value), "taken");
    deepEqual(answers, ["next-turn", "next-turn", "next-turn"]);
    equal(outflow.offer("inner"), "taken");
    outflow.flush();
    equal(subscriber?.outlet.items, 3);
    const text = port
      .read()
      .map((frame) => Buffer.from(frame).toString("latin1"))
      .join();
    deepEqual(text.match(/outer write|outer matches|inner/g), ["outer write", "outer matches", "inner"]);
  });

  it("a flush waits until the value is written", () => {
    const outflow = outflowOf<string>({
      write: (writer, value) => {
        inlineMessagePack.write(writer, value);
        outflow.flush();
      },
    });
    const subscriber = outflow.enter(fast, undefined, () => {});
    equal(outflow.offer("one"), "taken");
    equal(subscriber?.outlet.items, 1);
    equal(outflow.offer("two"), "taken");
    equal(subscriber?.outlet.items, 2);
  });
});

describe("who comes and goes while a value is written", () => {
  const wordsOf = (port: FakePort): string[] =>
    port.read().flatMap(
      (frame) =>
        Buffer.from(frame)
          .toString("latin1")
          .match(/\w{4,}/g) ?? [],
    );

  it("does so after it: all get whole values, none of them half", () => {
    const [stays, goes, comes] = [new FakePort(10), new FakePort(10), new FakePort(10)];
    const outflow = outflowOf<string>({
      write: (writer, value) => {
        inlineMessagePack.write(writer, `${value} begun`);
        if (value === "second") {
          if (gone !== undefined) outflow.leave(gone);
          outflow.afterOffer(() => outflow.enter(comes, undefined, () => {}));
        }
        inlineMessagePack.write(writer, `${value} ended`);
      },
    });
    outflow.enter(stays, undefined, () => {});
    const gone = outflow.enter(goes, undefined, () => {});
    for (const value of ["first", "second", "third"]) equal(outflow.offer(value), "taken");
    outflow.flush();
    const of = (...values: string[]): string[] => values.flatMap((value) => [value, "begun", value, "ended"]);
    deepEqual(wordsOf(stays), of("first", "second", "third"));
    deepEqual(wordsOf(goes), of("first", "second"));
    deepEqual(wordsOf(comes), of("third"));
    deepEqual([gone?.outlet.items, gone?.outlet.missed], [2, 0]);
  });
});

describe("what nobody wants", () => {
  it("takes its part of a turn, too", () => {
    let gathered = 0;
    const outflow = outflowOf<number>({ onGathered: () => gathered++ });
    for (let turn = 1; turn <= 3; turn++) {
      for (let i = 0; i < ROOMY.maxQueued; i++) equal(outflow.offer(i), "taken");
      equal(outflow.offer(0), "next-turn");
      equal(gathered, turn);
      outflow.flush();
    }
  });

  it("is taken though `undelivered` throws, which is told once", () => {
    const problems: unknown[] = [];
    const cause = new Error("the program's own");
    const outflow = outflowOf<number>({
      undelivered: () => {
        throw cause;
      },
      onProblem: (problem) => problems.push(problem),
    });
    equal(outflow.offer(1), "taken");
    equal(outflow.offer(2), "taken");
    deepEqual(problems, [cause]);
  });
});

describe("a consumer that leaves", () => {
  it("is sent, or misses, what was sent in the turn before it left", () => {
    for (const port of [fast, stuck]) {
      const outflow = outflowOf<number>({});
      const subscriber = outflow.enter(port, undefined, () => {});
      ok(subscriber !== undefined);
      for (const value of [1, 2]) outflow.offer(value);
      outflow.flush();
      for (const value of [3, 4, 5]) outflow.offer(value);
      outflow.leave(subscriber);
      const { items, missed } = subscriber.outlet;
      equal(items + missed, 5);
    }
  });
});

describe("a consumer that is let in while another one is put out", () => {
  it("gets nothing of the chunk that was too much for that one", () => {
    const outflow = outflowOf<number>({ limits: { maxQueued: 1, maxQueuedBytes: 1_000, lagging: "disconnect" } });
    const port = new FakePort(10);
    let next: number | undefined;
    const slow = outflow.enter(stuck, undefined, () => {
      if (slow !== undefined) outflow.leave(slow);
      next = outflow.enter(port, undefined, () => {})?.lane.chunk.next;
    });
    for (const value of [1, 2, 3]) {
      outflow.offer(value);
      outflow.flush();
    }
    equal(next, 4);
    deepEqual(port.read(), []);
    outflow.offer(4);
    outflow.flush();
    equal(port.read().length, 1);
  });
});

describe("`drop-oldest`", () => {
  const limits: QueueLimits = { maxQueued: 100_000, maxQueuedBytes: 8 << 20, lagging: "drop-oldest" };
  const write = (writer: ByteWriter, value: Uint8Array): void => void writer.fixed(value);

  it("makes room by bytes in one pass, however many small values go", () => {
    const outflow = outflowOf<Uint8Array>({ limits, write });
    const subscriber = outflow.enter(stuck, undefined, () => {});
    ok(subscriber !== undefined);
    outflow.offer(Uint8Array.of(0));
    outflow.flush();
    const small = new Uint8Array(60);
    for (let i = 0; i < 100_000; i++) if (outflow.offer(small) !== "taken") outflow.flush();
    outflow.flush();
    const { queued } = subscriber.outlet;
    const start = process.cpuUsage();
    outflow.offer(new Uint8Array(4 << 20));
    outflow.flush();
    const { user } = process.cpuUsage(start);
    const { queued: left, queuedBytes, missed } = subscriber.outlet;
    ok(queuedBytes <= limits.maxQueuedBytes);
    ok(queuedBytes > limits.maxQueuedBytes - 64, "no more than that");
    equal(missed, queued + 1 - left);
    ok(user < 200_000, `${user} us`);
  });
});
