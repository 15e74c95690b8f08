import { equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ballotResult, isSingleChange, majority, reachedByMajority } from "./quorum.ts";

const values = fc.array(fc.nat(20), { minLength: 1, maxLength: 9 });

test("what a majority reached is the highest value that more than half have", () => {
  fc.assert(
    fc.property(values, (list) => {
      const have = (value: number) => list.filter((other) => other >= value).length * 2 > list.length;
      equal(reachedByMajority(list), Math.max(...list.filter(have)));
    }),
  );
  equal(reachedByMajority([]), 0);
});

test("two majorities always meet", () => {
  for (let count = 1; count <= 9; count++) equal(2 * majority(count) > count, true);
});

test("a ballot is won by more than half, and lost once that is out of reach", () => {
  const rows = [
    [[true], "won"],
    [[undefined], "open"],
    [[false], "lost"],
    [[true, undefined], "open"],
    [[true, false], "lost"],
    [[true, true, undefined], "won"],
    [[true, false, undefined], "open"],
    [[false, false, undefined], "lost"],
    [[true, true, undefined, undefined], "open"],
    [[false, false, true, undefined], "lost"],
    [[], "lost"],
  ] as const;
  for (const [votes, result] of rows) equal(ballotResult(votes), votes.length === 0 ? "lost" : result, `${votes}`);
});

test("a single change keeps majorities of both sides in touch", () => {
  const voters = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 1 });
  const subsets = (of: string[]) =>
    [...Array(2 ** of.length).keys()].map((bits) => of.filter((_, at) => (bits >> at) & 1));
  fc.assert(
    fc.property(voters, voters, (before, after) => {
      if (!isSingleChange(before, after)) return;
      const majorities = (of: string[]) => subsets(of).filter((some) => some.length >= majority(of.length));
      for (const one of majorities(before)) {
        for (const other of majorities(after))
          equal(
            one.some((voter) => other.includes(voter)),
            true,
          );
      }
    }),
  );
  const rows = [
    [[], ["a", "b", "c"], true],
    [["a"], ["a"], true],
    [["a"], ["a", "b"], true],
    [["a", "b"], ["b"], true],
    [["a"], ["b"], false],
    [["a"], [], false],
    [["a", "b"], ["a", "b", "c", "d"], false],
  ] as const;
  for (const [before, after, expected] of rows) equal(isSingleChange<string>(before, after), expected);
});
