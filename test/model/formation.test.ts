import { equal, notEqual, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { type Exploration, explore } from "./explore.ts";
import { ALL_RULES, type Rules, type Setting, type Violation } from "./state.ts";

const ALL: readonly Violation[] = ["two incarnations acknowledged", "set aside with a command", "bound twice"];

/** As few of everything as lets the question be asked. */
const SMALL: Setting = {
  nodes: 3,
  expect: 3,
  rules: ALL_RULES,
  lossesMax: 0,
  incarnationsMax: 2,
  storesMax: 2,
  termMax: 2,
};

const run = (change: Partial<Setting>, lookFor = ALL): Exploration => explore({ ...SMALL, ...change }, lookFor);
const without = (...names: readonly (keyof Rules)[]): Rules => ({
  ...ALL_RULES,
  ...Object.fromEntries(names.map((name) => [name, false])),
});
const sizeOf = ({ states, steps, acknowledged }: Exploration): string =>
  `${states} states, ${steps} steps, ${acknowledged} states with a command`;

// Two incarnations serve only if members and lost stores together make two sets of founders: so never among fewer than 2n.
const safe: readonly (readonly [title: string, change: Partial<Setting>])[] = [
  ["3 of 3, stores set aside again and again", { storesMax: 3 }],
  ["3 of 3, logs that are truncated", { termMax: 3 }],
  ["3 of 3, two stores lost", { lossesMax: 2 }],
  ["2 of 3, stores set aside again and again", { expect: 2, storesMax: 3 }],
  ["2 of 3, logs that are truncated", { expect: 2, termMax: 3 }],
];

describe("among fewer than 2n members at most one incarnation serves, and no command is set aside", () => {
  for (const [title, change] of safe) {
    it(title, (t) => {
      const result = run(change);
      equal(result.violation, undefined);
      // Or else nothing would be shown.
      ok(result.acknowledged > 0);
      t.diagnostic(sizeOf(result));
    });
  }
});

describe("each rule is needed", () => {
  const needed: readonly (readonly [title: string, change: Partial<Setting>, violation: Violation])[] = [
    [
      "a store belongs to one incarnation",
      { expect: 2, storesMax: 1, rules: without("oneIncarnation") },
      "two incarnations acknowledged",
    ],
    ["open comes before commands", { rules: without("openBeforeCommands") }, "set aside with a command"],
    ["the genesis on all voters", { lossesMax: 1, rules: without("genesisOnAll") }, "two incarnations acknowledged"],
    ["open stores stay", { rules: without("openStays") }, "set aside with a command"],
  ];
  for (const [title, change, violation] of needed) {
    it(title, (t) => {
      const found = run(change, [violation]).violation;
      equal(found?.kind, violation);
      t.diagnostic(found?.trace.join("; ") ?? "");
    });
  }

  it("among 2n members and lost stores two incarnations can serve: there the bound ends", () => {
    equal(run({ expect: 2, lossesMax: 1 }).violation?.kind, "two incarnations acknowledged");
  });
});

describe("as long as no store is lost, a group can always come to serve", () => {
  for (const expect of [2, 3]) {
    it(`${expect} of 3`, () => {
      equal(run({ expect }).stuck, undefined);
    });

    it(`${expect} of 3: not if open stores stayed for ever`, (t) => {
      const { stuck } = run({ expect, rules: without("openMayFollow") });
      notEqual(stuck, undefined);
      t.diagnostic(stuck?.join("; ") ?? "");
    });
  }
});
