import { deepEqual, equal, match, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { type Case, measure, median, ratioOf, rowOf, type Target, table } from "../../bench/harness.ts";

function caseOf(overrides: Partial<Case> = {}): Case {
  return {
    bench: "group-memory",
    case: "in-flight-1",
    metric: "execute",
    unit: "us",
    better: "lower",
    peerName: "node:tls",
    layout: "processes",
    target: undefined,
    ours: async () => 1,
    peer: async () => 1,
    ...overrides,
  };
}

/** What a `--json` line holds, in this order. Programs read it. */
const FIELDS = [
  "bench",
  "case",
  "metric",
  "unit",
  "better",
  "ours",
  "peer",
  "peerName",
  "ratio",
  "target",
  "repeats",
  "layout",
];

describe("a bench's harness", () => {
  it("takes the middle value, whatever the order", () => {
    const rows: readonly [values: number[], expected: number][] = [
      [[5], 5],
      [[9, 1, 100, 10, 2], 9],
      [[4, 1], 2.5],
      [[10, 9, 8, 1_000], 9.5],
    ];
    for (const [values, expected] of rows) equal(median(values), expected);
    throws(() => median([]), RangeError);
  });

  it("leaves the values as they came", () => {
    const values = [3, 1, 2];
    median(values);
    deepEqual(values, [3, 1, 2]);
  });

  it("is above 1 where ours is better, whichever direction is better", () => {
    equal(ratioOf("higher", 300, 100), 3);
    equal(ratioOf("higher", 50, 100), 0.5);
    equal(ratioOf("lower", 50, 100), 2);
    equal(ratioOf("lower", 300, 150), 0.5);
  });

  it("measures in turn, ours first, and counts the medians", async () => {
    const log: string[] = [];
    const side = (name: string, values: number[]) => async () => {
      log.push(name);
      return values.shift() ?? Number.NaN;
    };
    const what = caseOf({ ours: side("ours", [30, 10, 1_000]), peer: side("peer", [60, 1, 90]) });
    const row = await measure(what, 3);
    deepEqual(log, ["ours", "peer", "ours", "peer", "ours", "peer"]);
    deepEqual([row.ours, row.peer, row.ratio, row.repeats], [30, 60, 2, 3]);
  });

  it("makes rows of just the fields that are promised", () => {
    for (const target of [undefined, { ratio: 2 }]) {
      const row = rowOf(caseOf({ target }), [1], [2]);
      deepEqual(Object.keys(row), FIELDS);
      // Undefined would vanish from the line.
      deepEqual(Object.keys(JSON.parse(JSON.stringify(row))), FIELDS);
    }
  });

  it("gives targets as ratios, those for our figure alone too", () => {
    const rows: readonly [target: Target | undefined, better: Case["better"], expected: number | null][] = [
      [undefined, "lower", null],
      [{ ratio: 0.75 }, "lower", 0.75],
      [{ ours: 500 }, "lower", 0.2],
      [{ ours: 500 }, "higher", 5],
    ];
    for (const [target, better, expected] of rows) {
      const row = rowOf(caseOf({ target, better }), [500], [100]);
      equal(row.target, expected);
      // Whoever has just what the target asks for has met it.
      if (target !== undefined && "ours" in target) equal(row.ratio, row.target);
    }
  });

  it("shows people which targets are missed", () => {
    const row = (name: string, ratio: number, target: Target | undefined) =>
      rowOf(caseOf({ case: name, better: "higher", target }), [ratio * 10], [10]);
    const lines = table([row("good", 2, { ratio: 2 }), row("bad", 1.9, { ratio: 2 }), row("open", 1, undefined)]).split(
      "\n",
    );
    equal(lines.length, 4);
    match(lines[1] ?? "", /^good .* 2 +2 +met$/);
    match(lines[2] ?? "", /^bad .* 1\.9 +2 +missed$/);
    match(lines[3] ?? "", /^open .* 1 +-$/);
  });
});
