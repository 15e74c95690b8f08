import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { describe, it } from "node:test";
import { MosaikError } from "../../src/index.ts";
import { simulate } from "../../src/sim/index.ts";
import { Progresses } from "../../src/streams/delivery/index.ts";
import { CLOSE } from "../../src/wire/index.ts";
import { AdmissionBench, candidate, idOf, SourcesBench } from "./matching-kit.ts";
import { SEEDS, take, Words } from "./scenario-kit.ts";

// What was found by reading and trying, each with what it did before.

describe("a gap", () => {
  for (const cutMs of [12_000, 20_000, 50_000]) {
    it(`over a partition of ${cutMs} ms is told, whoever left whose catalog`, () =>
      simulate(async (sim) => {
        const [a, b] = [await sim.node("a"), await sim.node("b")];
        const producer = a.network.streams.produce(Words);
        // Keeps the producer online.
        a.network.streams.consume(Words);
        const consumer = b.network.streams.consume(Words);
        await producer.when.subscribed({ minimumOf: 2 });
        await producer.send("before");
        deepEqual(await take(consumer, 1), ["before"]);
        sim.cut(a, b);
        await sim.sleep(cutMs);
        await producer.sendMany(["lost", "lost too"]);
        sim.heal();
        await producer.when.subscribed({ minimumOf: 2 });
        await producer.send("after");
        for await (const { value, sequence, missed } of consumer.messages()) {
          deepEqual({ value, sequence, missed }, { value: "after", sequence: 4, missed: 2 });
          break;
        }
      }, SEEDS));
  }

  it("is remembered for as long as the producer may keep the lane, of so many at most", () => {
    const progresses = new Progresses();
    const of = (last: number) => ({ lane: "00", last, untold: 0 });
    for (let i = 0; i < 5_000; i++) progresses.keep(idOf(`peer ${i}`), of(i), 0);
    equal(progresses.of(idOf("peer 0"), 1), undefined);
    deepEqual(progresses.of(idOf("peer 4999"), 239_999), of(4_999));
    equal(progresses.of(idOf("peer 4999"), 240_000), undefined);
  });
});

describe("a producer that closes", () => {
  it("lets slow consumers read what the links hold, within the time that it has", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Words, { lagging: "wait" });
      const consumer = b.network.streams.consume(Words, { maxQueued: 16 });
      await producer.when.online();
      await producer.sendMany(Array.from({ length: 4_000 }, (_, i) => `${i}`.padEnd(100, ".")));
      let read = 0;
      const reading = (async () => {
        for await (const _ of consumer) {
          read++;
          await sim.sleep(1);
        }
      })();
      const closing = producer.close();
      await sim.until(() => read === 4_000, { withinMs: 6_000 });
      await closing;
      await consumer.close();
      await reading;
    }, SEEDS));
});

describe("a rule with `maxRttMs`", () => {
  it("has round trips measured, also where it says when a producer or a wait is online", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const near = { maxRttMs: 10_000 };
      const producer = a.network.streams.produce(Words, { onlineWhen: near });
      const consumer = b.network.streams.consume(Words);
      await producer.when.online();
      await consumer.when.subscribed(near);
    }, SEEDS));

  it("does not take a link from a producer that is measured anew, for a while", () => {
    const own = new SourcesBench({ rule: { maxRttMs: 5 } });
    deepEqual(own.peer("ada", { rttMs: 1 }), ["connect ada"]);
    deepEqual(own.accepted("ada"), []);
    deepEqual(own.peer("ada", { updateMs: 2 }), []);
    deepEqual(own.peer("ada", { updateMs: 3, rttMs: 2 }), []);
    deepEqual(own.pass(10_000), []);
    deepEqual(own.peer("ada", { updateMs: 4 }), []);
    deepEqual(own.pass(10_000), [`5000 ms: disconnect ada ${CLOSE.cancelled}`]);
  });
});

describe("a wait for peers", () => {
  it("refuses a rule that makes no sense", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const producer = network.streams.produce(Words);
      const isBad = (error: unknown): boolean => MosaikError.is(error, "bad-option");
      await rejects(producer.when.subscribed({ minimumOf: Number.NaN }), isBad);
      await rejects(producer.when.subscribed({ tagz: "a" } as never), isBad);
    }, SEEDS));

  it("of `ready` does not count those that were closed meanwhile", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const producer = network.streams.produce(Words);
      const ready = network.when.ready();
      await producer.close();
      await ready;
    }, SEEDS));
});

describe("a peer that left the catalog while its link lives", () => {
  it("is still known to the producer", () => {
    const own = new AdmissionBench();
    equal(own.enter("one", "ada"), "admit");
    own.gone("ada");
    equal(own.admission.peer(idOf("ada"))?.id, idOf("ada"));
    own.leave("one");
    equal(own.admission.peer(idOf("ada")), undefined);
  });

  it("is still known to the consumer, and may come back with an entry that counts anew", () => {
    const own = new SourcesBench({ rule: { tags: "good" } });
    own.peer("ada", { tags: ["good"], startMs: 9 });
    own.accepted("ada");
    own.sources.onLost(idOf("ada"), own.nowMs);
    deepEqual(own.lines(), []);
    equal(own.sources.peer(idOf("ada"))?.id, idOf("ada"));
    deepEqual(own.peer("ada", { tags: ["bad"], startMs: 3 }), [`disconnect ada ${CLOSE.cancelled}`]);
  });
});

describe("a peer that comes and goes", () => {
  it("is asked about once at a time", () => {
    const own = new AdmissionBench({ needsTickets: true });
    let asked = 0;
    for (let i = 0; i < 50; i++) {
      equal(own.enter(`link ${i}`, "ada", { tickets: ["good"] }), "wait");
      asked += own.lines().filter((line) => line.startsWith("validate")).length;
      own.leave(`link ${i}`);
    }
    equal(asked, 1);
    own.pass(10_000);
    equal(own.admission.peer(idOf("ada")), undefined);
  });

  it("and is refused leaves nothing behind", () => {
    const own = new AdmissionBench({ rule: { tags: "good" } });
    for (let i = 0; i < 100; i++) {
      equal(own.admission.enter(`${i}`, candidate("ada"), own.nowMs).type, "refuse");
    }
    ok(own.admission.peer(idOf("ada")) === undefined);
    deepEqual(own.lines(), []);
  });
});
