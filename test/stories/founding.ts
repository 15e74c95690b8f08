import { equal } from "node:assert/strict";
import { story } from "../../src/sim/story.ts";
import { Counter } from "./cast.ts";

/** What a member says of itself. */
interface Inspected {
  readonly name: string;
  readonly role: string;
}

story(
  "a founder that never hears of its group keeps it from opening, until it does",
  async (sim) => {
    const nodes = [await sim.node("ada"), await sim.node("bob"), await sim.node("cyd")];
    const groups = nodes.map(({ network }) => network.groups.join("counter", { machine: Counter, expect: 3 }));
    const bound = () =>
      nodes.filter(({ network }) =>
        (network.inspect().groups as readonly Inspected[]).some(({ role }) => role === "voter"),
      );
    await sim.until(() => bound().length > 0, { withinMs: 20_000 });
    const [founder] = bound();
    const others = nodes.filter((node) => node !== founder);
    const missing = others[Math.floor(sim.random() * others.length)];
    if (founder === undefined || missing === undefined) throw new Error("there are three");
    const rest = nodes.filter((node) => node !== missing);

    // The genesis is on its way to both. One of them does not get it, and may found anew; then the stores of the first attempt are given up.
    sim.cut(rest, missing);
    await sim.sleep(5_000);
    equal(
      groups.some(({ state }) => state === "online"),
      false,
    );
    sim.heal();
    await sim.until(() => groups.every(({ state }) => state === "online"), { withinMs: 60_000 });
    equal((await groups[0]?.execute({ add: 1 }, { timeoutMs: 20_000 }))?.result, 1);
  },
  { faults: { delayMs: [30, 60] } },
);
