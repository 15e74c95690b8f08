// Whole nodes under faults: who is near is known, also of a peer that died and came back.
import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "../../src/sim/index.ts";

test("a peer that was killed is measured again in its next life, whatever the network does", async () => {
  await simulate(
    async (sim) => {
      const ada = await sim.node("ada");
      const bob = await sim.node("bob");
      const cyd = await sim.node("cyd");
      const { discovery } = ada.network;
      const near = { maxRttMs: 2_000, minimumOf: 2 };
      const peers = await discovery.when.found(near);
      deepEqual(
        peers.map(({ id }) => id),
        [bob.network.peerId, cyd.network.peerId].sort(),
      );
      const events = discovery.events({ maxRttMs: 2_000 });

      const bobsId = bob.network.peerId;
      bob.crash();
      const seen: string[] = [];
      let isUp = false;
      for await (const event of events) {
        if (event.type === "reset" || event.type === "changed" || event.peer.id !== bobsId) continue;
        seen.push(event.type);
        if (event.type === "left" && !isUp) {
          isUp = true;
          await bob.restart();
        }
        if (event.type === "joined" && isUp) {
          ok((event.peer.rttMs ?? 0) > 0);
          break;
        }
      }
      deepEqual(seen, ["left", "joined"]);
    },
    { seeds: 5, faults: { delayMs: [1, 20] } },
  );
});
