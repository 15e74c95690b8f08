import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { candidate, idOf, NAMES } from "../../../test/streams/matching-kit.ts";
import { compareRanks, isClearlyBetter } from "./ranking.ts";
import { RuleCheck } from "./rule.ts";

const INFINITE = Number.POSITIVE_INFINITY;
const score = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(0, 1, -1, INFINITE, -INFINITE));

describe("clearly better", () => {
  const rows: readonly [candidate: number, current: number, expected: boolean][] = [
    [2, 1, true],
    [1.05, 1, false],
    [1.2, 1, true],
    [-8, -10, true],
    [-9.5, -10, false],
    [1, 1, false],
    [1, 2, false],
    [1e-9, 0, true],
    [0, -1e-9, true],
    [0, 0, false],
    [-0, 0, false],
    [INFINITE, 5, true],
    [INFINITE, INFINITE, false],
    [5, -INFINITE, true],
    [INFINITE, -INFINITE, true],
    [-INFINITE, -INFINITE, false],
  ];
  for (const [one, current, expected] of rows) {
    it(`${one} than ${current}: ${expected}`, () => equal(isClearlyBetter(one, current), expected));
  }

  it("never both of two, and never the lower one", () => {
    fc.assert(
      fc.property(score, score, (a, b) => {
        equal(isClearlyBetter(a, b) && isClearlyBetter(b, a), false);
        if (isClearlyBetter(a, b)) equal(a > b, true);
      }),
    );
  });
});

describe("ranks", () => {
  it("are by score, then by lot, then by id", () => {
    const of = (name: string, value: number, lot: number) => ({ id: idOf(name), score: value, lot });
    const all = [of("bob", 1, 2), of("dan", -INFINITE, 0), of("ada", 1, 2), of("eve", 1, 1), of("cyd", INFINITE, 9)];
    deepEqual(
      all.sort(compareRanks).map(({ id }) => id),
      ["cyd", "eve", "ada", "bob", "dan"].map(idOf),
    );
  });

  it("are an order", () => {
    const ranked = fc.record({ id: fc.constantFrom(...NAMES).map(idOf), score, lot: fc.nat(2) });
    fc.assert(
      fc.property(ranked, ranked, ranked, (a, b, c) => {
        equal(compareRanks(a, b) + compareRanks(b, a), 0);
        if (compareRanks(a, b) < 0 && compareRanks(b, c) < 0) equal(compareRanks(a, c) < 0, true);
      }),
    );
  });
});

describe("a preference", () => {
  it("that throws, or gives no number, puts a peer last; the first cause is told once", () => {
    const results: Record<string, () => unknown> = {
      ada: () => {
        throw new Error("of prefer");
      },
      bob: () => Number.NaN,
      cyd: () => "7",
      dan: () => undefined,
      eve: () => -5,
    };
    const check = new RuleCheck({}, ({ id }) => results[NAMES.find((name) => idOf(name) === id) ?? ""]?.() as number);
    const scores = ["ada", "bob", "cyd", "dan", "eve"].map((name) => check.score(candidate(name).peer));
    deepEqual(scores, [-INFINITE, -INFINITE, -INFINITE, -INFINITE, -5]);
    deepEqual(check.takeProblem(), { cause: new Error("of prefer") });
    equal(check.takeProblem(), undefined);
  });

  it("that is not there makes all equal", () => equal(new RuleCheck({}, undefined).score(candidate("ada").peer), 0));
});

describe("a rule", () => {
  it("is undecided about a peer without a round trip, if that is all", () => {
    const check = new RuleCheck({ tags: "good", maxRttMs: 5 }, undefined);
    const fit = (tags: readonly string[], rttMs?: number) =>
      check.fit(candidate("ada", rttMs === undefined ? { tags } : { tags, rttMs }).peer);
    deepEqual([fit(["good"]), fit([]), fit(["good"], 5), fit(["good"], 6)], ["unmeasured", "unfit", "fits", "unfit"]);
    equal(new RuleCheck({ tags: "good" }, undefined).fit(candidate("ada", { tags: ["good"] }).peer), "fits");
  });
});
