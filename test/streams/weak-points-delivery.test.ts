import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { describe, it } from "node:test";
import { LIMITS } from "../../src/env/index.ts";
import type { Consumer, Lagging, Message, Producer, TicketValidator } from "../../src/index.ts";
import { type Sim, type SimNode, simulate } from "../../src/sim/index.ts";
import { STREAM_PROTOCOL } from "../../src/streams/index.ts";
import { CLOSE } from "../../src/wire/index.ts";
import {
  collect,
  edgesOf,
  inspected,
  isSettled,
  lastCodeAt,
  SEEDS,
  take,
  underSeeds,
  Words,
  within,
} from "./scenario-kit.ts";
import { guest, issuedBy } from "./tickets-kit.ts";

// Weak points of the reference, by number (docs/design/streams.md): a test fails where we have the flaw, too. What is sent, and what waits; who hears whom is in
// `weak-points-matching.test.ts`.

/** More than queues and links hold together. */
const FLOOD = Array.from({ length: 300 }, (_, i) => `${i} ${"x".repeat(16 * 1_024)}`);
const QUEUED = { producer: 16, consumer: 8 };

interface Pair {
  readonly a: SimNode;
  readonly b: SimNode;
  readonly producer: Producer<string>;
  readonly consumer: Consumer<string>;
}

async function connect(sim: Sim, lagging: Lagging): Promise<Pair> {
  const [a, b] = [await sim.node("a"), await sim.node("b")];
  const producer = a.network.streams.produce(Words, { lagging, maxQueued: QUEUED.producer });
  const consumer = b.network.streams.consume(Words, { maxQueued: QUEUED.consumer });
  await producer.when.subscribed();
  return { a, b, producer, consumer };
}

const queuedAt = ({ consumers: [one] }: Producer<string>): number => one?.queued ?? 0;

describe("W1, an unbounded queue: a consumer that does not read", () => {
  it("W1: holds up a producer that waits, and then gets all", () =>
    simulate(async (sim) => {
      const { producer, consumer } = await connect(sim, "wait");
      const sending = producer.sendMany(FLOOD);
      await sim.sleep(3_000);
      equal(await isSettled(sim, sending), false);
      equal(consumer.producers[0]?.queued, QUEUED.consumer);
      ok(queuedAt(producer) <= QUEUED.producer);
      deepEqual(await take(consumer, FLOOD.length), FLOOD);
      await sending;
    }, SEEDS));

  it("W1: misses the oldest where the producer drops them, and is told how many", () =>
    simulate(async (sim) => {
      const { producer, consumer } = await connect(sim, "drop-oldest");
      for (const word of FLOOD) {
        await producer.send(word);
        ok(queuedAt(producer) <= QUEUED.producer);
      }
      await sim.sleep(3_000);
      equal(consumer.producers[0]?.queued, QUEUED.consumer);
      const messages: Message<string>[] = [];
      for await (const message of consumer.messages()) {
        messages.push(message);
        if (message.sequence === FLOOD.length) break;
      }
      const missed = messages.reduce((sum, message) => sum + message.missed, 0);
      ok(missed > 0);
      equal(missed + messages.length, FLOOD.length);
    }, SEEDS));

  it("W1: is put out where the producer says so, hears why after what it has, and comes back", () =>
    simulate(async (sim) => {
      const { b, producer, consumer } = await connect(sim, "disconnect");
      let sent = 0;
      for (; producer.isOnline; sent++) {
        ok(sent < FLOOD.length, "it is still there");
        await producer.send(FLOOD[sent] ?? "");
        await sim.sleep(5);
      }
      ok(sent > QUEUED.producer + QUEUED.consumer);
      const messages = collect(consumer);
      await sim.until(() => lastCodeAt(b.network) === CLOSE.streamTooSlow, { withinMs: 1_000 });
      await producer.send("after");
      await sim.until(() => messages.at(-1)?.value === "after", { withinMs: 1_000 });
      const missed = messages.reduce((sum, message) => sum + message.missed, 0);
      deepEqual([missed > 0, missed + messages.length], [true, sent + 1]);
    }, SEEDS));
});

describe("W2, conditions that poll", () => {
  it("W2: a wait hears of a link that is let in, though nobody's entry changed", () =>
    underSeeds(async (simulation) => {
      const host = await simulation.addNode("host");
      let open: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      const ticket: TicketValidator = { ...issuedBy("us"), validate: () => gate.then(() => undefined) };
      const producer = host.network.streams.produce(Words, { require: { ticket } });
      const visitor = await guest(simulation, "visitor", [{}]);
      const consumer = visitor.network.streams.consume(Words, { onlineWhen: { minimumOf: 1 } });
      const waits = [
        consumer.when.subscribed(),
        consumer.when.online(),
        producer.when.subscribed(),
        producer.when.online(),
      ];
      await simulation.sleep(3_000);
      equal(inspected(visitor.network).consumers[0]?.producers[0]?.state, "connecting");
      deepEqual(await Promise.all(waits.map((wait) => isSettled(simulation, wait))), [false, false, false, false]);
      open();
      await within(10, simulation, Promise.all(waits));
    }));

  it("W2: a wait looks when something changes, and at no other time", () =>
    simulate(async (sim) => {
      const { a, producer, consumer } = await connect(sim, "wait");
      let looks = 0;
      const where = (): boolean => {
        looks++;
        return false;
      };
      const ended = [producer, consumer].map(({ when, closed }) =>
        Promise.race([when.subscribed({ where }).catch(() => {}), closed]),
      );
      await sim.sleep(1_000);
      const before = looks;
      await producer.send("no change of who is there");
      await sim.sleep(5_000);
      equal(looks, before);
      a.network.discovery.advertise({ addTags: "changed" });
      await sim.sleep(100);
      ok(looks > before);
      await Promise.all([producer.close(), consumer.close()]);
      await Promise.all(ended);
    }, SEEDS));
});

describe("W3, a `send` that is never resumed", () => {
  it("W3: goes on at each edge to online, in order; one that is aborted ends with its reason, and is not sent", () =>
    simulate(async (sim) => {
      const [a, b] = [await sim.node("a"), await sim.node("b")];
      const producer = a.network.streams.produce(Words);
      for (const round of [1, 2]) {
        const controller = new AbortController();
        const sending = [producer.send(`${round} first`), producer.send(`${round} second`)];
        const aborted = producer.send(`${round} never`, { signal: controller.signal });
        await sim.sleep(1_000);
        controller.abort(new Error("not now"));
        await rejects(within(1, sim, aborted), { message: "not now" });
        const consumer = b.network.streams.consume(Words);
        await producer.when.online();
        await within(1, sim, Promise.all(sending));
        await producer.send(`${round} last`);
        deepEqual(await take(consumer, 3), [`${round} first`, `${round} second`, `${round} last`]);
        await consumer.close();
        await producer.when.offline();
      }
    }, SEEDS));
});

describe("W4, a queue of one that is always full", () => {
  for (const lagging of ["wait", "disconnect", "drop-oldest", "drop-newest"] as const) {
    it(`W4: takes one value a turn, by \`send\` and by \`trySend\`, with \`${lagging}\``, () =>
      simulate(async (sim) => {
        const { network } = await sim.node("a");
        const producer = network.streams.produce(Words, { maxQueued: 1, lagging });
        const consumer = (await sim.node("b")).network.streams.consume(Words);
        const words = Array.from({ length: 10 }, (_, i) => `${i}`);
        for (const word of words) await producer.send(word);
        deepEqual(await take(consumer, 10), words);
        for (const word of words) {
          deepEqual([producer.trySend(word), producer.trySend("too much")], ["queued", "full"]);
          await sim.sleep(1);
        }
        deepEqual(await take(consumer, 10), words);
      }, SEEDS));
  }
});

describe("W5, a sender that is blocked", () => {
  it("W5: is put out as too slow at once, though nothing can be written to it; the others go on", () =>
    simulate(async (sim) => {
      const { a, b, producer, consumer } = await connect(sim, "disconnect");
      const near = (await sim.node("c")).network.streams.consume(Words);
      await producer.when.subscribed({ minimumOf: 2 });
      const [ofBlocked, ofNear] = [collect(consumer), collect(near)];
      sim.cut(a, b);
      let sent = 0;
      for (; producer.consumers.length === 2; sent++) {
        ok(sent < FLOOD.length, "it is still there");
        await producer.send(FLOOD[sent] ?? "");
        await sim.sleep(2);
      }
      // Long before the link would have been given up as silent.
      ok(2 * sent < LIMITS.keepAliveIntervalMs);
      const linksToBlocked = (): number =>
        (a.network.inspect().links as { peer: string; protocol: string }[]).filter(
          ({ peer, protocol }) => peer === b.network.peerId && protocol === STREAM_PROTOCOL,
        ).length;
      await sim.until(() => linksToBlocked() === 0, { withinMs: LIMITS.closeTimeoutMs + 10 });
      equal(ofNear.length, sent);
      sim.heal();
      await producer.when.subscribed({ minimumOf: 2 });
      await producer.send("after");
      await sim.until(() => ofBlocked.at(-1)?.value === "after", { withinMs: 1_000 });
      equal(ofBlocked.reduce((sum, { missed }) => sum + missed, 0) + ofBlocked.length, sent + 1);
    }, SEEDS));
});

describe("W10, a condition that goes stale", () => {
  it("W10: is looked at when a peer joins, changes, and leaves", () =>
    simulate(async (sim) => {
      const producer = (await sim.node("p")).network.streams.produce(Words, {
        onlineWhen: { tags: "good", minimumOf: 2 },
      });
      const edges = edgesOf(producer);
      const [one, two] = [await sim.node("one", { tags: "good" }), await sim.node("two")];
      one.network.streams.consume(Words);
      const consumer = two.network.streams.consume(Words);
      await producer.when.subscribed({ minimumOf: 2 });
      equal(producer.trySend("offline"), "offline");
      const moves: [() => unknown, "online" | "offline"][] = [
        [() => two.network.discovery.advertise({ addTags: "good" }), "online"],
        [() => one.network.discovery.advertise({ removeTags: "good" }), "offline"],
        [() => one.network.discovery.advertise({ addTags: "good" }), "online"],
        [() => consumer.close(), "offline"],
        [() => two.network.streams.consume(Words), "online"],
        [() => void two.network.close(), "offline"],
        [async () => void (await sim.node("three", { tags: "good" })).network.streams.consume(Words), "online"],
      ];
      for (const [move, edge] of moves) {
        const before = producer.when[edge === "online" ? "offline" : "online"]();
        equal(await isSettled(sim, before), true);
        const wait = producer.when[edge]();
        await move();
        await within(3_000, sim, wait);
        equal(producer.trySend(edge), edge === "online" ? "queued" : "offline");
      }
      deepEqual(
        edges,
        moves.map(([, edge]) => edge),
      );
    }, SEEDS));
});
