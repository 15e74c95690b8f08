import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Progress, Window } from "./progress.ts";
import type { MemberId } from "./types.ts";

const BOB = "bob" as MemberId;

test("a window holds the bytes of what was not released", () => {
  const action = fc.oneof(fc.record({ push: fc.integer({ min: 1, max: 50 }) }), fc.record({ release: fc.nat(60) }));
  fc.assert(
    fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const window = new Window();
      let model: { index: number; bytes: number }[] = [];
      let last = 0;
      for (const step of actions) {
        if ("push" in step) {
          last += 1;
          window.push(last, step.push);
          model.push({ index: last, bytes: step.push });
        } else {
          window.release(step.release);
          model = model.filter(({ index }) => index > step.release);
        }
        equal(
          window.bytes,
          model.reduce((sum, { bytes }) => sum + bytes, 0),
        );
      }
    }),
  );
});

test("a window that is filled and emptied for long keeps no more than it holds", () => {
  const window = new Window();
  for (let index = 1; index <= 5_000; index++) {
    window.push(index, 2);
    if (index > 10) window.release(index - 10);
  }
  equal(window.bytes, 20);
});

test("match never goes back, and next stays above it, whatever arrives in whatever order", () => {
  const answer = fc.record({ index: fc.nat(20), round: fc.nat(10), hint: fc.nat(20), isAccepted: fc.boolean() });
  fc.assert(
    fc.property(fc.array(answer), (answers) => {
      const progress = new Progress(BOB, 21);
      let round = 1;
      for (const { index, hint, isAccepted, ...reply } of answers) {
        const { match } = progress;
        if (isAccepted) progress.onAccepted(index, reply.round, 0);
        else progress.onRefused(index, reply.round, { index: hint, term: 1 }, ++round);
        equal(progress.match >= match, true);
        equal(progress.next > progress.match, true);
        equal(progress.next <= 21, true);
      }
    }),
  );
});

test("only an answer to what is asked now ends the probing", () => {
  const progress = new Progress(BOB, 10);
  progress.onAccepted(4, 1, 0);
  equal(progress.state, "replicate");
  progress.onRefused(9, 1, { index: 6, term: 1 }, 2);
  deepEqual([progress.state, progress.match, progress.next], ["probe", 4, 7]);

  // Answers of the time before: one raises the match index, none changes the state.
  progress.onAccepted(5, 1, 0);
  progress.onRefused(8, 1, { index: 1, term: 1 }, 3);
  deepEqual([progress.state, progress.match, progress.next], ["probe", 5, 7]);

  progress.onAccepted(5, 2, 0);
  deepEqual([progress.state, progress.match, progress.next], ["replicate", 5, 7]);
});

test("a new link is probed from what is sure", () => {
  const progress = new Progress(BOB, 10);
  progress.onAccepted(4, 1, 0);
  progress.next = 30;
  progress.window.push(29, 100);
  progress.probe(2);
  deepEqual(progress.status(), { member: BOB, state: "probe", match: 4, next: 5, inflightBytes: 0, silentTicks: 0 });
});
