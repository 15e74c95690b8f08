import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { defineStream, MosaikError, type TicketValidator } from "../../src/index.ts";
import { simulate } from "../../src/sim/index.ts";
import { heard, SEEDS, underSeeds, Words } from "./scenario-kit.ts";
import { guest, issuedBy } from "./tickets-kit.ts";

describe("rules of streams", () => {
  it("a validator that never answers holds up no close, at either end", () =>
    underSeeds(async (simulation) => {
      const a = await simulation.addNode("a");
      const b = await guest(simulation, "b", [{}]);
      let asked = 0;
      const asks: TicketValidator = { ...issuedBy("us"), validate: () => new Promise(() => void asked++) };
      a.network.streams.produce(defineStream<string>("closed"), { require: { ticket: asks } });
      a.network.streams.consume(Words, { require: { ticket: asks } });
      b.network.streams.produce(Words);
      b.network.streams.consume(defineStream<string>("closed"));
      await simulation.until(() => asked === 2, 5_000);
      await a.network.close();
    }));

  it("keeps the best producer by `prefer`, and moves to a clearly better one", () =>
    simulate(async (sim) => {
      const listener = await sim.node("listener");
      const consumer = listener.network.streams.consume(Words, {
        maxProducers: 1,
        prefer: ({ attributes }) => Number(attributes["weight"]),
      });
      (await sim.node("light", { attributes: { weight: "1" } })).network.streams.produce(Words);
      await consumer.when.subscribed();
      const heavy = await sim.node("heavy", { attributes: { weight: "10" } });
      heavy.network.streams.produce(Words);
      await sim.until(() => consumer.producers[0]?.peer.id === heavy.network.peerId, { withinMs: 20_000 });
      await sim.until(() => heard(consumer) === 1, { withinMs: 5_000 });
    }, SEEDS));
});

describe("definitions of streams", () => {
  it("a schema checks what is sent, and makes of it what is read; what does not fit there is left out, or ends the link", () =>
    simulate(async (sim) => {
      const schema = z.object({ id: z.string(), at: z.coerce.date(), source: z.string().default("web") });
      const Orders = defineStream("orders", { schema });
      const Loose = defineStream<unknown>("orders");
      const [a, b, c] = [await sim.node("a"), await sim.node("b"), await sim.node("c")];
      const strict = a.network.streams.produce(Orders);
      throws(
        () => strict.trySend({ id: 7 } as never),
        (error) => MosaikError.is(error, "schema-rejected") && (error.details.rejected[0] as { id: number }).id === 7,
      );
      const skips = b.network.streams.consume(Orders);
      await strict.send({ id: "one", at: "2026-11-26T00:00:00Z" });
      deepEqual(await skips.receive(), { id: "one", at: new Date("2026-11-26T00:00:00Z"), source: "web" });
      await strict.close();
      const ends = b.network.streams.consume(Orders, { onInvalid: "disconnect" });
      const loose = c.network.streams.produce(Loose);
      await loose.when.subscribed({ minimumOf: 2 });
      await loose.send("no order");
      await loose.send({ id: "two", at: 0 });
      equal((await skips.receive()).id, "two");
      equal(skips.producers[0]?.invalid, 1);
      await sim.until(() => heard(ends) === 0, { withinMs: 1_000 });
    }, SEEDS));

  it("values that nobody wants are handed back", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const undelivered: number[] = [];
      const Numbers = defineStream<number, number, number>("numbers", { matches: (value, least) => value >= least });
      const consumer = network.streams.consume(Numbers, { criteria: 3 });
      const producer = network.streams.produce(Numbers, { undelivered: (value) => undelivered.push(value) });
      await producer.sendMany([1, 2, 3, 4]);
      deepEqual([await consumer.receive(), await consumer.receive()], [3, 4]);
      deepEqual(undelivered, [1, 2]);
    }, SEEDS));

  it("criteria that make `matches` throw fit nothing, and keep no value from others", () =>
    simulate(async (sim) => {
      const [a, b, c] = [await sim.node("a"), await sim.node("b"), await sim.node("c")];
      const Prices = defineStream<number, number, { readonly least: number }>("prices", {
        matches: (price, { least }) => price >= least,
      });
      const Other = defineStream<number, number, null>("prices", { matches: () => true });
      const producer = a.network.streams.produce(Prices);
      const good = b.network.streams.consume(Prices, { criteria: { least: 2 } });
      const bad = c.network.streams.consume(Other, { criteria: null });
      await Promise.all([producer.when.subscribed({ minimumOf: 2 }), bad.when.subscribed()]);
      await producer.sendMany([1, 2]);
      equal(producer.trySend(3), "queued");
      deepEqual([await good.receive(), await good.receive()], [2, 3]);
      deepEqual([bad.producers[0]?.items, bad.producers[0]?.missed], [0, 0]);
    }, SEEDS));

  it("`break` closes a consumer, `keepOpen` and an abort of `receive` do not, and lose nothing", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const consumer = network.streams.consume(Words);
      const producer = network.streams.produce(Words);
      const aborted = AbortSignal.abort(new Error("not now"));
      await producer.sendMany(["one", "two", "three"]);
      await consumer.receive({ signal: aborted }).then(
        () => ok(false),
        (error) => equal(error.message, "not now"),
      );
      for await (const { value } of consumer.messages({ keepOpen: true })) {
        equal(value, "one");
        break;
      }
      for await (const value of consumer) {
        equal(value, "two");
        break;
      }
      equal(await consumer.closed, undefined);
    }, SEEDS));
});
