import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import type { Channel, Consumer, Producer } from "../../src/index.ts";
import type { SimulatedNode, Simulation } from "../../src/sim/simulation.ts";
import { CLOSE } from "../../src/wire/index.ts";
import { GossipWire, tellOfDeparture } from "./gossip-kit.ts";
import { inspected, isSettled, lastCodeAt, tagsOf, underSeeds, Words } from "./scenario-kit.ts";
import { guest, issuedBy, tokenFor } from "./tickets-kit.ts";

// Whole nodes whose peers leave the catalog, though their links live: a link is better proof of life than gossip.

const require = { tags: "good" };
const GONE_MS = 15_000;

/** A producer's node and a consumer's, each of which wants the other to be tagged. */
class Stage {
  readonly simulation: Simulation;
  readonly gossip: GossipWire;
  readonly ada: SimulatedNode;
  readonly bob: SimulatedNode;
  readonly producer: Producer<string>;
  readonly consumer: Consumer<string>;
  sent = 0;

  static async open(simulation: Simulation): Promise<Stage> {
    const gossip = new GossipWire(simulation);
    const ada = await simulation.addNode("ada", { tags: ["good", "ada"] });
    const stage = new Stage(simulation, gossip, ada, await simulation.addNode("bob", { tags: ["good", "bob"] }));
    await stage.producer.when.online();
    await stage.flows();
    return stage;
  }

  private constructor(simulation: Simulation, gossip: GossipWire, ada: SimulatedNode, bob: SimulatedNode) {
    this.simulation = simulation;
    this.gossip = gossip;
    this.ada = ada;
    this.bob = bob;
    this.producer = ada.network.streams.produce(Words, { require });
    this.consumer = bob.network.streams.consume(Words, { require, onlineWhen: { minimumOf: 1 } });
  }

  /** Which of the two have the other in their catalog. */
  get known(): string {
    return [this.ada, this.bob]
      .filter(({ network }) => network.discovery.peers().length > 0)
      .map(({ name }) => name)
      .join(" ");
  }

  get channels(): readonly Channel[] {
    return [...this.producer.consumers, ...this.consumer.producers];
  }

  /** One value passes, and nothing was lost before it. */
  async flows(missed = 0): Promise<void> {
    const value = `${++this.sent}`;
    await this.producer.send(value);
    for await (const message of this.consumer.messages({ keepOpen: true })) {
      const { sequence } = message;
      deepEqual(message, { value, from: this.ada.peerId, sequence, missed });
      break;
    }
  }

  async loseEachOther(): Promise<void> {
    this.gossip.cut();
    await this.simulation.until(() => this.known === "", GONE_MS);
  }

  async findEachOther(): Promise<void> {
    this.gossip.heal();
    await this.simulation.until(() => this.known === "ada bob", GONE_MS);
  }
}

describe("two nodes that lose each other's entry while their stream's link lives", () => {
  it("go on as if nothing had happened, and so after they find each other again", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      const { producer, consumer } = stage;
      await stage.loseEachOther();
      await stage.flows();
      // Both are counted, and judged by the entry that was last known.
      deepEqual([tagsOf(producer.consumers), tagsOf(consumer.producers)], [["bob good"], ["ada good"]]);
      deepEqual([producer.isOnline, consumer.isOnline], [true, true]);
      await producer.when.subscribed({ tags: "bob" });
      await consumer.when.subscribed({ tags: "ada" });
      equal(await isSettled(simulation, producer.when.subscribed({ tags: "ada" })), false);
      await stage.findEachOther();
      await simulation.sleep(1_000);
      await stage.flows();
      deepEqual(
        stage.channels.map(({ items, missed, uptimeMs }) => [items, missed, uptimeMs > 10_000]),
        Array(2).fill([3, 0, true]),
      );
    }));

  it("judge each other anew by the entry that comes back", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      await stage.loseEachOther();
      stage.bob.network.discovery.advertise({ removeTags: "good" });
      await simulation.sleep(5_000);
      await stage.flows();
      await stage.findEachOther();
      await simulation.until(() => stage.channels.length === 0, 1_000);
      equal(lastCodeAt(stage.bob.network), CLOSE.streamNotAllowed);
    }));

  it("and then the link, do not look for each other until one is heard of again, and tell what was missed", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      const { ada, bob, producer, consumer } = stage;
      // Keeps the producer online.
      ada.network.streams.consume(Words);
      await producer.when.subscribed({ minimumOf: 2 });
      await stage.loseEachOther();
      simulation.breakConnections("reset", ada, bob);
      await consumer.when.offline();
      await simulation.sleep(10_000);
      deepEqual([consumer.producers, inspected(bob.network).consumers[0]?.producers], [[], []]);
      await producer.sendMany(["lost", "lost too"]);
      await stage.findEachOther();
      await consumer.when.online();
      await stage.flows(2);
    }));

  it("let no other consumer in until its entry is known again", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      const { ada, bob, producer, consumer } = stage;
      await tellOfDeparture(simulation, ada, bob);
      equal(stage.known, "bob");
      const later = bob.network.streams.consume(Words);
      const isUnknown = (): boolean =>
        inspected(bob.network).consumers[1]?.producers[0]?.lastCode === CLOSE.unknownPeer;
      await simulation.until(isUnknown, 1_000);
      await stage.flows();
      await later.when.subscribed();
      equal(stage.known, "ada bob");
      deepEqual([producer.consumers.length, consumer.producers.length], [2, 1]);
      ok(stage.channels.every(({ missed }) => missed === 0));
    }));
});

describe("a departure in somebody's name that lives", () => {
  for (const [who, whom] of [
    ["ada", "bob"],
    ["bob", "ada"],
  ] as const) {
    it(`costs no value and no link, told to ${who} of ${whom}`, () =>
      underSeeds(async (simulation) => {
        const stage = await Stage.open(simulation);
        await tellOfDeparture(simulation, stage[who], stage[whom]);
        equal(stage.known, whom);
        await stage.flows();
        await simulation.until(() => stage.known === "ada bob", 60_000);
        await simulation.sleep(5_000);
        await stage.flows();
        deepEqual(
          stage.channels.map(({ items, missed, uptimeMs }) => [items, missed, uptimeMs > 5_000]),
          Array(2).fill([3, 0, true]),
        );
      }));
  }
});

describe("the tickets of a peer that left the catalog while its link lives", () => {
  it("end when they end, at the producer and at the consumer; new ones bring it back", () =>
    underSeeds(async (simulation) => {
      const gossip = new GossipWire(simulation);
      const host = await simulation.addNode("host");
      const node = await guest(simulation, "guest", [{ lastsMs: 60_000 }]);
      const rule = { require: { ticket: issuedBy("us") } };
      const producer = host.network.streams.produce(Words, rule);
      const consumer = node.network.streams.consume(Words);
      await producer.when.online();
      gossip.cut();
      await simulation.until(() => host.network.discovery.peers().length === 0, GONE_MS);
      await simulation.sleep(30_000);
      equal(producer.consumers.length, 1);
      // Which nobody hears of yet.
      node.changeTickets([tokenFor(node, {}, simulation)]);
      await simulation.until(() => producer.consumers.length === 0, 30_000);
      equal(consumer.producers.length, 0);
      gossip.heal();
      await producer.when.online();
    }));
});
