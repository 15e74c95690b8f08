import { equal } from "node:assert/strict";
import { describe, it } from "node:test";
import { incarnation, peer, statusOf } from "../../../test/groups/kit.ts";
import type { PeerDirectory } from "../../discovery/index.ts";
import { VirtualWorld } from "../../env/index.ts";
import { hash, type PeerId } from "../../identity/index.ts";
import { Acquaintances } from "./acquaintances.ts";
import type { Bond } from "./bond.ts";

const GROUP = hash("group");

/** An observer that follows `leader`, the only one that it knows. */
class Bench {
  readonly world = new VirtualWorld({ seed: 1 });
  readonly env = this.world.env("ada");
  readonly leader = peer("leader");
  isLed = false;
  bonds: readonly Bond[] = [];
  readonly acquaintances = new Acquaintances({
    env: this.env,
    selfId: peer("ada"),
    group: GROUP,
    directory: {
      inGroup: (id: string) => (id === GROUP ? [{ id: this.leader }] : []),
      get: () => undefined,
    } as unknown as PeerDirectory,
    status: () =>
      statusOf({
        incarnation: incarnation("one"),
        role: "reader",
        isEligible: false,
        distance: 2,
        leader: this.isLed ? this.leader : undefined,
      }),
    bonds: () => this.bonds,
    trying: () => new Set<PeerId>(),
  });

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.env.after(ms, resolve));
  }
}

describe("an observer", () => {
  it("visits a leader that had no room for it as one of its observers; refused as a visitor, it waits for seconds", async () => {
    const bench = new Bench();
    const { acquaintances, leader, world } = bench;
    await world.run(async () => {
      equal(acquaintances.next(), leader);
      acquaintances.onFailed(leader, true);
      equal(acquaintances.next(), undefined);

      bench.isLed = true;
      acquaintances.visit(leader);
      equal(acquaintances.next(), leader);
      for (let refusals = 0; refusals < 20; refusals++) {
        acquaintances.onFailed(leader, true);
        acquaintances.visit(leader);
        equal(acquaintances.next(), undefined);
        await bench.sleep(5_000);
        acquaintances.visit(leader);
        equal(acquaintances.next(), leader);
      }
    });
  });

  it("does not ask again for an ordinary place where there was none, also after a visit", async () => {
    const bench = new Bench();
    const { acquaintances, leader, world } = bench;
    await world.run(async () => {
      bench.isLed = true;
      acquaintances.visit(leader);
      equal(acquaintances.next(), leader);
      acquaintances.onBonded(leader);
      await bench.sleep(20_000);
      bench.isLed = false;
      equal(acquaintances.next(), leader);
      acquaintances.onFailed(leader, true);
      await bench.sleep(25_000);
      equal(acquaintances.next(), undefined);
    });
  });

  it("looks for bonds of its own, however many that lead nowhere were made with it", () => {
    const bench = new Bench();
    bench.bonds = Array.from({ length: 8 }, (_, i) => {
      const bond = { peer: peer(`founder ${i}`), link: { isInitiator: false }, status: statusOf({}), sinceUs: 0 };
      return bond as unknown as Bond;
    });
    equal(bench.acquaintances.next(), bench.leader);
  });
});
