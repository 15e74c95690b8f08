import { equal } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { happening, SourcesWorld } from "../../../test/streams/matching-world.ts";

/** The longest wait after a refusal, another look at tickets, one that hangs, and three moves. */
const SETTLED_AFTER_MS = 60_000 + 30_000 + 20_000 + 30_000;

const options = fc.record({
  seed: fc.nat(),
  max: fc.option(fc.nat(3), { nil: undefined }),
  needsTickets: fc.boolean(),
});

describe("whatever happens, a consumer", () => {
  it("keeps to its places, asks nothing twice, and is with the right producers once faults end; then it stays", () => {
    fc.assert(
      fc.property(options, fc.array(happening, { maxLength: 60, size: "max" }), (init, happenings) => {
        const world = new SourcesWorld(init);
        for (const one of happenings) world.happen(one);
        world.calm();
        world.pass(SETTLED_AFTER_MS);
        world.checkSettled();
        const { moves } = world;
        world.pass(60_000);
        world.checkSettled();
        equal(world.moves, moves);
      }),
      { numRuns: 200 },
    );
  });
});
