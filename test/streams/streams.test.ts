import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { describe, it } from "node:test";
import { defineStream, MosaikError } from "../../src/index.ts";
import { simulate } from "../../src/sim/index.ts";
import { take, Words } from "./scenario-kit.ts";

const Numbers = defineStream<number, number, { readonly above: number }>("numbers", {
  matches: (value, { above }) => value > above,
});
const SEEDS = { seeds: 3 };

describe("a stream", () => {
  it("connects a producer and a consumer of one node", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const consumer = network.streams.consume(Numbers, { criteria: { above: 97 } });
      const producer = network.streams.produce(Numbers);
      await producer.when.online();
      await producer.sendMany(Array.from({ length: 100 }, (_, i) => i));
      deepEqual(await take(consumer, 2), [98, 99]);
      await producer.close();
      await sim.until(() => consumer.producers.length === 0, { withinMs: 1_000 });
    }, SEEDS));

  it("sends what is queued before it closes, and ends the waits of its consumers' programs when they close", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Words, { lagging: "wait" });
      const consumer = b.network.streams.consume(Words, { maxQueued: 2 });
      await producer.when.online();
      await producer.sendMany(["one", "two", "three", "four", "five"]);
      const [, words] = await Promise.all([producer.close(), take(consumer, 5)]);
      deepEqual(words, ["one", "two", "three", "four", "five"]);
      await rejects(producer.send("six"), (error) => MosaikError.is(error, "closed"));
      const waiting = consumer.receive();
      await Promise.all([consumer.close(), rejects(waiting, (error) => MosaikError.is(error, "closed"))]);
      equal(await consumer.closed, undefined);
    }, SEEDS));

  it("tells how many were missed over a break", () =>
    simulate(async (sim) => {
      const [a, b, c] = [await sim.node("a"), await sim.node("b"), await sim.node("c")];
      const producer = a.network.streams.produce(Words);
      const near = c.network.streams.consume(Words);
      const consumer = b.network.streams.consume(Words);
      await producer.when.subscribed({ minimumOf: 2 });
      await producer.send("before");
      const messages = consumer.messages()[Symbol.asyncIterator]();
      equal((await messages.next()).value?.value, "before");
      sim.cut(a, b);
      await producer.when.subscribed({ minimumOf: 1 });
      await sim.until(() => producer.consumers.length === 1, { withinMs: 30_000 });
      await producer.sendMany(["lost", "lost too"]);
      sim.heal();
      await producer.when.subscribed({ minimumOf: 2 });
      await producer.send("after");
      const { value: message } = await messages.next();
      deepEqual([message?.value, message?.missed, message?.sequence], ["after", 2, 4]);
      deepEqual(await take(near, 4), ["before", "lost", "lost too", "after"]);
    }, SEEDS));

  it("connects within one node at once, whoever opens first", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const consumer = network.streams.consume(Words);
      const producer = network.streams.produce(Words);
      await sim.until(() => producer.isOnline && consumer.producers.length === 1, { withinMs: 100 });
    }, SEEDS));

  it("hands each consumer values of its own, also within one node", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const stream = defineStream<Uint8Array>("pages");
      const producer = a.network.streams.produce(stream);
      const consumers = [a, a, b, b].map(({ network }) => network.streams.consume(stream));
      await producer.when.subscribed({ minimumOf: 4 });
      const page = new Uint8Array(64 * 1024).fill(1);
      await producer.send(page);
      page.fill(2);
      for (const consumer of consumers) {
        const value = await consumer.receive();
        deepEqual(Buffer.compare(value, Buffer.alloc(64 * 1024, 1)), 0);
        value.fill(3);
      }
    }, SEEDS));

  it("holds little beside the queue of a consumer that does not read", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Words, { lagging: "drop-newest", maxQueued: 10 });
      const consumer = b.network.streams.consume(Words, { maxQueued: 1 });
      await producer.when.online();
      for (let i = 0; i < 3_000; i++) await producer.send("w".repeat(1_000));
      const [channel] = producer.consumers;
      // The link, and what the simulated sockets hold: 256 KiB each at the producer, on the way, and at the consumer.
      ok(channel !== undefined && channel.missed > 2_000 && channel.bytes < 900_000, `${channel?.bytes} bytes left`);
      await consumer.close();
    }, SEEDS));

  it("tells its handles when the network closes, and ends what waits", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const [producer, consumer] = [network.streams.produce(Words), network.streams.consume(Numbers)];
      const sending = rejects(producer.send("never"), (error) => MosaikError.is(error, "closed"));
      const reading = rejects(consumer.receive(), (error) => MosaikError.is(error, "closed"));
      const waiting = rejects(producer.when.subscribed(), (error) => MosaikError.is(error, "closed"));
      await network.close();
      await Promise.all([sending, reading, waiting]);
      deepEqual(await Promise.all([producer.closed, consumer.closed]), [undefined, undefined]);
      equal(producer.isOnline || consumer.isOnline, false);
    }, SEEDS));

  it("leaves out what makes the schema throw, and lives on", () =>
    simulate(async (sim) => {
      const schema = {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: (value: unknown) => {
            if (value === "boom" && isConsumer) throw new Error("a schema that throws");
            return { value: value as string };
          },
        },
      } as const;
      let isConsumer = false;
      const Fragile = defineStream("fragile", { schema });
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Fragile);
      const consumer = b.network.streams.consume(Fragile);
      await producer.when.online();
      await producer.send("boom");
      await producer.send("fine");
      isConsumer = true;
      equal(await consumer.receive(), "fine");
      equal(consumer.producers[0]?.invalid, 1);
    }, SEEDS));
});
