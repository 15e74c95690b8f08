import { after, before, test } from "node:test";
import { ATTACKS } from "./attacks.ts";
import { megabytes, Siege } from "./siege.ts";

// A group of three under attack, in a process of its own, while an honest client executes commands. `npm run abuse` measures the same.

let siege: Siege;
before(async () => {
  siege = await Siege.begin();
});
after(() => siege.end());

for (const attack of ATTACKS) {
  test(attack.title, { timeout: 60_000 }, async (t) => {
    const { commands, p99Ms, rssGrowthBytes, notes } = await siege.withstand(attack);
    for (const note of notes) t.diagnostic(note);
    t.diagnostic(`${commands} commands, p99 ${p99Ms.toFixed(1)} ms, ${megabytes(rssGrowthBytes)} more`);
  });
}
