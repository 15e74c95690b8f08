import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { type Consumer, defineStream } from "../../src/index.ts";
import { simulate } from "../../src/sim/index.ts";
import { collect, isSettled, metricOf, SEEDS, take, Words, within } from "./scenario-kit.ts";

// Flaws that reading and trying found, each of which was there once.

/** Never has a value, and knows whether it was left. */
function idle(): AsyncIterable<string> & { isLeft: boolean } {
  const values = {
    isLeft: false,
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<never>(() => {}),
      return: () => {
        values.isLeft = true;
        // As a generator does whose `next` is waited for.
        return new Promise<never>(() => {});
      },
    }),
  };
  return values;
}

describe("a handle that is closed, while another one of its producer is open", () => {
  it("does not send what waited", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const [one, two] = [a.network.streams.produce(Words), a.network.streams.produce(Words)];
      const refused = rejects(one.send("ghost"), { code: "closed" });
      const many = rejects(one.sendMany(["ghost of many"]), { code: "closed" });
      await one.close();
      await Promise.all([refused, many]);
      const consumer = b.network.streams.consume(Words);
      await two.send("real");
      equal(await consumer.receive(), "real");
    }, SEEDS));

  it("ends its waits, now and later, and is offline; the other's go on", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const [one, two] = [network.streams.produce(Words), network.streams.produce(Words)];
      const waits = [one.when.online(), one.when.subscribed({ minimumOf: 5 })];
      const refused = waits.map((wait) => rejects(wait, { code: "closed" }));
      const others = two.when.online();
      await one.close();
      await Promise.all(refused);
      await rejects(one.when.online(), { code: "closed" });
      await one.when.offline();
      equal(await isSettled(sim, others), false);
      const consumer = network.streams.consume(Words);
      await others;
      await consumer.close();
    }, SEEDS));

  it("still hears the caller's signal", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const producer = network.streams.produce(Words);
      const reason = new Error("enough");
      for (const wait of [
        (signal: AbortSignal) => producer.send("x", { signal }),
        (signal: AbortSignal) => producer.sendMany(["x"], { signal }),
        (signal: AbortSignal) => producer.when.online({ signal }),
        (signal: AbortSignal) => producer.when.subscribed({ signal }),
      ]) {
        const controller = new AbortController();
        const refused = rejects(wait(controller.signal), reason);
        await sim.sleep(1);
        controller.abort(reason);
        await refused;
        await rejects(wait(controller.signal), reason);
      }
    }, SEEDS));
});

describe("sendMany", () => {
  it("of values that do not come ends with its signal, and leaves them", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const producer = network.streams.produce(Words);
      const controller = new AbortController();
      const reason = new Error("enough");
      const values = idle();
      const refused = rejects(producer.sendMany(values, { signal: controller.signal }), reason);
      await sim.sleep(1);
      controller.abort(reason);
      await refused;
      equal(values.isLeft, true);
    }, SEEDS));

  it("of values that do not come ends with its handle, and with its network", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const [one, two] = [network.streams.produce(Words), network.streams.produce(Words)];
      const [values, others] = [idle(), idle()];
      const refused = [one.sendMany(values), two.sendMany(others)].map((sent) => rejects(sent, { code: "closed" }));
      await one.close();
      await refused[0];
      deepEqual([values.isLeft, others.isLeft], [true, false]);
      await network.close();
      await refused[1];
      equal(others.isLeft, true);
    }, SEEDS));

  it("takes a text for its characters, as it is iterable, and leaves a generator whose value is refused", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Words);
      const consumer = b.network.streams.consume(Words);
      await producer.sendMany("abc");
      deepEqual(await take(consumer, 3), ["a", "b", "c"]);
      let isLeft = false;
      async function* values(): AsyncGenerator<string> {
        try {
          yield "d";
          yield Symbol("no value") as never;
        } finally {
          await sim.sleep(1);
          isLeft = true;
        }
      }
      await rejects(producer.sendMany(values()), { code: "not-encodable" });
      equal(isLeft, true);
      equal(await consumer.receive(), "d");
    }, SEEDS));
});

describe("an iterator of messages that is left while it waits", () => {
  it("takes no value with it", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Words);
      const consumer = b.network.streams.consume(Words);
      await producer.when.online();
      const iterator = consumer.messages({ keepOpen: true })[Symbol.asyncIterator]();
      const pending = iterator.next();
      await iterator.return?.();
      deepEqual(await pending, { done: true, value: undefined });
      await producer.sendMany(["one", "two"]);
      deepEqual(await take(consumer, 2), ["one", "two"]);
    }, SEEDS));
});

describe("a value whose encoding sends on its own producer", () => {
  it("comes whole, and before what it sent", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const Values = defineStream<unknown>("values");
      const producer = a.network.streams.produce(Values);
      const consumer = b.network.streams.consume(Values);
      await producer.when.online();
      const nested: Promise<void>[] = [];
      const value = {
        get outer(): number {
          if (nested.length === 0) nested.push(producer.send("inner"));
          return 1;
        },
      };
      await producer.send(value);
      await producer.send("then");
      await Promise.all(nested);
      deepEqual(await within(1_000, sim, take(consumer, 3)), [{ outer: 1 }, "inner", "then"]);
      equal(consumer.producers[0]?.items, 3, "over the same link");
    }, SEEDS));
});

describe("a value whose encoding changes who hears its producer", () => {
  /** Values that do something in the middle of their encoding, the second of one turn. */
  const doing = (what: () => void): { readonly before: string; readonly middle: number; readonly after: string } => ({
    before: "b".repeat(100),
    get middle() {
      what();
      return 1;
    },
    after: "a".repeat(100),
  });
  const plain = doing(() => {});
  const Values = defineStream<unknown>("values");

  it("comes whole, and is not for one that came meanwhile", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Values);
      const consumer = b.network.streams.consume(Values);
      await producer.when.online();
      let later: Consumer<unknown> | undefined;
      await producer.send("first");
      await producer.send(
        doing(() => {
          later ??= a.network.streams.consume(Values);
        }),
      );
      await producer.send("third");
      deepEqual(await within(1_000, sim, take(consumer, 3)), ["first", plain, "third"]);
      ok(later !== undefined);
      await producer.when.subscribed({ minimumOf: 2 });
      const got = collect(later);
      await producer.send("last");
      await sim.until(() => got.at(-1)?.value === "last", { withinMs: 1_000 });
      ok(got.every(({ value, missed }) => missed === 0 && (value === "third" || value === "last")));
      equal(consumer.producers[0]?.items, 4, "over the same link");
    }, SEEDS));

  it("comes whole, though it puts one out", () =>
    simulate(async (sim) => {
      const a = await sim.node("a", { tags: "good" });
      const b = await sim.node("b", { tags: "good" });
      const producer = a.network.streams.produce(Values, { require: { tags: "good" } });
      const consumer = b.network.streams.consume(Values);
      const near = a.network.streams.consume(Values);
      await producer.when.subscribed({ minimumOf: 2 });
      const got = collect(near);
      await producer.send("first");
      await producer.send(doing(() => a.network.discovery.advertise({ removeTags: "good" })));
      await producer.send("third");
      deepEqual(await within(1_000, sim, take(consumer, 3)), ["first", plain, "third"]);
      equal(consumer.producers[0]?.items, 3, "over the same link");
      equal(producer.consumers.length, 1);
      equal(near.producers.length, 0);
      deepEqual(
        got.map(({ value }) => value),
        ["first", plain],
      );
      deepEqual(
        ["sent", "dropped"].map((what) => metricOf(a.network, `producer_items_${what}`)),
        [5, 0],
      );
    }, SEEDS));
});

describe("consumers on the producer's node", () => {
  it("do not share memory, though the codec gives views", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const same = (bytes: Uint8Array): Uint8Array => bytes;
      const Raw = defineStream<Uint8Array>("raw", { codec: { name: "raw/1", encode: same, decode: same } });
      const producer = network.streams.produce(Raw);
      const [one, two] = [network.streams.consume(Raw), network.streams.consume(Raw)];
      await producer.when.subscribed({ minimumOf: 2 });
      await producer.send(Uint8Array.of(1, 2, 3));
      (await one.receive()).fill(9);
      deepEqual(await two.receive(), Uint8Array.of(1, 2, 3));
    }, SEEDS));

  it("that ends its channel for a value it refuses gets none after it, though the producer closed before", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const refused = new Set<unknown>();
      const validate = (value: unknown) =>
        refused.has(value) ? { issues: [{ message: "no" }] } : { value: value as string };
      const Strict = defineStream("strict", { schema: { "~standard": { version: 1, vendor: "test", validate } } });
      const producer = network.streams.produce(Strict);
      const consumer = network.streams.consume(Strict, { onInvalid: "disconnect" });
      await producer.when.online();
      await sim.sleep(10);
      const got = collect(consumer);
      producer.trySend("bad");
      await Promise.resolve();
      await sim.sleep(0);
      refused.add("bad");
      producer.trySend("good");
      await producer.close();
      await sim.sleep(1_000);
      deepEqual(
        got.map(({ value }) => value),
        [],
      );
    }, SEEDS));
});

describe("a rule, `prefer` or `undelivered` that is an async function", () => {
  it("is refused", () =>
    simulate(async (sim) => {
      const { streams } = (await sim.node("a")).network;
      const later = (async () => false) as never;
      for (const options of [{ require: { where: later } }, { onlineWhen: { where: later } }, { undelivered: later }])
        throws(() => streams.produce(Words, options), { code: "bad-option" });
      for (const options of [{ require: { where: later } }, { onlineWhen: { where: later } }, { prefer: later }])
        throws(() => streams.consume(Words, options), { code: "bad-option" });
    }, SEEDS));

  it("admits nobody by a promise", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Words, { require: { where: (() => Promise.resolve(true)) as never } });
      b.network.streams.consume(Words);
      await sim.sleep(1_000);
      equal(producer.consumers.length, 0);
    }, SEEDS));
});
