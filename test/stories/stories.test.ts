import { test } from "node:test";
import { simulateStory } from "../../src/sim/simulate.ts";
import { stories } from "../../src/sim/story.ts";
import "./all.ts";

for (const { name, scenario, faults } of stories()) test(name, () => simulateStory(scenario, { seeds: 10, faults }));
