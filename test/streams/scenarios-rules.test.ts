import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import type { Consumer, ConsumerOptions, Producer, ProducerOptions } from "../../src/index.ts";
import { type Sim, type SimNode, simulate } from "../../src/sim/index.ts";
import { CLOSE } from "../../src/wire/index.ts";
import { heard, lastCodeAt, SEEDS, tagsOf, take, Words, within } from "./scenario-kit.ts";

// Scenarios of the reference's specification, by number: who hears whom. Those of tickets are in `scenarios-tickets.test.ts`.

const SETTLE_MS = 2_000;

/** One on a node of its own for each set of tags. */
async function consumersOn(sim: Sim, tags: readonly string[][]): Promise<Consumer<string>[]> {
  const consumers: Consumer<string>[] = [];
  for (const [i, own] of tags.entries()) {
    consumers.push((await sim.node(`c${i}`, { tags: own })).network.streams.consume(Words));
  }
  return consumers;
}

async function producersOn(sim: Sim, tags: readonly string[][]): Promise<SimNode[]> {
  const nodes: SimNode[] = [];
  for (const [i, own] of tags.entries()) {
    const node = await sim.node(`p${i}`, { tags: own });
    node.network.streams.produce(Words);
    nodes.push(node);
  }
  return nodes;
}

const producerOn = async (sim: Sim, name: string, options?: ProducerOptions<string>): Promise<Producer<string>> =>
  (await sim.node(name)).network.streams.produce(Words, options);

const consumerOn = async (sim: Sim, name: string, options?: ConsumerOptions<undefined>): Promise<Consumer<string>> =>
  (await sim.node(name)).network.streams.consume(Words, options);

describe("finding each other", () => {
  it("S2: an address is enough, also for a producer that knows nobody", () =>
    simulate(async (sim) => {
      const n0 = await sim.node("n0", { tags: ["tag1", "tag2", "tag3"] });
      const producer = n0.network.streams.produce(Words);
      const n1 = await sim.node("n1");
      const consumer = n1.network.streams.consume(Words);
      deepEqual(
        [n0, n1].map(({ network }) => network.discovery.peers().length),
        [0, 0],
      );
      await within(5_000, sim, consumer.when.subscribed());
      deepEqual(tagsOf(consumer.producers), ["tag1 tag2 tag3"]);
      const peers = n1.network.discovery.peers();
      deepEqual(
        peers.map(({ id, tags }) => [id, tags.size]),
        [[n0.network.peerId, 3]],
      );
      equal(producer.consumers[0]?.peer.id, n1.network.peerId);
    }, SEEDS));

  it("S2: word of a third is enough, too: a producer that was told nothing refuses with 401, is told, and serves", () =>
    simulate(async (sim) => {
      const crowd: SimNode[] = [];
      // More than a node has for neighbours.
      for (let i = 0; i < 12; i++) crowd.push(await sim.node(`m${i}`));
      const [hub] = crowd as [SimNode];
      const n0 = await sim.node("n0", { tags: ["tag1", "tag2", "tag3"] });
      const producer = n0.network.streams.produce(Words);
      const isKnown = ({ network }: SimNode): boolean => network.discovery.get(n0.network.peerId) !== undefined;
      await sim.until(() => crowd.every(isKnown), { withinMs: 5_000 });
      sim.cut(n0, crowd);
      const n1 = await sim.node("n1", { bootstrap: hub.network.status().addresses });
      const consumer = n1.network.streams.consume(Words);
      await sim.until(() => lastCodeAt(n1.network) === CLOSE.unknownPeer, { withinMs: 1_000 });
      await within(5_000, sim, consumer.when.subscribed());
      deepEqual(tagsOf(consumer.producers), ["tag1 tag2 tag3"]);
      equal(producer.consumers[0]?.peer.id, n1.network.peerId);
    }, SEEDS));
});

describe("a producer's rule", () => {
  it("S8: lets those in that have all its tags", () =>
    simulate(async (sim) => {
      const producer = await producerOn(sim, "p", { require: { tags: ["tag1", "tag2"] } });
      const consumers = await consumersOn(sim, [["tag1", "tag2"], ["tag1"], ["tag3"]]);
      await producer.when.subscribed();
      await sim.sleep(SETTLE_MS);
      deepEqual(consumers.map(heard), [1, 0, 0]);
      deepEqual(tagsOf(producer.consumers), ["tag1 tag2"]);
    }, SEEDS));

  it("S9: concerns that producer alone", () =>
    simulate(async (sim) => {
      const strict = await producerOn(sim, "p0", { require: { tags: "tag2" } });
      const open = await producerOn(sim, "p1");
      const consumers = await consumersOn(sim, [
        ["tag1", "tag2"],
        ["tag3", "tag4"],
      ]);
      await Promise.all([strict.when.subscribed(), open.when.subscribed({ minimumOf: 2 })]);
      await sim.sleep(SETTLE_MS);
      deepEqual(tagsOf(strict.consumers), ["tag1 tag2"]);
      deepEqual(tagsOf(open.consumers), ["tag1 tag2", "tag3 tag4"]);
      deepEqual(consumers.map(heard), [2, 1]);
    }, SEEDS));

  it("S12: with three places serves three of seven; when one goes, one that was refused comes", () =>
    simulate(async (sim) => {
      const producer = await producerOn(sim, "p", { maxConsumers: 3 });
      const nodes: SimNode[] = [];
      for (let i = 0; i < 7; i++) nodes.push(await sim.node(`c${i}`));
      const consumers = nodes.map(({ network }) => network.streams.consume(Words));
      const inside = (): string[] => producer.consumers.map(({ peer }) => peer.id).sort();
      await producer.when.subscribed({ minimumOf: 3 });
      await sim.sleep(SETTLE_MS);
      const before = inside();
      deepEqual([before.length, consumers.filter((one) => heard(one) === 1).length], [3, 3]);

      const leaver = nodes.find(({ network }) => network.peerId === before[1]) as SimNode;
      void leaver.network.close();
      await sim.until(() => producer.consumers.length === 2, { withinMs: SETTLE_MS });
      await sim.until(() => producer.consumers.length === 3, { withinMs: SETTLE_MS });
      const after = inside();
      equal(after.filter((id) => before.includes(id)).length, 2);
      ok(!after.includes(leaver.network.peerId));
      const joiner = nodes.findIndex(
        ({ network }) => after.includes(network.peerId) && !before.includes(network.peerId),
      );
      await producer.send("for the new one too");
      deepEqual(await take(consumers[joiner] as Consumer<string>, 1), ["for the new one too"]);
    }, SEEDS));

  it("S14: lets those in that are near enough, and nobody that is too far", () =>
    simulate(async (sim) => {
      const near = await producerOn(sim, "near", { require: { maxRttMs: 5_000 } });
      const far = await producerOn(sim, "far", { require: { maxRttMs: 0.000_001 } });
      const consumer = await consumerOn(sim, "c");
      await near.send("from near");
      equal(await consumer.receive(), "from near");
      await sim.sleep(3_000);
      deepEqual([near.consumers.length, far.consumers.length, heard(consumer)], [1, 0, 1]);
      ok((near.consumers[0]?.peer.rttMs ?? 0) > 0);
    }, SEEDS));

  it("S31: of the producer alone keeps strangers out, whatever the consumers' side says", () =>
    simulate(async (sim) => {
      const producer = await producerOn(sim, "p", { require: { tags: "trusted" } });
      const consumers = await consumersOn(sim, [["trusted"], ["untrusted"]]);
      await producer.when.subscribed();
      await sim.sleep(SETTLE_MS);
      deepEqual([tagsOf(producer.consumers), consumers.map(heard)], [["trusted"], [1, 0]]);
    }, SEEDS));
});

describe("a consumer's rule", () => {
  it("S17: chooses those that have all its tags", () =>
    simulate(async (sim) => {
      const consumer = await consumerOn(sim, "c", { require: { tags: ["tag1", "tag2"] } });
      await producersOn(sim, [["tag1", "tag2"], ["tag1"], ["tag3"]]);
      await consumer.when.subscribed();
      await sim.sleep(SETTLE_MS);
      deepEqual(tagsOf(consumer.producers), ["tag1 tag2"]);
    }, SEEDS));

  it("S18: concerns that consumer alone", () =>
    simulate(async (sim) => {
      const strict = await consumerOn(sim, "c1", { require: { tags: "tag2" } });
      const open = await consumerOn(sim, "c2");
      await producersOn(sim, [
        ["tag1", "tag2"],
        ["tag4", "tag5"],
      ]);
      await Promise.all([strict.when.subscribed(), open.when.subscribed({ minimumOf: 2 })]);
      await sim.sleep(SETTLE_MS);
      deepEqual(tagsOf(strict.producers), ["tag1 tag2"]);
      deepEqual(tagsOf(open.producers), ["tag1 tag2", "tag4 tag5"]);
    }, SEEDS));

  it("S20: follows a tag from one peer to another", () =>
    simulate(async (sim) => {
      const consumer = await consumerOn(sim, "c", { require: { tags: "leader" }, onlineWhen: { minimumOf: 1 } });
      const [n1, n2] = (await producersOn(sim, [["leader"], []])) as [SimNode, SimNode];
      await consumer.when.subscribed();
      equal(consumer.producers[0]?.peer.id, n1.network.peerId);
      n1.network.discovery.advertise({ removeTags: "leader" });
      await within(3_000, sim, consumer.when.offline());
      equal(heard(consumer), 0);
      n2.network.discovery.advertise({ addTags: "leader" });
      await within(3_000, sim, consumer.when.subscribed());
      deepEqual(
        consumer.producers.map(({ peer }) => peer.id),
        [n2.network.peerId],
      );
      n1.network.discovery.advertise({ addTags: "leader" });
      await within(3_000, sim, consumer.when.subscribed({ minimumOf: 2 }));
    }, SEEDS));

  it("S21: hears those that are near enough, and nobody that is too far", () =>
    simulate(async (sim) => {
      const producer = await producerOn(sim, "p");
      const { network } = await sim.node("c");
      const near = network.streams.consume(Words, { require: { maxRttMs: 5_000 } });
      const nowhere = network.streams.consume(Words, { require: { maxRttMs: 0.000_001 } });
      await producer.send("from near");
      equal(await near.receive(), "from near");
      await sim.sleep(3_000);
      deepEqual([near, nowhere].map(heard), [1, 0]);
      ok((near.producers[0]?.peer.rttMs ?? 0) > 0);
    }, SEEDS));

  it("S24: takes a peer out that loses its tag, while its link is alive", () =>
    simulate(async (sim) => {
      const { network } = await sim.node("c");
      const strict = network.streams.consume(Words, { require: { tags: "trusted" }, onlineWhen: { minimumOf: 2 } });
      const open = network.streams.consume(Words);
      const [loser] = (await producersOn(sim, [["trusted"], ["trusted"]])) as [SimNode, SimNode];
      await Promise.all([strict.when.online(), open.when.subscribed({ minimumOf: 2 })]);
      await sim.sleep(1_000);
      loser.network.discovery.advertise({ removeTags: "trusted" });
      await within(3_000, sim, strict.when.offline());
      deepEqual([tagsOf(strict.producers), tagsOf(open.producers)], [["trusted"], ["", "trusted"]]);
      // The links of the one without a rule are those of before: nothing else was wrong with the peer.
      ok(open.producers.every(({ uptimeMs }) => uptimeMs >= 1_000));
    }, SEEDS));

  it("S32: of the consumer alone leaves strangers unheard, whatever the producers' side says", () =>
    simulate(async (sim) => {
      const consumer = await consumerOn(sim, "c", { require: { tags: "trusted" } });
      const nodes = await producersOn(sim, [["trusted"], ["untrusted"]]);
      await consumer.when.subscribed();
      await sim.sleep(SETTLE_MS);
      deepEqual(tagsOf(consumer.producers), ["trusted"]);
      deepEqual(
        nodes.map(({ network }) => network.streams.produce(Words).consumers.length),
        [1, 0],
      );
    }, SEEDS));
});
