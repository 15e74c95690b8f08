import { equal, match } from "node:assert/strict";
import { describe, it } from "node:test";
import { peer, store } from "../../../test/groups/kit.ts";
import { LIMITS } from "../../env/index.ts";
import { OPENINGS_TOLD_MAX, type Openings, OpeningsMemory } from "./openings.ts";
import { NO_STORE } from "./status.ts";

const ADA = peer("ada");
const STORE = store("one");

/** Openings with these names, and `before` that are not listed. */
function opened(names: string, before = 0): Openings {
  return { count: before + names.length, ids: [...names] };
}

/** A memory that saw these openings of ada's store, one after the other. */
function having(...seen: readonly Openings[]): OpeningsMemory {
  const memory = new OpeningsMemory();
  for (const openings of seen) memory.remember(ADA, STORE, openings);
  return memory;
}

describe("the memory of openings", () => {
  const rows: readonly [title: string, seen: Openings[], shown: Openings, expected: RegExp | undefined][] = [
    ["a store never seen", [], opened("abc"), undefined],
    ["the same opening over another link", [opened("abc")], opened("abc"), undefined],
    ["the next opening", [opened("abc")], opened("abcd"), undefined],
    ["several later", [opened("abc")], opened("abcdefg"), undefined],
    ["an older copy, opened once more", [opened("abcd")], opened("abx"), /opened more often/],
    ["an older copy, opened as often", [opened("abcd")], opened("abxy"), /lacks an opening/],
    ["an older copy, opened more often", [opened("abcd")], opened("abxyz"), /lacks an opening/],
    ["the twin of the one that was seen", [opened("abc")], opened("abx"), /lacks an opening/],
    ["ids that are not listed any more", [opened("bc", 1)], opened("defg", 3), undefined],
    ["so many later that it cannot be told", [opened("abc")], opened("xyz", 9), undefined],
    ["the last that can be told", [opened("abc")], opened("cde", 2), undefined],
    ["the last that can be told, wrong", [opened("abc")], opened("xde", 2), /lacks an opening/],
    ["a delayed word of an earlier life", [opened("abc"), opened("abcd")], opened("abc"), /opened more often/],
    ["a member whose store is not open yet", [opened("abc")], opened(""), undefined],
  ];
  for (const [title, seen, shown, expected] of rows) {
    it(title, () => {
      const doubt = having(...seen).doubt(ADA, STORE, shown);
      if (expected === undefined) equal(doubt, undefined);
      else match(doubt ?? "", expected);
    });
  }

  it("a store that was given up never comes back", () => {
    const memory = having(opened("ab"));
    // Its successor was seen in a status, without its openings.
    memory.remember(ADA, store("two"));
    equal(memory.doubt(ADA, store("two"), opened("x")), undefined);
    memory.remember(ADA, store("two"), opened("x"));
    match(memory.doubt(ADA, STORE, opened("abc")) ?? "", /given up/);
    equal(memory.doubt(ADA, store("two"), opened("xy")), undefined);
    equal(memory.doubt(peer("bob"), STORE, opened("abc")), undefined);
  });

  it("a store that takes the place of another is one that was never seen", () => {
    const memory = having(opened("ab"));
    equal(memory.doubtSuccessor(ADA, store("two")), undefined);
    equal(memory.doubtSuccessor(peer("bob"), STORE), undefined);
    match(memory.doubtSuccessor(ADA, STORE) ?? "", /seen before/);
  });

  it("a store that is not open yet is none", () => {
    const memory = having(opened("ab"));
    memory.remember(ADA, NO_STORE);
    memory.remember(ADA, NO_STORE, opened("x"));
    equal(memory.doubt(ADA, STORE, opened("abc")), undefined);
  });

  it("is bounded: the peer seen last is forgotten last", () => {
    const memory = having(opened("ab"));
    for (let i = 1; i < LIMITS.bondsMax; i++) memory.remember(peer(`peer ${i}`), STORE, opened("ab"));
    memory.remember(ADA, STORE, opened("abc"));
    memory.remember(peer("one more"), STORE, opened("ab"));
    match(memory.doubt(ADA, STORE, opened("abx")) ?? "", /lacks/);
    equal(memory.doubt(peer("peer 1"), STORE, opened("xy")), undefined);
  });

  it("the ids in a hello leave room for the rest of it", () => {
    equal(OPENINGS_TOLD_MAX * 16 * 4 <= LIMITS.helloBytesMax, true);
  });
});
