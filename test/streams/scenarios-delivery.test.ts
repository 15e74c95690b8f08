import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { defineStream, type Producer } from "../../src/index.ts";
import { simulate } from "../../src/sim/index.ts";

// Scenarios of the reference's specification, by number. S1 and S16 are in `streams.test.ts`.

const Words = defineStream<string>("words");
const SEEDS = { seeds: 2 };

const counts = ({ consumers }: Producer<string>): number[][] => consumers.map(({ items, bytes }) => [items, bytes]);

describe("delivery", () => {
  it("S3: streams of one type and other names do not mix", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      for (const name of ["stream1234", "stream5678"]) {
        const stream = defineStream<string>(name);
        const consumer = b.network.streams.consume(stream);
        const producer = a.network.streams.produce(stream);
        await producer.send(name);
        equal(await consumer.receive(), name);
        equal(consumer.producers[0]?.items, 1);
      }
    }, SEEDS));

  it("S6: values are counted for each link, from when it began", () =>
    simulate(async (sim) => {
      const [a, b, c] = [await sim.node("a"), await sim.node("b"), await sim.node("c")];
      const producer = a.network.streams.produce(Words);
      const first = b.network.streams.consume(Words);
      await producer.send("test");
      equal(await first.receive(), "test");
      deepEqual(counts(producer), [[1, 5]]);
      const second = c.network.streams.consume(Words);
      await producer.when.subscribed({ minimumOf: 2 });
      await producer.send("data2");
      deepEqual([await first.receive(), await second.receive()], ["data2", "data2"]);
      deepEqual(counts(producer), [
        [2, 11],
        [1, 6],
      ]);
      const received = [first, second].map(({ producers: [one] }) => [one?.items, one?.bytes]);
      deepEqual(received, counts(producer));
    }, SEEDS));

  it("S8: a producer with a rule serves those alone that fit it", () =>
    simulate(async (sim) => {
      const a = await sim.node("a");
      const producer = a.network.streams.produce(Words, { require: { tags: ["tag1", "tag2"] } });
      const tags = [["tag1", "tag2"], ["tag1"], ["tag3"]];
      const consumers = [];
      for (const [i, own] of tags.entries()) {
        const { network } = await sim.node(`c${i}`, { tags: own });
        consumers.push(network.streams.consume(Words));
      }
      await producer.when.subscribed();
      await sim.sleep(2_000);
      deepEqual(
        consumers.map(({ producers }) => producers.length),
        [1, 0, 0],
      );
      equal(producer.consumers.length, 1);
      ok(producer.consumers[0]?.peer.tags.has("tag2"));
    }, SEEDS));
});
