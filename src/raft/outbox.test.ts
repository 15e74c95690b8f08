import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "./outbox.ts";
import type { MemberId } from "./types.ts";

const [ADA, BOB] = ["ada", "bob"] as MemberId[] as [MemberId, MemberId];

test("what one step gave stays as it was: a promise of the next one does not leave with it", () => {
  const outbox = new Outbox(ADA);
  const first = outbox.take(false);
  outbox.send(BOB, { type: "timeout-now", term: 2 });
  outbox.sendAfterPersist(BOB, { type: "vote-reply", term: 2, granted: true });
  deepEqual(first, { send: [], sendAfterPersist: [] });
  const second = outbox.take(false);
  deepEqual([second.send.length, second.sendAfterPersist.length], [1, 1]);
  deepEqual(outbox.take(true), { send: [], sendAfterPersist: [] });
});

test("with an idle disk promises leave at once, after the rest", () => {
  const outbox = new Outbox(ADA);
  outbox.sendAfterPersist(BOB, { type: "vote-reply", term: 2, granted: true });
  outbox.send(BOB, { type: "timeout-now", term: 2 });
  const { send, sendAfterPersist } = outbox.take(true);
  deepEqual(
    send.map(({ message }) => message.type),
    ["timeout-now", "vote-reply"],
  );
  deepEqual(sendAfterPersist, []);
});
