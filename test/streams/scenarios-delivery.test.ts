import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import { type Consumer, defineStream } from "../../src/index.ts";
import { simulate } from "../../src/sim/index.ts";
import { countsOf, heard, isSettled, metricOf, SEEDS, take, Words, within } from "./scenario-kit.ts";

// Scenarios of the reference's specification, by number: what is sent, received and counted.

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

describe("delivery", () => {
  it("S1: gives all consumers all values, in order", () =>
    simulate(async (sim) => {
      const [a, b, c] = [await sim.node("a"), await sim.node("b"), await sim.node("c")];
      const producer = a.network.streams.produce(Words);
      const consumers = [b, c].map(({ network }) => network.streams.consume(Words));
      await producer.when.subscribed({ minimumOf: 2 });
      const words = range(0, 100).map((i) => `word ${i}`);
      await producer.sendMany(words);
      for (const consumer of consumers) {
        deepEqual(await take(consumer, 100), words);
        const [channel] = consumer.producers;
        deepEqual([channel?.items, channel?.missed, channel?.peer.id], [100, 0, a.network.peerId]);
      }
      deepEqual(
        producer.consumers.map(({ items }) => items),
        [100, 100],
      );
      equal(metricOf(a.network, "producer_items_sent"), 200);
      equal(metricOf(a.network, "producer_consumers"), 2);
      equal(metricOf(b.network, "consumer_items_received"), 100);
    }, SEEDS));

  it("S3: streams of one type and other names do not mix", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const streams = ["stream1234", "stream5678"].map((name) => defineStream<string>(name));
      const consumers = streams.map((stream) => b.network.streams.consume(stream));
      const producers = streams.map((stream) => a.network.streams.produce(stream));
      for (const [i, producer] of producers.entries()) await producer.send(`of ${streams[i]?.name}`);
      const received = within(3_000, sim, Promise.all(consumers.map((consumer) => consumer.receive())));
      deepEqual(await received, ["of stream1234", "of stream5678"]);
      await sim.sleep(1_000);
      for (const { producers: channels } of consumers) deepEqual(countsOf(channels), [[1, 14]]);
    }, SEEDS));

  it("S6: values are counted for each link, from when it began", () =>
    simulate(async (sim) => {
      const [a, b, c] = [await sim.node("a"), await sim.node("b"), await sim.node("c")];
      const producer = a.network.streams.produce(Words);
      const first = b.network.streams.consume(Words);
      await producer.send("test");
      equal(await first.receive(), "test");
      deepEqual([countsOf(producer.consumers), countsOf(first.producers)], [[[1, 5]], [[1, 5]]]);
      const second = c.network.streams.consume(Words);
      await producer.when.subscribed({ minimumOf: 2 });
      await producer.send("data2");
      deepEqual([await first.receive(), await second.receive()], ["data2", "data2"]);
      const both = [
        [2, 11],
        [1, 6],
      ];
      deepEqual(countsOf(producer.consumers), both);
      deepEqual(
        [first, second].flatMap(({ producers }) => countsOf(producers)),
        both,
      );
    }, SEEDS));

  it("S7: a consumer of two producers counts each, and both", () =>
    simulate(async (sim) => {
      const [a, b, c] = [await sim.node("a"), await sim.node("b"), await sim.node("c")];
      const consumer = c.network.streams.consume(Words);
      const [one, two] = [a.network.streams.produce(Words), b.network.streams.produce(Words)];
      await one.sendMany(["hello", "world"]);
      deepEqual(await take(consumer, 2), ["hello", "world"]);
      await two.send("again");
      equal(await consumer.receive(), "again");
      const counts = new Map(consumer.producers.map(({ peer, items, bytes }) => [peer.id, [items, bytes]]));
      deepEqual(
        [counts.get(a.network.peerId), counts.get(b.network.peerId)],
        [
          [2, 12],
          [1, 6],
        ],
      );
      equal(metricOf(c.network, "consumer_items_received"), 3);
      equal(metricOf(c.network, "consumer_bytes_received"), 18);
      deepEqual(
        [one, two].flatMap(({ consumers }) => countsOf(consumers)),
        [
          [2, 12],
          [1, 6],
        ],
      );
    }, SEEDS));

  it("S16: `send` waits while nobody is there, and `trySend` says so", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Words);
      const sending = producer.send("kept");
      equal(producer.trySend("lost"), "offline");
      await sim.sleep(2_000);
      equal(await isSettled(sim, sending), false);
      const consumer: Consumer<string> = b.network.streams.consume(Words);
      await within(2_000, sim, Promise.all([producer.when.online(), sending]));
      equal(await within(2_000, sim, consumer.receive()), "kept");
      await Promise.all([consumer.close(), within(2_000, sim, producer.when.offline())]);
      deepEqual([producer.trySend("lost"), producer.isOnline, heard(consumer)], ["offline", false, 0]);
    }, SEEDS));
});
