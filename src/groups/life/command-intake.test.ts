import { deepEqual, equal, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { peer } from "../../../test/groups/kit.ts";
import { DecodeError } from "../../wire/index.ts";
import type { Bond } from "../bonds/index.ts";
import { type CommandSupport, encodeBatch, type NumberedBatch, type Support } from "../entries/index.ts";
import { defineMachine, runtimeOf } from "../machine/index.ts";
import { CommandIntake } from "./command-intake.ts";

const runtime = runtimeOf(
  defineMachine("sum", {
    state: () => ({ value: 0 }),
    commands: {
      add: (state, by: number) => (state.value += by),
      scale: (state, by: number) => (state.value *= by),
    },
  }),
);
const own: Support = { format: 1, version: 2, commands: ["add", "scale"] };
const dropped: Support = { format: 1, version: 2, commands: ["add"] };
const SESSION = 9;

const batch = (number: number, ...commands: unknown[]): NumberedBatch => {
  const encoded = encodeBatch(commands, runtime.writeCommand);
  if (encoded === undefined) throw new Error("too large");
  return { ...encoded, number };
};

/** A leader at whose group `agreed` is in force; it takes what comes. */
function desk(agreed: Support, expected?: number, support: CommandSupport = [peer("bob")]) {
  const taken: number[] = [];
  const ended: number[] = [];
  const office = {
    agreed,
    isServing: true,
    takeBatches: (_session: number, _owner: unknown, batches: readonly NumberedBatch[]) => {
      if (expected === undefined) taken.push(...batches.map(({ number }) => number));
      return expected;
    },
    endSession: (session: number) => void ended.push(session),
  };
  const compatibility = {
    own,
    isComplete: own.commands.every((name) => agreed.commands.includes(name)),
    supportOf: (names: readonly string[], isLate: boolean) => {
      deepEqual([names, isLate], [["scale"], true], "of the command that is refused alone, and nobody is waited for");
      return support;
    },
    behind: () => [peer("cyd")],
  };
  return { intake: new CommandIntake({ runtime, selfId: peer("ada"), compatibility }, office), taken, ended };
}

const bondWith = (machine: Support | undefined): Bond => ({ peer: peer("bob"), machine }) as Bond;

describe("commands on their way into a leader's log", () => {
  for (const from of ["its own node", "a member"] as const) {
    const give = ({ intake }: ReturnType<typeof desk>, batches: readonly NumberedBatch[]) =>
      from === "a member" ? intake.fromPeer(bondWith(own), SESSION, batches) : intake.fromSelf(SESSION, batches);
    it(`of ${from} are taken as far as all members can apply them; there the session ends`, () => {
      const at = desk(dropped);
      const answer = give(at, [batch(1, { add: 1 }), batch(2, { add: 2 }, { scale: 3 }), batch(3, { add: 4 })]);
      deepEqual(answer, { type: "commands-unsupported", session: SESSION, number: 2, members: [peer("bob")] });
      deepEqual([at.taken, at.ended], [[1], [SESSION]]);
    });

    it(`of ${from} are taken if all can be applied`, () => {
      const at = desk(own);
      equal(give(at, [batch(1, { scale: 3 })]), undefined);
      deepEqual([at.taken, at.ended], [[1], []]);
    });

    it(`of ${from} that are about to be agreed on are to be sent again, with all after them, and end no session`, () => {
      const at = desk(dropped, undefined, "waiting");
      const answer = give(at, [batch(1, { add: 1 }), batch(2, { scale: 3 }), batch(3, { add: 4 })]);
      deepEqual(answer, { type: "commands-refused", session: SESSION, expected: 2 });
      deepEqual([at.taken, at.ended], [[1], []]);
    });

    it(`of ${from} that come out of order end no session`, () => {
      const at = desk(dropped, 1);
      const answer = give(at, [batch(2, { scale: 3 })]);
      deepEqual(answer, { type: "commands-refused", session: SESSION, expected: 1 });
      deepEqual(at.ended, []);
    });
  }

  it("that nobody who knows as much as we can send are garbage", () => {
    const garbage: NumberedBatch = { number: 1, count: 1, bytes: Uint8Array.of(1, 0xc1), start: 0, end: 2 };
    throws(() => desk(own).intake.fromPeer(bondWith(own), SESSION, [garbage]), DecodeError);
    const newer = bondWith({ ...own, version: 3 });
    const answer = desk(own).intake.fromPeer(newer, SESSION, [garbage]);
    deepEqual(answer, { type: "commands-unsupported", session: SESSION, number: 1, members: [peer("cyd")] });
  });
});
