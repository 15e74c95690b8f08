import { equal } from "node:assert/strict";
import { describe, it } from "node:test";
import { incarnation, peer, statusOf } from "../../test/groups/kit.ts";
import { ConditionWaits, Scope, VirtualWorld } from "../env/index.ts";
import type { Bond } from "./bonds/bond.ts";
import type { Bonds } from "./bonds/bonds.ts";
import { Departure } from "./departure.ts";
import type { Life } from "./life/life.ts";

const OURS = incarnation("ours");

/** A leader of that term, over a bond. */
function leading(name: string, term: number): Bond {
  const status = statusOf({ incarnation: OURS, role: "voter", isOpen: true, leader: peer(name), term });
  return { peer: peer(name), status } as Bond;
}

describe("a reader that leaves", () => {
  it("believes the latest leader that it sees, and not one that was deposed", async () => {
    const world = new VirtualWorld({ seed: 1 });
    const [deposed, leader] = [leading("ada", 3), leading("bob", 4)];
    let hasLeft = false;
    await world.run(async () => {
      const env = world.env("cyd");
      const life = { role: "reader", incarnation: OURS, leader: peer("bob"), voters: [] } as unknown as Life;
      const departure = new Departure({
        scope: new Scope(env, () => {}),
        bonds: { all: [deposed, leader] } as unknown as Bonds,
        conditions: new ConditionWaits("the group"),
        selfId: peer("cyd"),
        isEligible: true,
        life: () => life,
        isSucceeding: () => false,
        state: () => "online",
        onChange: () => {},
      });
      const left = departure.leave(1_000).then(() => {
        hasLeft = true;
      });
      const pause = (): Promise<void> => new Promise((resolve) => env.after(10, resolve));
      departure.onReleased(deposed, OURS);
      await pause();
      equal(hasLeft, false);
      departure.onReleased(leader, incarnation("another"));
      await pause();
      equal(hasLeft, false);
      departure.onReleased(leader, OURS);
      await left;
    });
    equal(hasLeft, true);
  });
});
