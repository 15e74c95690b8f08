import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { planAppend } from "./append.ts";
import { bytesOf, isBehind, Log } from "./log.ts";
import type { AppendRequest, Entry } from "./types.ts";

/** Entries from 1 on with these terms, which grow by the given steps. */
const terms = fc.array(fc.nat(2), { maxLength: 12 }).map((steps) => {
  let term = 1;
  return steps.map((step) => (term += step));
});

function entriesOf(list: readonly number[], first = 1): Entry[] {
  return list.map((term, at) => ({ index: first + at, term, kind: 1, data: new Uint8Array(term % 5) }));
}

function logOf(list: readonly number[]): Log {
  return new Log({ index: 0, term: 0 }, entriesOf(list));
}

test("where two logs may agree at the latest is found as by walking back", () => {
  fc.assert(
    fc.property(terms, fc.nat(15), fc.nat(20), (list, index, term) => {
      const log = logOf(list);
      let expected = Math.min(index, log.lastIndex);
      while (expected > 0 && (log.termAt(expected) ?? 0) > term) expected--;
      equal(log.lastNotAbove({ index, term }).index, expected);
    }),
  );
});

test("a log behaves like an array that is appended to and cut", () => {
  const action = fc.oneof(fc.record({ cut: fc.integer({ min: 1, max: 14 }) }), fc.record({ grow: fc.nat(2) }));
  fc.assert(
    fc.property(fc.array(action), (actions) => {
      const log = logOf([]);
      const model: Entry[] = [];
      for (const step of actions) {
        if ("cut" in step) {
          log.truncateFrom(step.cut);
          model.length = Math.min(model.length, step.cut - 1);
        } else {
          const entry = { index: model.length + 1, term: log.lastTerm + step.grow, kind: 2, data: new Uint8Array(0) };
          log.append(entry);
          model.push(entry);
        }
        equal(log.lastIndex, model.length);
        equal(log.lastTerm, model[model.length - 1]?.term ?? 0);
        deepEqual(log.range(1, log.lastIndex), model);
      }
    }),
  );
});

test("a batch ends by count, by bytes or with the log, and never is empty before the end", () => {
  fc.assert(
    fc.property(
      terms,
      fc.integer({ min: 1, max: 13 }),
      fc.integer({ min: 1, max: 5 }),
      fc.nat(200),
      (list, from, count, bytes) => {
        const log = logOf(list);
        const batch = log.batch(from, log.lastIndex, { entriesMax: count, bytesMax: bytes + 1 });
        if (from > log.lastIndex) return equal(batch.length, 0);
        equal(batch[0]?.index, from);
        equal(batch.length <= count, true);
        const withoutLast = batch.slice(0, -1).reduce((sum, entry) => sum + bytesOf(entry), 0);
        equal(withoutLast <= bytes, true);
      },
    ),
  );
});

test("a log that begins after a snapshot knows the place before it, and nothing earlier", () => {
  const log = new Log({ index: 5, term: 2 }, entriesOf([2, 3], 6));
  deepEqual([log.termAt(4), log.termAt(5), log.termAt(6), log.termAt(8)], [undefined, 2, 2, undefined]);
  deepEqual(log.lastNotAbove({ index: 9, term: 1 }), { index: 5, term: 2 });
  deepEqual(log.last, { index: 7, term: 3 });
  throws(() => log.truncateFrom(5), /snapshot/);
  throws(() => log.append({ index: 9, term: 3, kind: 1, data: new Uint8Array(0) }), /follows/);
  throws(() => log.append({ index: 8, term: 2, kind: 1, data: new Uint8Array(0) }), /predecessor/);
});

test("the better log is that of the later term, then the longer one", () => {
  equal(isBehind({ index: 9, term: 1 }, { index: 1, term: 2 }), true);
  equal(isBehind({ index: 1, term: 2 }, { index: 2, term: 2 }), true);
  equal(isBehind({ index: 2, term: 2 }, { index: 2, term: 2 }), false);
});

test("an append that fits makes the follower's log the leader's, up to its end, and cuts only what differs", () => {
  fc.assert(
    fc.property(terms, terms, fc.nat(12), fc.nat(12), (ours, theirs, start, length) => {
      const follower = logOf(ours);
      const leader = logOf(theirs);
      const prevIndex = Math.min(start, leader.lastIndex);
      const entries = leader.range(prevIndex + 1, Math.min(leader.lastIndex, prevIndex + length));
      const term = leader.lastTerm;
      const request: AppendRequest = {
        ...{ type: "append", term, prev: leader.positionAt(prevIndex), entries, commit: 0, round: 1 },
      };
      // Two logs of one group: equal positions have equal prefixes.
      const isOneGroup = ours.every(
        (value, at) => value !== theirs[at] || ours.slice(0, at).join() === theirs.slice(0, at).join(),
      );
      if (!isOneGroup) return;
      const plan = planAppend(follower, 0, request);
      if (plan.type !== "fits") return equal(follower.has(request.prev), false);
      if (plan.truncateFrom !== undefined) {
        equal(follower.termAt(plan.truncateFrom) !== leader.termAt(plan.truncateFrom), true);
        follower.truncateFrom(plan.truncateFrom);
      }
      for (const entry of plan.missing) follower.append(entry);
      for (let index = 0; index <= plan.matched; index++) equal(follower.termAt(index), leader.termAt(index));
    }),
  );
});
