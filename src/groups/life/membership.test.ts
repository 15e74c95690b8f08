import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { MemberId } from "../../raft/index.ts";
import { decideMembership, type MembershipView, votersTarget } from "./membership.ts";

const ids = (...names: string[]): MemberId[] => names as MemberId[];
const set = (...names: string[]): Set<MemberId> => new Set(ids(...names));

function view(change: Partial<MembershipView>): MembershipView {
  return {
    self: "a" as MemberId,
    voters: ids("a", "b", "c"),
    spares: [],
    dead: new Set(),
    leaving: new Set(),
    heard: set("a", "b", "c", "d", "e", "f"),
    votersMax: 5,
    ...change,
  };
}

const rows: readonly (readonly [title: string, view: Partial<MembershipView>, expected: string])[] = [
  ["a full group stays as it is", {}, "none"],
  ["one spare waits for the next odd number", { spares: ids("d") }, "none"],
  ["two spares make five", { spares: ids("d", "e") }, "add d -> a b c d"],
  ["an even number is completed", { voters: ids("a", "b", "c", "d"), spares: ids("e") }, "add e -> a b c d e"],
  ["no more than the most", { voters: ids("a", "b", "c", "d", "e"), spares: ids("f", "g") }, "none"],
  ["a dead voter stays while nobody can follow it", { dead: set("c") }, "none"],
  ["a dead voter goes when a spare is there", { dead: set("c"), spares: ids("d") }, "remove c -> a b"],
  ["and the spare follows", { voters: ids("a", "b"), spares: ids("d") }, "add d -> a b d"],
  ["who asks to go, goes without a spare", { leaving: set("b") }, "remove b -> a c"],
  ["who leaves goes before the dead", { leaving: set("b"), dead: set("c"), spares: ids("d") }, "remove b -> a c"],
  ["the leader is never removed by itself", { leaving: set("a") }, "none"],
  ["the last voter stays", { voters: ids("a"), leaving: set("a") }, "none"],
  [
    "a last voter that leaves takes any spare",
    { voters: ids("a"), leaving: set("a"), spares: ids("d") },
    "add d -> a d",
  ],
  ["a lone voter waits for two spares", { voters: ids("a"), spares: ids("d") }, "none"],
  ["no change without a majority of the new voters", { dead: set("c"), spares: ids("d"), heard: set("a") }, "none"],
  ["nothing by a leader that hears nobody", { leaving: set("b"), heard: set("a") }, "none"],
];

describe("the voters of a group", () => {
  for (const [title, change, expected] of rows) {
    it(title, () => {
      const decided = decideMembership(view(change));
      equal(
        decided === undefined ? "none" : `${decided.type} ${decided.member} -> ${decided.voters.join(" ")}`,
        expected,
      );
    });
  }

  it("an odd number, within the most and the members", () => {
    deepEqual(
      [0, 1, 2, 3, 4, 5, 6, 9].map((members) => votersTarget(members, 5)),
      [0, 1, 1, 3, 3, 5, 5, 5],
    );
    deepEqual(
      [3, 5].map((members) => votersTarget(members, 4)),
      [3, 3],
    );
  });

  it("changes one voter at a time, to voters of whom a majority was heard, and never shrinks for failures alone", () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const some = fc.subarray(names);
    fc.assert(
      fc.property(some, some, some, some, some, (others, spares, dead, leaving, heard) => {
        const voters = ids(...new Set(["a", ...others])).sort();
        const given = view({
          voters,
          spares: ids(...spares).filter((spare) => !voters.includes(spare)),
          dead: set(...dead),
          leaving: set(...leaving),
          heard: set("a", ...heard),
        });
        const change = decideMembership(given);
        if (change === undefined) return;
        equal(Math.abs(change.voters.length - voters.length), 1);
        equal(change.voters.filter((voter) => given.heard.has(voter)).length * 2 > change.voters.length, true);
        if (change.type === "remove") equal(given.leaving.has(change.member) || given.spares.length > 0, true);
      }),
    );
  });
});
