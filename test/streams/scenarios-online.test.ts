import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import type { Consumer, Producer } from "../../src/index.ts";
import { type Sim, type SimNode, simulate } from "../../src/sim/index.ts";
import { edgesOf, isSettled, SEEDS, take, Words, within } from "./scenario-kit.ts";

// Scenarios of the reference's specification, by number: being online, and what waits for it.

const EDGE_MS = 3_000;

async function producerOn(sim: Sim, name: string, minimumOf?: number, tags?: string): Promise<Producer<string>> {
  const { network } = await sim.node(name);
  return network.streams.produce(Words, minimumOf === undefined ? {} : { onlineWhen: { minimumOf, tags } });
}

const consumerOn = async (sim: Sim, name: string, tags: string[] = []): Promise<SimNode> => {
  const node = await sim.node(name, { tags });
  node.network.streams.consume(Words);
  return node;
};

describe("a producer", () => {
  it("S13: is online when as many consumers as it wants, with the tags that it wants, are connected", () =>
    simulate(async (sim) => {
      const two = await producerOn(sim, "two", 2);
      const one = await producerOn(sim, "one");
      const tagged = await producerOn(sim, "tagged", 2, "tag2");
      const producers = [two, one, tagged];
      const state = (): boolean[] => producers.map(({ isOnline }) => isOnline);
      const connected = (count: number) =>
        within(EDGE_MS, sim, Promise.all(producers.map(({ when }) => when.subscribed({ minimumOf: count }))));
      deepEqual(state(), [false, false, false]);

      await consumerOn(sim, "c1", ["tag1"]);
      await connected(1);
      deepEqual(state(), [false, true, false]);
      await consumerOn(sim, "c2");
      await connected(2);
      deepEqual(state(), [true, true, false]);
      await consumerOn(sim, "c3", ["tag2"]);
      await connected(3);
      deepEqual(state(), [true, true, false]);
      const last = await consumerOn(sim, "c4", ["tag1", "tag2"]);
      await connected(4);
      deepEqual(state(), [true, true, true]);

      const offline = tagged.when.offline();
      await last.network.close();
      await within(2_000, sim, offline);
      deepEqual(state(), [true, true, false]);
      equal(tagged.consumers.length, 3);
    }, SEEDS));

  it("S15: goes online and offline with its consumers, and all that wait are told", () =>
    simulate(async (sim) => {
      const producers = [await producerOn(sim, "p1", 1), await producerOn(sim, "p2", 2)];
      const nodes = [await sim.node("c1"), await sim.node("c2")];
      const join = async (node = nodes[0]): Promise<Consumer<string>> => {
        const consumer = (node as SimNode).network.streams.consume(Words);
        await consumer.when.subscribed({ minimumOf: 2 });
        return consumer;
      };
      await seeEdges(
        sim,
        producers,
        () => join(nodes[0]),
        () => join(nodes[1]),
      );
    }, SEEDS));
});

describe("a consumer", () => {
  it("S22: goes online and offline with its producers, and all that wait are told", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("listener");
      const consumers = [1, 2].map((minimumOf) => network.streams.consume(Words, { onlineWhen: { minimumOf } }));
      const nodes = [await sim.node("p1"), await sim.node("p2")];
      const join = async (node = nodes[0]): Promise<Producer<string>> => {
        const producer = (node as SimNode).network.streams.produce(Words);
        await producer.when.subscribed({ minimumOf: 2 });
        return producer;
      };
      await seeEdges(
        sim,
        consumers,
        () => join(nodes[0]),
        () => join(nodes[1]),
      );
    }, SEEDS));

  it("S23: that wants two with both tags is online while there are two", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("listener");
      const consumer = network.streams.consume(Words, { onlineWhen: { minimumOf: 2, tags: ["t1", "t2"] } });
      const producer = async (name: string, tags: string[]): Promise<SimNode> => {
        const node = await sim.node(name, { tags });
        node.network.streams.produce(Words);
        return node;
      };
      await producer("half", ["t1"]);
      await producer("first", ["t1", "t2"]);
      await within(EDGE_MS, sim, consumer.when.subscribed({ minimumOf: 2 }));
      equal(consumer.isOnline, false);
      const second = await producer("second", ["t1", "t2", "t3"]);
      await within(EDGE_MS, sim, consumer.when.online());
      equal(consumer.isOnline, true);
      await second.network.close();
      await within(EDGE_MS, sim, consumer.when.offline());
      deepEqual([consumer.isOnline, consumer.producers.length], [false, 2]);
    }, SEEDS));

  it("S25: is online at once, unless told otherwise", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("listener");
      const consumer = network.streams.consume(Words);
      deepEqual([consumer.isOnline, consumer.producers.length], [true, 0]);
      equal(await isSettled(sim, consumer.when.online()), true);
      equal(await isSettled(sim, consumer.when.offline()), false);
      equal(await isSettled(sim, consumer.when.subscribed()), false);
      const producer = (await sim.node("p")).network.streams.produce(Words);
      await producer.send("heard");
      deepEqual(await take(consumer, 1), ["heard"]);
    }, SEEDS));
});

type End = Pick<Producer<never>, "when">;
type Leaver = Pick<Producer<never>, "close">;

/**
 * The numbers of connected peers: 0, 1, 2, 1, 2. Edges come at the first and at the second; a wait that begins when what it waits for is there
 * ends at once, any number of times; one for the contrary ends with the next edge.
 *
 * @param ends - the first is online with one, the second with two
 */
async function seeEdges(
  sim: Sim,
  [one, two]: readonly End[],
  joinFirst: () => Promise<Leaver>,
  joinSecond: () => Promise<Leaver>,
): Promise<void> {
  if (one === undefined || two === undefined) throw new Error("there are two ends");
  const edges = [edgesOf(one), edgesOf(two)];
  const now = async (): Promise<boolean[]> => {
    const waits = [one, two].flatMap(({ when }) => [when.online(), when.offline()]);
    const both = [one.when.subscribed({ minimumOf: 2 }), two.when.subscribed({ minimumOf: 2 })];
    return Promise.all([...waits, ...both].map((wait) => isSettled(sim, wait)));
  };
  const [none, first, second] = [
    [false, true, false, true, false, false],
    [true, false, false, true, false, false],
    [true, false, true, false, true, true],
  ];
  deepEqual(await now(), none);

  const isOne = one.when.online();
  await joinFirst();
  await within(EDGE_MS, sim, isOne);
  deepEqual(await now(), first);

  const areTwo = () => [two.when.online(), ...[one, two].map(({ when }) => when.subscribed({ minimumOf: 2 }))];
  const isTwo = areTwo();
  const leaver = await joinSecond();
  await within(EDGE_MS, sim, Promise.all(isTwo));
  deepEqual(await now(), second);

  const isLess = two.when.offline();
  await leaver.close();
  await within(EDGE_MS, sim, isLess);
  deepEqual(await now(), first);

  const again = areTwo();
  await joinSecond();
  await within(EDGE_MS, sim, Promise.all(again));
  deepEqual(await now(), second);
  deepEqual(edges, [["online"], ["online", "offline", "online"]]);
}
