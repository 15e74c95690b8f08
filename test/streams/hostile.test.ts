import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { LIMITS } from "../../src/env/index.ts";
import { defineStream } from "../../src/index.ts";
import type { Simulation } from "../../src/sim/simulation.ts";
import { FRAME } from "../../src/streams/messages.ts";
import type { Schema } from "../../src/wire/index.ts";
import { hostileProducer } from "./hostile-kit.ts";
import { underSeeds } from "./scenario-kit.ts";

// What one peer alone can do to a node. Many things at a time, and at any time: the random runs with hostile peers.

/** Refuses what is shorter than two bytes, and counts how often it is asked in one turn. */
class Looks {
  /** In the turn that had most. */
  most = 0;
  readonly stream;
  #now = 0;

  constructor(simulation: Simulation) {
    const validate = (value: unknown) => {
      this.#now++;
      return (value as Uint8Array).length > 1 ? { value: value as Uint8Array } : { issues: [{ message: "short" }] };
    };
    const schema: Schema<Uint8Array, Uint8Array> = { "~standard": { version: 1, vendor: "test", validate } };
    this.stream = defineStream("long", { schema });
    simulation.onEvent = () => {
      this.most = Math.max(this.most, this.#now);
      this.#now = 0;
    };
  }
}

const REFUSED_MAX = LIMITS.streamRefusedBeforeRestMax;
const short = (count: number): number[] => new Array<number>(count).fill(1);

describe("values that the schema refuses", () => {
  it("keep nobody else from their turn when they come in one frame, and what comes after it is read", () =>
    underSeeds(async (simulation) => {
      const looks = new Looks(simulation);
      const host = await simulation.addNode("host");
      const { link, valuesOf } = await hostileProducer(simulation, looks.stream.name);
      const consumer = host.network.streams.consume(looks.stream);
      const hostile = await link;
      const refused = 10 * REFUSED_MAX;
      hostile.send(FRAME.values, valuesOf(1, [...short(refused), 2, 1]));
      hostile.send(FRAME.values, valuesOf(refused + 3, [3]));
      equal((await consumer.receive()).length, 2);
      equal((await consumer.receive()).length, 3);
      await simulation.sleep(1);
      equal(consumer.producers[0]?.invalid, refused + 1);
      ok(looks.most <= REFUSED_MAX + 1, `${looks.most} in one turn`);
    }));

  it("nor when they come in many frames, of several peers", () =>
    underSeeds(async (simulation) => {
      const looks = new Looks(simulation);
      const host = await simulation.addNode("host");
      const consumer = host.network.streams.consume(looks.stream);
      const peers = [1, 2, 3].map((number) => hostileProducer(simulation, looks.stream.name, number));
      const perFrame = REFUSED_MAX - 24;
      const frames = 12;
      for (const { link, valuesOf } of await Promise.all(peers)) {
        const hostile = await link;
        for (let i = 0; i < frames; i++) hostile.send(FRAME.values, valuesOf(1 + i * perFrame, short(perFrame)));
        hostile.send(FRAME.values, valuesOf(1 + frames * perFrame, [2]));
      }
      for (const _ of peers) equal((await consumer.receive()).length, 2);
      deepEqual(
        consumer.producers.map(({ invalid }) => invalid),
        peers.map(() => frames * perFrame),
      );
      ok(looks.most <= REFUSED_MAX + peers.length, `${looks.most} in one turn`);
    }));
});
