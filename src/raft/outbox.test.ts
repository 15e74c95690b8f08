import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "./outbox.ts";
import type { MemberId, Message } from "./types.ts";

const BUSY = { isHardStateDurable: false, isIdle: false };
const IDLE = { isHardStateDurable: true, isIdle: true };
const NOTHING = { send: [], sendAfterHardState: [], sendAfterPersist: [] };
const VOTE: Message = { type: "vote-reply", term: 2, granted: true };
const ACCEPTED: Message = { type: "append-reply", term: 2, round: 1, conflict: undefined, index: 3 };
const [ADA, BOB] = ["ada", "bob"] as MemberId[] as [MemberId, MemberId];

test("what one step gave stays as it was: a promise of the next one does not leave with it", () => {
  const outbox = new Outbox(ADA);
  const first = outbox.take(BUSY);
  outbox.send(BOB, { type: "timeout-now", term: 2 });
  outbox.sendAfterHardState(BOB, VOTE);
  outbox.sendAfterPersist(BOB, ACCEPTED);
  deepEqual(first, NOTHING);
  const second = outbox.take(BUSY);
  deepEqual([second.send.length, second.sendAfterHardState.length, second.sendAfterPersist.length], [1, 1, 1]);
  deepEqual(outbox.take(IDLE), NOTHING);
});

test("with an idle disk promises leave at once, after the rest", () => {
  const outbox = new Outbox(ADA);
  outbox.sendAfterPersist(BOB, ACCEPTED);
  outbox.sendAfterHardState(BOB, VOTE);
  outbox.send(BOB, { type: "timeout-now", term: 2 });
  const { send, ...later } = outbox.take(IDLE);
  deepEqual(
    send.map(({ message }) => message.type),
    ["timeout-now", "vote-reply", "append-reply"],
  );
  deepEqual(later, { sendAfterHardState: [], sendAfterPersist: [] });
});

test("while entries wait for the disk, what rests on the term and vote alone leaves at once", () => {
  const outbox = new Outbox(ADA);
  outbox.sendAfterPersist(BOB, ACCEPTED);
  outbox.sendAfterHardState(BOB, VOTE);
  const { send, sendAfterPersist } = outbox.take({ isHardStateDurable: true, isIdle: false });
  deepEqual([send.map(({ message }) => message), sendAfterPersist.map(({ message }) => message)], [[VOTE], [ACCEPTED]]);
});
