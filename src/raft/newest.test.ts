import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { keepNewest } from "./newest.ts";
import type { AppendReply, Envelope, LogPosition, MemberId, Message, Term } from "./types.ts";

const ADA = "ada" as MemberId;
const BOB = "bob" as MemberId;
const CYD = "cyd" as MemberId;

function to(member: MemberId, message: Message): Envelope {
  return { from: ADA, to: member, message };
}

function reply(term: Term, round: number, index: number, conflict?: LogPosition): AppendReply {
  return { type: "append-reply", term, round, conflict, index };
}

test("an acceptance that waits is covered by a later one of its term: both tell of one log", () => {
  const waiting = [to(BOB, reply(2, 5, 30))];
  deepEqual(keepNewest(waiting, [to(BOB, reply(2, 6, 10))]), [to(BOB, reply(2, 6, 30))]);
  deepEqual(waiting, [to(BOB, reply(2, 5, 30))], "what was handed out stays as it was");
});

test("of another term only the later one is true", () => {
  deepEqual(keepNewest([to(BOB, reply(2, 5, 30))], [to(BOB, reply(3, 1, 10))]), [to(BOB, reply(3, 1, 10))]);
});

test("a refusal and an acceptance, a vote and an answer, and what is for others stay beside each other", () => {
  const refused = reply(2, 4, 40, { index: 30, term: 1 });
  const vote: Message = { type: "vote-reply", term: 2, granted: true };
  const waiting = [to(BOB, vote), to(BOB, refused), to(CYD, reply(2, 0, 9, { index: 1, term: 1 }))];
  deepEqual(keepNewest(waiting, [to(BOB, reply(2, 5, 30))]), [...waiting, to(BOB, reply(2, 5, 30))]);
});

test("a later vote, and a later refusal, take the place of earlier ones", () => {
  const waiting: Envelope[] = [
    to(BOB, { type: "vote-reply", term: 2, granted: true }),
    to(BOB, reply(2, 4, 40, { index: 30, term: 1 })),
  ];
  const later: Envelope[] = [
    to(BOB, { type: "vote-reply", term: 3, granted: false }),
    to(BOB, reply(3, 1, 20, { index: 10, term: 1 })),
  ];
  deepEqual(keepNewest(waiting, later), later);
});
