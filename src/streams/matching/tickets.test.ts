import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { TicketValidator } from "../../discovery/index.ts";
import { hash } from "../../identity/index.ts";
import { answerOf, questionsOf, type Verdict, verdictOf } from "./tickets.ts";

const NOW = { wallMs: 1_000_000, monotonicMs: 50 };
const forever: Verdict = { validUntilMs: undefined };
const until = (wallMs: number): Verdict => ({ validUntilMs: wallMs });

describe("a verdict of tickets", () => {
  const rows: readonly [what: string, answers: readonly (readonly Verdict[])[], verdict: Verdict][] = [
    ["nobody asks for tickets", [], forever],
    ["there is none of the class", [[]], "refused"],
    ["the only one is refused", [["refused"]], "refused"],
    ["one of two is accepted", [["refused", forever]], forever],
    ["of one validator the latest end counts", [[until(1_000_100), until(1_000_300), "refused"]], until(350)],
    ["no end is later than any", [[until(1_000_100), forever]], forever],
    ["of all validators the earliest end counts", [[until(1_000_300)], [until(1_000_200)], [forever]], until(250)],
    ["all must pass", [[forever], ["refused"]], "refused"],
    ["what has ended is refused", [[until(1_000_000)]], "refused"],
    ["an end that is no number is refused", [[until(Number.NaN)]], "refused"],
    ["an ended one beside a good one does no harm", [[until(1), until(1_000_001)]], until(51)],
  ];
  for (const [what, answers, verdict] of rows) {
    it(what, () => deepEqual(verdictOf(answers, NOW), verdict));
  }

  it("does not depend on the order of tickets or validators, and no more tickets make it worse", () => {
    const answer = fc.oneof(
      fc.constant<Verdict>("refused"),
      fc
        .option(fc.integer({ min: 999_990, max: 1_000_010 }), { nil: undefined })
        .map((validUntilMs) => ({ validUntilMs })),
    );
    const endOf = (verdict: Verdict): number =>
      verdict === "refused" ? Number.NEGATIVE_INFINITY : (verdict.validUntilMs ?? Number.POSITIVE_INFINITY);
    fc.assert(
      fc.property(fc.array(fc.array(answer, { maxLength: 4 }), { maxLength: 4 }), answer, (answers, another) => {
        const verdict = verdictOf(answers, NOW);
        deepEqual(verdictOf(answers.map((ofOne) => [...ofOne].reverse()).reverse(), NOW), verdict);
        const more = answers.map((ofOne) => [...ofOne, another]);
        equal(endOf(verdictOf(more, NOW)) >= endOf(verdict), true);
        equal(endOf(verdictOf([...answers, [another]], NOW)) <= endOf(verdict), true);
      }),
    );
  });
});

describe("an answer of a validator", () => {
  it("is a date, or nothing; whatever else plain JavaScript returns is a refusal", () => {
    deepEqual(answerOf(undefined), forever);
    deepEqual(answerOf(new Date(5)), until(5));
    const others = [new Date(Number.NaN), null, 5, "2030-01-01", true, {}, { getTime: 5 }, { getTime: () => "soon" }];
    for (const other of others) equal(answerOf(other), "refused");
  });
});

it("validators are asked about the tickets of their class", () => {
  const validator = (name: string): TicketValidator => ({ class: hash(name), validate: () => undefined });
  const one = { class: hash("one"), data: new Uint8Array([1]) };
  const two = { class: hash("two"), data: new Uint8Array([2]) };
  deepEqual(questionsOf([validator("two"), validator("three"), validator("two")], [one, two]), [[two], [], [two]]);
});
