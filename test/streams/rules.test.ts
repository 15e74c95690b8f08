import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { type Consumer, defineStream, MosaikError, type TicketValidator, UniqueId } from "../../src/index.ts";
import { simulate } from "../../src/sim/index.ts";

const Words = defineStream<string>("words");
const SEEDS = { seeds: 2 };
const SETTLE_MS = 3_000;

/** A ticket is a text: who issued it, for whom, and when it ends on the wall clock. */
const CLASS = UniqueId.from("test tickets");
const ticket = (issuer: string, peer: string, endMs: number) => ({
  class: CLASS,
  data: Buffer.from(`${issuer} ${peer} ${endMs}`),
});
const issuedBy = (issuer: string, nowMs: () => number): TicketValidator => ({
  class: CLASS,
  validate: ({ data }, peer) => {
    const [by, whom, endMs] = Buffer.from(data).toString().split(" ");
    if (by !== issuer || whom !== peer.tags.values().next().value) throw new Error("not for this peer");
    if (Number(endMs) <= nowMs()) throw new Error("it has ended");
    return new Date(Number(endMs));
  },
});

const heard = (consumer: Consumer<unknown>): number => consumer.producers.length;

describe("rules of streams", () => {
  it("S17, S18: a consumer with a rule hears those alone that fit it; one without hears all", () =>
    simulate(async (sim) => {
      const listener = await sim.node("listener");
      const some = listener.network.streams.consume(Words, { require: { tags: ["tag1", "tag2"] } });
      const all = listener.network.streams.consume(Words);
      for (const [i, tags] of [["tag1", "tag2"], ["tag1"], ["tag3"]].entries()) {
        (await sim.node(`p${i}`, { tags })).network.streams.produce(Words);
      }
      await all.when.subscribed({ minimumOf: 3 });
      await some.when.subscribed();
      await sim.sleep(SETTLE_MS);
      equal(heard(some), 1);
      ok(some.producers[0]?.peer.tags.has("tag2"));
    }, SEEDS));

  it("S20, S24: when a peer loses the tag that a consumer wants it is left, and taken again when it has it", () =>
    simulate(async (sim) => {
      const [listener, one, two] = [
        await sim.node("listener"),
        await sim.node("one", { tags: "leader" }),
        await sim.node("two"),
      ];
      for (const { network } of [one, two]) network.streams.produce(Words);
      const consumer = listener.network.streams.consume(Words, {
        require: { tags: "leader" },
        onlineWhen: { minimumOf: 1 },
      });
      await consumer.when.online();
      equal(consumer.producers[0]?.peer.id, one.network.peerId);
      one.network.discovery.advertise({ removeTags: "leader" });
      await consumer.when.offline();
      two.network.discovery.advertise({ addTags: "leader" });
      await consumer.when.online();
      equal(consumer.producers[0]?.peer.id, two.network.peerId);
    }, SEEDS));

  it("S10, S33, S34: tickets decide on both sides; no ticket, another issuer's, and one that ended are refused", () =>
    simulate(async (sim) => {
      const nowMs = (): number => listener.network.clock.nowMs();
      const listener = await sim.node("listener", { tags: "listener" });
      const far = nowMs() + 3_600_000;
      const kinds = [
        { tags: "good", tickets: ticket("us", "good", far) },
        { tags: "stolen", tickets: ticket("us", "good", far) },
        { tags: "foreign", tickets: ticket("them", "foreign", far) },
        { tags: "late", tickets: ticket("us", "late", nowMs() - 3_600_000) },
        { tags: "none" },
      ];
      const consumer = listener.network.streams.consume(Words, { require: { ticket: issuedBy("us", nowMs) } });
      const ears: Consumer<string>[] = [];
      const closed = listener.network.streams.produce(defineStream<string>("closed"), {
        require: { ticket: issuedBy("us", nowMs) },
      });
      for (const kind of kinds) {
        const { network } = await sim.node(kind.tags, kind);
        network.streams.produce(Words);
        ears.push(network.streams.consume(defineStream<string>("closed")));
      }
      await Promise.all([consumer.when.subscribed(), closed.when.subscribed()]);
      await sim.sleep(SETTLE_MS);
      deepEqual([...(consumer.producers[0]?.peer.tags ?? [])], ["good"]);
      deepEqual([heard(consumer), ...ears.map(heard)], [1, 1, 0, 0, 0, 0]);
      await closed.send("for those with tickets");
      equal(await ears[0]?.receive(), "for those with tickets");
    }, SEEDS));

  it("a link ends with its ticket, at the producer and at the consumer", () =>
    simulate(async (sim) => {
      const nowMs = (): number => listener.network.clock.nowMs();
      const listener = await sim.node("listener", { tags: "listener" });
      const endMs = nowMs() + 20_000;
      const guest = await sim.node("guest", { tags: "guest", tickets: ticket("us", "guest", endMs) });
      const Closed = defineStream<string>("closed");
      const closed = listener.network.streams.produce(Closed, { require: { ticket: issuedBy("us", nowMs) } });
      const consumer = listener.network.streams.consume(Words, { require: { ticket: issuedBy("us", nowMs) } });
      guest.network.streams.produce(Words);
      guest.network.streams.consume(Closed);
      await Promise.all([consumer.when.subscribed(), closed.when.subscribed()]);
      await sim.sleep(endMs - nowMs() - 1_000);
      deepEqual([heard(consumer), closed.consumers.length], [1, 1]);
      await sim.sleep(3_000);
      deepEqual([heard(consumer), closed.consumers.length], [0, 0]);
    }, SEEDS));

  it("a validator that never answers holds up no close, at either end", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b", { tickets: ticket("us", "b", 1) })];
      let asked = 0;
      const asks: TicketValidator = { class: CLASS, validate: () => new Promise(() => void asked++) };
      a.network.streams.produce(defineStream<string>("closed"), { require: { ticket: asks } });
      a.network.streams.consume(Words, { require: { ticket: asks } });
      b.network.streams.produce(Words);
      b.network.streams.consume(defineStream<string>("closed"));
      await sim.until(() => asked === 2, { withinMs: 5_000 });
      await a.network.close();
    }, SEEDS));

  it("S12: a producer with three places serves three; when one goes, one that was refused comes", () =>
    simulate(async (sim) => {
      const producer = (await sim.node("p")).network.streams.produce(Words, { maxConsumers: 3 });
      const nodes = [];
      for (let i = 0; i < 5; i++) nodes.push(await sim.node(`c${i}`));
      const consumers = nodes.map(({ network }) => network.streams.consume(Words));
      await producer.when.subscribed({ minimumOf: 3 });
      await sim.sleep(2_000);
      const inside = consumers.filter((consumer) => heard(consumer) === 1);
      deepEqual([producer.consumers.length, inside.length], [3, 3]);
      await inside[0]?.close();
      await sim.until(() => producer.consumers.length === 2, { withinMs: 2_000 });
      await sim.until(() => producer.consumers.length === 3, { withinMs: 2_000 });
      await sim.until(() => consumers.filter((one) => heard(one) === 1).length === 3, { withinMs: 1_000 });
    }, SEEDS));

  it("S14, S21: a round trip that is asked for is measured; a producer that is too far is not heard", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      a.network.streams.produce(Words);
      const near = b.network.streams.consume(Words, { require: { maxRttMs: 5_000 } });
      const nowhere = b.network.streams.consume(Words, { require: { maxRttMs: 0.000_001 } });
      await near.when.subscribed();
      await sim.sleep(SETTLE_MS);
      equal(heard(nowhere), 0);
      ok((near.producers[0]?.peer.rttMs ?? 0) > 0);
    }, SEEDS));

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
  it("S11: a producer is shared by its handles, and conflicts are refused", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("a");
      const one = network.streams.produce(Words, { maxConsumers: 2 });
      const two = network.streams.produce(Words, { maxConsumers: 2 });
      const consumer = network.streams.consume(Words);
      const isConflict = (error: unknown): boolean => MosaikError.is(error, "definition-conflict");
      throws(() => network.streams.produce(Words), isConflict);
      throws(() => network.streams.produce(defineStream("words", { matches: () => true })), isConflict);
      await one.close();
      await two.send("still open");
      equal(await consumer.receive(), "still open");
      await two.close();
      network.streams.produce(Words);
    }, SEEDS));

  it("another codec is refused, at the bond and not by garbage", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const codec = {
        name: "text/1",
        encode: (text: string) => Buffer.from(text),
        decode: (bytes: Uint8Array) => `${Buffer.from(bytes)} read`,
      };
      const Texts = defineStream<string>("words", { codec });
      const producer = a.network.streams.produce(Texts);
      const [same, other] = [b.network.streams.consume(Texts), b.network.streams.consume(Words)];
      await producer.send("S4");
      equal(await same.receive(), "S4 read");
      await sim.sleep(SETTLE_MS);
      equal(heard(other), 0);
    }, SEEDS));

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
