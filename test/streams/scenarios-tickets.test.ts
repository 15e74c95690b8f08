import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import type { Consumer, Producer } from "../../src/index.ts";
import { heard, tagsOf, underSeeds, Words } from "./scenario-kit.ts";
import { EXPIRED, guest, issuedBy, type Token } from "./tickets-kit.ts";

// Scenarios of the reference's specification, by number: tickets decide who hears whom. How they are renewed is in `tickets.test.ts`.

const ticket = issuedBy("us");
const OURS: Token = {};
const GUESTS: readonly [string, readonly Token[]][] = [
  ["valid", [OURS]],
  ["expired", [EXPIRED]],
  ["none", []],
];

describe("a producer that wants tickets", () => {
  it("S10: serves those that show a good one: ours, theirs, and not over", () =>
    underSeeds(async (simulation) => {
      const host = await simulation.addNode("host");
      const producer = host.network.streams.produce(Words, { require: { ticket } });
      const consumers: Consumer<string>[] = [];
      const forged: [string, Token[]][] = [
        ["foreign", [{ issuer: "them" }]],
        ["stolen", [{ subject: host.peerId }]],
      ];
      for (const [name, tokens] of [...GUESTS, ...forged]) {
        consumers.push((await guest(simulation, name, tokens)).network.streams.consume(Words));
      }
      await producer.when.subscribed();
      await simulation.sleep(5_000);
      deepEqual(tagsOf(producer.consumers), ["valid"]);
      deepEqual(consumers.map(heard), [1, 0, 0, 0, 0]);
      await producer.send("for those with tickets");
      equal(await consumers[0]?.receive(), "for those with tickets");
    }));

  it("S34: shows none itself, and is heard by those that ask for none", () =>
    underSeeds(async (simulation) => {
      const host = await simulation.addNode("host");
      const producer = host.network.streams.produce(Words, { require: { ticket } });
      const valid = (await guest(simulation, "valid", [OURS])).network.streams.consume(Words);
      const none = (await guest(simulation, "none", [])).network.streams.consume(Words);
      await producer.send("in");
      equal(await valid.receive(), "in");
      await simulation.sleep(3_000);
      deepEqual([tagsOf(producer.consumers), heard(none)], [["valid"], 0]);
    }));

  it("S36: of two issuers serves those that show both", () =>
    underSeeds(async (simulation) => {
      const host = await simulation.addNode("host");
      const producer = host.network.streams.produce(Words, { require: { ticket: [issuedBy("A"), issuedBy("B")] } });
      const [a, b]: Token[] = [{ issuer: "A" }, { issuer: "B" }];
      const shown = { both: [a, b], "only A": [a], "only B": [b] } as Record<string, Token[]>;
      const consumers: Consumer<string>[] = [];
      for (const [name, tokens] of Object.entries(shown)) {
        consumers.push((await guest(simulation, name, tokens)).network.streams.consume(Words));
      }
      await producer.when.subscribed();
      await simulation.sleep(3_000);
      deepEqual([tagsOf(producer.consumers), consumers.map(heard)], [["both"], [1, 0, 0]]);
    }));
});

describe("a consumer that wants tickets", () => {
  it("S19: hears those that show a good one", () =>
    underSeeds(async (simulation) => {
      const consumer = (await simulation.addNode("host")).network.streams.consume(Words, { require: { ticket } });
      const producers: Producer<string>[] = [];
      for (const [name, tokens] of GUESTS) {
        producers.push((await guest(simulation, name, tokens)).network.streams.produce(Words));
      }
      await producers[0]?.send("heard");
      equal(await consumer.receive(), "heard");
      await simulation.sleep(3_000);
      deepEqual(tagsOf(consumer.producers), ["valid"]);
      deepEqual(
        producers.map(({ consumers }) => consumers.length),
        [1, 0, 0],
      );
    }));

  it("S35: shows none itself, and is served by those that ask for none", () =>
    underSeeds(async (simulation) => {
      const consumer = (await simulation.addNode("host")).network.streams.consume(Words, { require: { ticket } });
      const valid = (await guest(simulation, "valid", [OURS])).network.streams.produce(Words);
      const none = (await guest(simulation, "none", [])).network.streams.produce(Words);
      await valid.send("heard");
      equal(await consumer.receive(), "heard");
      await simulation.sleep(3_000);
      deepEqual([tagsOf(consumer.producers), none.consumers.length], [["valid"], 0]);
    }));
});

describe("both ends", () => {
  it("S33: that want tickets of each other connect where both show a good one", () =>
    underSeeds(async (simulation) => {
      const host = await guest(simulation, "host", [OURS]);
      const options = { require: { ticket } };
      const [producer, consumer] = [
        host.network.streams.produce(Words, options),
        host.network.streams.consume(Words, options),
      ];
      const ears: Consumer<string>[] = [];
      for (const [name, tokens] of GUESTS) {
        const { streams } = (await guest(simulation, name, tokens)).network;
        ears.push(streams.consume(Words, options));
        streams.produce(Words, options);
      }
      await Promise.all([producer.when.subscribed({ minimumOf: 2 }), consumer.when.subscribed({ minimumOf: 2 })]);
      await simulation.sleep(3_000);
      // The host's own are at each other's, too.
      deepEqual(
        [tagsOf(producer.consumers), tagsOf(consumer.producers)],
        [
          ["host", "valid"],
          ["host", "valid"],
        ],
      );
      deepEqual(
        ears.map((one) => tagsOf(one.producers)),
        [["host", "valid"], [], []],
      );
      await producer.send("from the host");
      equal(await ears[0]?.receive(), "from the host");
    }));
});
