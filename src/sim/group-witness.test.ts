import { doesNotThrow, throws } from "node:assert/strict";
import { test } from "node:test";
import { type AnyMachine, defineMachine, type Group } from "../groups/index.ts";
import { hash } from "../identity/index.ts";
import { GroupWitness } from "./group-witness.ts";
import { Simulation } from "./simulation.ts";

/** A group that answers at the positions it is told. */
function puppet(): { witness: GroupWitness; say(type: "execute" | "query", position: number): Promise<unknown> } {
  const answers: number[] = [];
  const answer = async () => ({ position: answers.shift(), result: null });
  const group = { id: hash("g"), execute: answer, query: answer } as unknown as Group<AnyMachine>;
  const machine = defineMachine("puppet", { state: () => ({}), commands: {}, queries: { nothing: () => null } });
  const witness = new GroupWitness(new Simulation({ seed: 1 }), machine);
  const watched = witness.watch(group, hash("n")) as unknown as Record<
    "execute" | "query",
    (x: unknown) => Promise<unknown>
  >;
  return {
    witness,
    say: (type, position) => {
      answers.push(position);
      return watched[type]("nothing");
    },
  };
}

const wrong: readonly [what: string, story: readonly ["execute" | "query", number][], problem: RegExp][] = [
  [
    "a command before one that had returned",
    [
      ["execute", 2],
      ["execute", 1],
    ],
    /command at position 1 was called after one at 2/,
  ],
  [
    "two commands at one place",
    [
      ["execute", 1],
      ["execute", 1],
    ],
    /position 1/,
  ],
  [
    "a read from before a write that had returned",
    [
      ["execute", 1],
      ["query", 0],
    ],
    /query at position 0 was called after one at 1/,
  ],
  [
    "reads that go back",
    [
      ["query", 3],
      ["query", 2],
    ],
    /query at position 2/,
  ],
  ["a command that is in no log", [["execute", 1]], /nothing was applied at position 1/],
];

for (const [what, story, problem] of wrong) {
  test(`the witness catches ${what}`, async () => {
    const { witness, say } = puppet();
    for (const [type, position] of story) await say(type, position);
    throws(() => witness.judge(), { invariant: "linearizability", message: problem });
  });
}

test("calls that overlap may take place in any order", async () => {
  const { witness, say } = puppet();
  await Promise.all([say("query", 0), say("query", 0)]);
  doesNotThrow(() => witness.judge());
});
