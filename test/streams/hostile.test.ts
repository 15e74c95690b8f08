import { equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { LIMITS } from "../../src/env/index.ts";
import { defineStream } from "../../src/index.ts";
import { FRAME } from "../../src/streams/messages.ts";
import type { Schema } from "../../src/wire/index.ts";
import { hostileProducer } from "./hostile-kit.ts";
import { underSeeds } from "./scenario-kit.ts";

// What one peer alone can do to a node. Many things at a time, and at any time: the random runs with hostile peers.

describe("a frame of values that the schema refuses", () => {
  it("keeps nobody else from their turn, and what comes after it is read", () =>
    underSeeds(async (simulation) => {
      let looks = 0;
      const long: Schema<Uint8Array, Uint8Array> = {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: (value) => {
            looks++;
            return (value as Uint8Array).length > 1
              ? { value: value as Uint8Array }
              : { issues: [{ message: "short" }] };
          },
        },
      };
      const Long = defineStream("long", { schema: long });
      const host = await simulation.addNode("host");
      const { link, valuesOf } = await hostileProducer(simulation, Long.name);
      const consumer = host.network.streams.consume(Long);
      const hostile = await link;
      let looksMax = 0;
      let looksBefore = 0;
      simulation.onEvent = () => {
        looksMax = Math.max(looksMax, looks - looksBefore);
        looksBefore = looks;
      };
      const refused = 10 * LIMITS.streamRefusedBeforeRestMax;
      const all = new Array<number>(refused).fill(1);
      hostile.send(FRAME.values, valuesOf(1, [...all, 2, 1]));
      hostile.send(FRAME.values, valuesOf(refused + 3, [3]));
      equal((await consumer.receive()).length, 2);
      equal((await consumer.receive()).length, 3);
      await simulation.sleep(1);
      equal(consumer.producers[0]?.invalid, refused + 1);
      ok(looksMax <= LIMITS.streamRefusedBeforeRestMax + 1, `${looksMax} in one turn`);
    }));
});
