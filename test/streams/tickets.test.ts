import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { type Channel, type Consumer, defineStream, type Producer } from "../../src/index.ts";
import type { SimulatedNode, Simulation } from "../../src/sim/simulation.ts";
import { CLOSE } from "../../src/wire/index.ts";
import { inspected, underSeeds, Words } from "./scenario-kit.ts";
import { guest, issuedBy, tokenFor } from "./tickets-kit.ts";

// Whole nodes; W9 is a weak point of the reference: what renews a ticket there leaves the timer of the old one.

const Closed = defineStream<string>("closed");
const require = { ticket: issuedBy("us") };
const LASTS_MS = 20_000;

/**
 * A host that wants the guest's ticket at both ends: its producer from the guest's consumer, and its consumer from the guest's producer.
 * Connected; the guest's ticket lasts `LASTS_MS` from the start.
 */
class Stage {
  readonly simulation: Simulation;
  readonly host: SimulatedNode;
  readonly guest: SimulatedNode;
  readonly producer: Producer<string>;
  readonly consumer: Consumer<string>;

  static async open(simulation: Simulation): Promise<Stage> {
    const host = await simulation.addNode("host");
    const stage = new Stage(simulation, host, await guest(simulation, "guest", [{ lastsMs: LASTS_MS }]));
    await stage.connected(5_000);
    return stage;
  }

  private constructor(simulation: Simulation, host: SimulatedNode, guestNode: SimulatedNode) {
    this.simulation = simulation;
    this.host = host;
    this.guest = guestNode;
    this.producer = host.network.streams.produce(Closed, { require });
    this.consumer = host.network.streams.consume(Words, { require });
    this.guest.network.streams.consume(Closed);
    this.guest.network.streams.produce(Words);
  }

  get channels(): readonly Channel[] {
    return [...this.producer.consumers, ...this.consumer.producers];
  }

  connected(withinMs: number): Promise<void> {
    return this.simulation.until(() => this.channels.length === 2, withinMs);
  }

  /** From now on it shows this one alone. */
  renew(lastsMs: number): void {
    this.guest.changeTickets([tokenFor(this.guest, { lastsMs }, this.simulation)]);
  }

  /** As long as both links have lived, at least. */
  get uptimeMs(): number {
    return Math.min(...this.channels.map(({ uptimeMs }) => uptimeMs));
  }

  /** Why the guest's consumer was last without its producer. */
  get lastCode(): number | undefined {
    return inspected(this.guest.network).consumers[0]?.producers[0]?.lastCode;
  }
}

describe("a ticket", () => {
  it("W9: that is renewed keeps the link, at the producer and at the consumer", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      for (let renewals = 0; renewals < 3; renewals++) {
        await simulation.sleep(LASTS_MS / 2);
        stage.renew(LASTS_MS);
      }
      await simulation.sleep(LASTS_MS / 2);
      equal(stage.channels.length, 2);
      ok(stage.uptimeMs > 1.9 * LASTS_MS);
    }));

  it("W9: that is renewed in its last moment keeps the link", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      await simulation.sleep(LASTS_MS - stage.uptimeMs - 200);
      stage.renew(LASTS_MS);
      await simulation.sleep(LASTS_MS / 2);
      equal(stage.channels.length, 2);
      ok(stage.uptimeMs > LASTS_MS);
    }));

  it("that ends cuts the link, at the producer and at the consumer, and one that is renewed brings it back", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      await simulation.sleep(LASTS_MS - stage.uptimeMs - 1_000);
      equal(stage.channels.length, 2);
      await simulation.until(() => stage.channels.length === 0, 2_000);
      await simulation.until(() => stage.lastCode === CLOSE.streamNotAllowed, 100);
      await simulation.sleep(LASTS_MS);
      equal(stage.channels.length, 0);
      stage.renew(LASTS_MS);
      await stage.connected(1_000);
      await stage.producer.send("again");
    }));

  it("that is replaced by a worse one cuts the link when that one ends, not when the first would have", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      stage.renew(5_000);
      await simulation.sleep(4_000);
      equal(stage.channels.length, 2);
      await simulation.until(() => stage.channels.length === 0, 1_500);
      deepEqual([stage.lastCode], [CLOSE.streamNotAllowed]);
    }));

  it("that is taken away cuts the link at once", () =>
    underSeeds(async (simulation) => {
      const stage = await Stage.open(simulation);
      stage.guest.changeTickets([]);
      await simulation.until(() => stage.channels.length === 0, 500);
    }));
});
