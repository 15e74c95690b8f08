import { test } from "node:test";
import { simulate } from "../../src/sim/index.ts";
import { stories } from "../../src/sim/story.ts";
import "./all.ts";

for (const { name, scenario, faults } of stories()) test(name, () => simulate(scenario, { seeds: 10, faults }));
