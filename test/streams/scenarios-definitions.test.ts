import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { hash, UniqueId } from "../../src/identity/index.ts";
import { defineStream, MosaikError, type StreamDefinition } from "../../src/index.ts";
import { type Sim, simulate } from "../../src/sim/index.ts";
import { inspected, SEEDS, Words } from "./scenario-kit.ts";

// Scenarios of the reference's specification, by number: what a definition says. Ours has a name where the reference has an id, and options of a
// producer and of a consumer are said where these are opened.

/** Sends one value from a node to another. @returns what came, and the stream's id and name as both ends report them */
async function sendOne<In, Out>(
  sim: Sim,
  produced: StreamDefinition<In, unknown, undefined>,
  value: In,
  consumed: StreamDefinition<never, Out, undefined>,
): Promise<{ readonly out: Out; readonly ids: readonly string[]; readonly names: readonly string[] }> {
  const [a, b] = [await sim.node("a"), await sim.node("b")];
  const producer = a.network.streams.produce(produced);
  const consumer = b.network.streams.consume(consumed);
  await producer.send(value);
  const out = await consumer.receive();
  const ends = [...inspected(a.network).producers, ...inspected(b.network).consumers];
  await Promise.all([producer.close(), consumer.close()]);
  return { out, ids: ends.map(({ stream }) => stream), names: ends.map(({ name }) => name) };
}

describe("definitions", () => {
  it("S4: what a codec's `decode` makes of a value is what is received", () =>
    simulate(async (sim) => {
      const codec = {
        name: "text/1",
        encode: (text: string) => Buffer.from(text),
        decode: (bytes: Uint8Array) => `${Buffer.from(bytes)} read`,
      };
      const Texts = defineStream<string>("texts", { codec });
      equal((await sendOne(sim, Texts, "S4", Texts)).out, "S4 read");
    }, SEEDS));

  it("S5: both ends report what they were told, and have one id", () =>
    simulate(async (sim) => {
      const stream = defineStream<string>("my-stream1");
      const { out, ids, names } = await sendOne(sim, stream, "through", stream);
      deepEqual([out, names], ["through", ["my-stream1", "my-stream1"]]);
      equal(ids[0], ids[1]);
    }, SEEDS));

  it("S11: a producer is shared by its handles, and conflicts are refused", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const one = network.streams.produce(Words, { maxConsumers: 2 });
      const two = network.streams.produce(Words, { maxConsumers: 2 });
      equal(inspected(network).producers.length, 1);
      const consumer = network.streams.consume(Words);
      const conflict = (what: string) => (error: unknown) =>
        MosaikError.is(error, "definition-conflict") &&
        error.details.name === Words.name &&
        error.message.includes(what);
      throws(() => network.streams.produce(Words), conflict("other options (maxConsumers)"));
      const other = defineStream("words", { matches: () => true });
      throws(() => network.streams.produce(other), conflict("another definition (matches)"));
      await one.close();
      await two.send("still open");
      equal(await consumer.receive(), "still open");
      await two.close();
      network.streams.produce(Words);
    }, SEEDS));

  it("S26: a plain one carries plain data of any kind", () =>
    simulate(async (sim) => {
      const Plain = defineStream("plain");
      const value = { text: "x", list: [1, 2.5, null], bytes: Uint8Array.of(1, 2), at: new Date(0), big: 2n ** 60n };
      deepEqual((await sendOne(sim, Plain, value, Plain)).out, value);
    }, SEEDS));

  it("S27: its name is its identity: another one of the same name is the same stream, whatever its variable is called", () =>
    simulate(async (sim) => {
      const [Orders, Others] = [defineStream<string>("named"), defineStream<string>("named")];
      const { out, ids } = await sendOne(sim, Orders, "to the other", Others);
      equal(out, "to the other");
      const other = await sendOne(sim, Words, "elsewhere", Words);
      deepEqual([ids[0] === ids[1], ids.includes(other.ids[0] ?? "")], [true, false]);
    }, SEEDS));

  it("S28: one with a schema, a codec and `matches` has all three", () =>
    simulate(async (sim) => {
      const codec = {
        name: "csv/1",
        encode: ([name, price]: [string, number]) => Buffer.from(`${name},${price}`),
        decode: (bytes: Uint8Array): [string, number] => {
          const [name = "", price] = Buffer.from(bytes).toString().split(",");
          return [name, Number(price)];
        },
      };
      const Prices = defineStream("prices", {
        schema: z.tuple([z.string(), z.number().positive()]).transform(([name, price]) => ({ name, price })),
        codec,
        matches: ([name], wanted: { readonly name: string }) => name === wanted.name,
      });
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Prices);
      const consumer = b.network.streams.consume(Prices, { criteria: { name: "tea" } });
      await producer.when.subscribed();
      throws(
        () => producer.trySend(["tea", -1]),
        (error) => MosaikError.is(error, "schema-rejected"),
      );
      await producer.sendMany([
        ["rice", 1],
        ["tea", 2],
      ]);
      deepEqual(await consumer.receive(), { name: "tea", price: 2 });
      equal(consumer.producers[0]?.bytes, "tea,2".length);
    }, SEEDS));

  it("S29: its id is a constant of its name and the network's", () =>
    simulate(async (sim) => {
      const name = "constant";
      const { out, ids } = await sendOne(sim, defineStream<number>(name), 29, defineStream<number>(name));
      const networkId = (await sim.node("a")).network.id;
      const expected = UniqueId.derive(networkId, UniqueId.toBytes(hash(name)));
      deepEqual([out, ids], [29, [expected, expected]]);
      // A name that looks like an id is a name, too.
      const lookalike = defineStream<number>(expected);
      notEqual((await sendOne(sim, lookalike, 30, lookalike)).ids[0], expected);
    }, SEEDS));

  it("S30: a consumer that was written by hand hears a producer that has more to its definition", () =>
    simulate(async (sim) => {
      const schema = z.object({ name: z.string(), price: z.number() });
      const produced = defineStream("prices", { schema, matches: () => true });
      const manual = defineStream<unknown>("prices");
      const { out } = await sendOne(
        sim,
        produced as StreamDefinition<object, unknown, undefined>,
        { name: "tea", price: 2 },
        manual,
      );
      deepEqual(out, { name: "tea", price: 2 });
    }, SEEDS));
});
