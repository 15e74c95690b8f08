import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodesOrRefuses, mutationsOf, peer } from "../../../test/groups/kit.ts";
import { LIMITS } from "../../env/index.ts";
import type { Entry } from "../../raft/index.ts";
import { DecodeError } from "../../wire/index.ts";
import {
  ENTRY_COMMANDS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  ENTRY_SESSION_END,
  encodeOpen,
  encodeRun,
  encodeSession,
  encodeSessionEnd,
} from "../entries/entries.ts";
import { AppendedSessions } from "../life/appended-sessions.ts";
import { batchOf } from "../testing.ts";
import { decodeSessions, encodeSessions } from "./session-codec.ts";
import { SessionTable } from "./sessions.ts";

const key = (name: string): string => Buffer.from(name.padEnd(16)).toString("hex");

const opening = (index: number, name: string): Entry => ({
  index,
  term: 1,
  kind: ENTRY_SESSION,
  data: encodeSession(key(name), peer(name)),
});
const commands = (index: number, session: number, number: number): Entry => ({
  index,
  term: 1,
  kind: ENTRY_COMMANDS,
  data: encodeRun({ session, number, timeMs: 0, batches: [batchOf([Uint8Array.of(1)])] }),
});

describe("sessions, as every replica knows them", () => {
  it("each number is applied once, in order", () => {
    const table = new SessionTable();
    table.begin(5, key("ada"), peer("ada"));
    deepEqual(
      [2, 1, 1, 2, 4, 3, 2, 4].map((number) => table.admit(5, number)),
      ["gap", "apply", "duplicate", "apply", "gap", "apply", "duplicate", "apply"],
    );
    equal(table.admit(6, 1), "unknown");
    equal(table.lastOf(5), 4);
    equal(table.lastOf(6), undefined);
  });

  it("an opening that was sent twice opens one session", () => {
    const table = new SessionTable();
    equal(table.begin(5, key("ada"), peer("ada")), 5);
    equal(table.admit(5, 1), "apply");
    equal(table.begin(9, key("ada"), peer("ada")), 5);
    equal(table.indexOf(key("ada")), 5);
    equal(table.lastOf(5), 1);
    equal(table.admit(9, 1), "unknown");
    equal(table.size, 1);
  });

  it("whatever comes in whatever order, what is applied is 1, 2, 3, …", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(5, 6), fc.integer({ min: 1, max: 8 }))), (arrivals) => {
        const table = new SessionTable();
        table.begin(5, key("ada"), peer("ada"));
        table.begin(6, key("bob"), peer("bob"));
        const applied = new Map<number, number[]>([
          [5, []],
          [6, []],
        ]);
        for (const [session, number] of arrivals) {
          if (table.admit(session, number) === "apply") applied.get(session)?.push(number);
        }
        for (const [session, numbers] of applied) {
          deepEqual(
            numbers,
            numbers.map((_, i) => i + 1),
          );
          equal(table.lastOf(session), numbers.length);
        }
      }),
    );
  });
});

describe("the end of a session", () => {
  it("nothing of it is applied any more, and its last number is known", () => {
    const table = new SessionTable();
    table.begin(5, key("ada"), peer("ada"));
    for (const number of [1, 2]) equal(table.admit(5, number), "apply");
    equal(table.end(5), 2);
    equal(table.end(5), undefined, "twice");
    deepEqual(
      [2, 3].map((number) => table.admit(5, number)),
      ["unknown", "unknown"],
    );
    deepEqual([table.lastOf(5), table.indexOf(key("ada")), table.size], [undefined, undefined, 0]);
    equal(table.begin(9, key("ada"), peer("ada")), 9, "its key opens another one");
    equal(table.admit(9, 1), "apply");
  });

  it("says what became of a batch: where it was applied, that it never will be, or that it may still come", () => {
    const table = new SessionTable();
    table.begin(5, key("ada"), peer("ada"));
    for (let number = 1; number <= 40; number++) {
      table.admit(5, number);
      table.place(5, number, 1_000 + number, number === 39);
    }
    const fates = (...numbers: number[]) => numbers.map((number) => table.fateOf(5, key("ada"), number));
    const known = [
      { type: "applied", position: undefined, isRejected: false },
      { type: "applied", position: undefined, isRejected: false },
      { type: "applied", position: 1_009, isRejected: false },
      { type: "applied", position: 1_039, isRejected: true },
      { type: "applied", position: 1_040, isRejected: false },
    ];
    deepEqual(fates(1, 8, 9, 39, 40, 41), [...known, { type: "pending" }]);
    table.end(5);
    deepEqual(fates(1, 8, 9, 39, 40, 41), [...known, { type: "never" }]);
    deepEqual(table.fateOf(5, key("bob"), 1), { type: "forgotten" }, "of another incarnation");
    deepEqual(table.fateOf(6, key("ada"), 1), { type: "forgotten" });
  });

  it("a halted machine places nothing, and sessions go on all the same", () => {
    const table = new SessionTable();
    table.begin(5, key("ada"), peer("ada"));
    for (let number = 1; number <= 33; number++) table.admit(5, number);
    deepEqual(table.fateOf(5, key("ada"), 33), { type: "applied", position: undefined, isRejected: false });
  });

  it("as many ended ones are remembered as may be open, the latest", () => {
    const table = new SessionTable();
    const count = LIMITS.sessionsMax + 1;
    for (let index = 1; index <= count; index++) {
      table.begin(index, index.toString(16).padStart(32, "0"), peer("ada"));
      equal(table.end(index), 0);
    }
    equal(table.ended.size, LIMITS.sessionsMax);
    deepEqual([table.ended.has(1), table.ended.has(2), table.ended.has(count)], [false, true, true]);
  });
});

describe("a table of sessions in a snapshot", () => {
  /** Index, batches, rejected ones, ended? */
  const sessions = fc.array(
    fc.record({
      step: fc.integer({ min: 1, max: 9 }),
      batches: fc.nat(70),
      rejected: fc.nat(5),
      isEnded: fc.boolean(),
    }),
    { maxLength: 8 },
  );
  const tableOf = (specs: readonly { step: number; batches: number; rejected: number; isEnded: boolean }[]) => {
    const table = new SessionTable();
    let index = 0;
    for (const { step, batches, rejected, isEnded } of specs) {
      index += step;
      table.begin(index, index.toString(16).padStart(32, "0"), peer(index % 2 === 0 ? "ada" : "bob"));
      for (let number = 1; number <= batches; number++) {
        table.admit(index, number);
        if (rejected < 5) table.place(index, number, index * 100 + number, number % 5 === rejected);
      }
      if (isEnded) table.end(index);
    }
    return table;
  };
  const bytesOf = (table: SessionTable) => Buffer.concat([...encodeSessions(table)]);

  it("comes back as it was, and equal tables have equal bytes", () => {
    fc.assert(
      fc.property(sessions, (specs) => {
        const table = tableOf(specs);
        const restored = decodeSessions(bytesOf(table));
        deepEqual([...restored.open], [...table.open]);
        deepEqual([...restored.ended], [...table.ended]);
        deepEqual(bytesOf(restored), bytesOf(tableOf(specs)));
        for (const [index, { key: of, last }] of table.open) {
          equal(restored.indexOf(of), index);
          equal(restored.admit(index, last), "duplicate");
          equal(restored.admit(index, last + 1), "apply");
        }
      }),
    );
  });

  it("comes in small pieces, however many there are", () => {
    const table = new SessionTable();
    for (let index = 1; index <= LIMITS.sessionsMax; index++) {
      table.begin(index, index.toString(16).padStart(32, "0"), peer("ada"));
      for (let number = 1; number <= 32; number++) {
        table.admit(index, number);
        table.place(index, number, 2 ** 40, true);
      }
    }
    const pieces = [...encodeSessions(table)];
    ok(Math.max(...pieces.map(({ length }) => length)) < 40 * 1024);
    ok(pieces.length > 10);
    equal(decodeSessions(Buffer.concat(pieces)).size, LIMITS.sessionsMax);
  });

  it("anything else is refused", () => {
    fc.assert(
      fc.property(mutationsOf(sessions.map((specs) => bytesOf(tableOf(specs)))), (bytes) => {
        const table = decodesOrRefuses(() => decodeSessions(bytes)) as SessionTable | undefined;
        if (table !== undefined) deepEqual(Buffer.from(bytes), bytesOf(table), "one table, one form");
      }),
    );
    throws(() => decodeSessions(Uint8Array.of(2, 0, 0)), DecodeError);
  });
});

describe("sessions, as a leader knows them", () => {
  it("what is in the log counts, applied or not", () => {
    const table = new SessionTable();
    table.begin(2, key("ada"), peer("ada"));
    table.admit(2, 1);
    const tail = [commands(4, 2, 2), opening(5, "bob"), commands(6, 5, 1), commands(7, 2, 3)];
    const appended = new AppendedSessions(table, tail);
    equal(appended.lastOf(2), 3);
    equal(appended.lastOf(5), 1);
    equal(appended.lastOf(6), undefined);
    equal(appended.indexOf(key("ada")), 2);
    equal(appended.indexOf(key("bob")), 5);
    equal(appended.indexOf(key("cyd")), undefined);
  });

  it("a number that the log has twice counts once", () => {
    const appended = new AppendedSessions(new SessionTable(), [
      opening(1, "ada"),
      commands(2, 1, 1),
      commands(3, 1, 2),
      commands(4, 1, 1),
      opening(5, "ada"),
    ]);
    equal(appended.lastOf(1), 2);
    equal(appended.indexOf(key("ada")), 1);
    equal(appended.lastOf(5), undefined);
  });

  it("keeps up with what is applied meanwhile", () => {
    const table = new SessionTable();
    const appended = new AppendedSessions(table, [opening(1, "ada"), commands(2, 1, 1)]);
    table.begin(1, key("ada"), peer("ada"));
    table.admit(1, 1);
    equal(appended.lastOf(1), 1);
    appended.advance(1, 2);
    equal(appended.lastOf(1), 2);
    equal(table.lastOf(1), 1);
  });

  it("a session at its end takes nothing more, applied or not", () => {
    const table = new SessionTable();
    table.begin(2, key("ada"), peer("ada"));
    table.begin(3, key("bob"), peer("bob"));
    const ends: Entry = { index: 6, term: 1, kind: ENTRY_SESSION_END, data: encodeSessionEnd([2, 5]) };
    const appended = new AppendedSessions(table, [commands(4, 2, 1), opening(5, "cyd"), ends, opening(7, "dan")]);
    deepEqual(
      [2, 3, 5, 7].map((session) => appended.lastOf(session)),
      [undefined, 0, undefined, 0],
    );
    deepEqual(
      ["ada", "bob", "cyd", "dan"].map((name) => appended.indexOf(key(name))),
      [undefined, 3, undefined, 7],
    );
    equal(appended.size, 2);
    appended.advance(2, 5);
    equal(appended.lastOf(2), undefined);
    // All of it is applied: the same.
    table.admit(2, 1);
    table.begin(5, key("cyd"), peer("cyd"));
    for (const session of [2, 5]) table.end(session);
    table.begin(7, key("dan"), peer("dan"));
    equal(appended.size, 2);
    deepEqual(
      [2, 3, 5, 7].map((session) => appended.lastOf(session)),
      [undefined, 0, undefined, 0],
    );
    deepEqual([appended.ownerOf(3), appended.ownerOf(7)], [peer("bob"), peer("dan")]);
  });

  it("other entries are none of its business", () => {
    const open: Entry = { index: 1, term: 1, kind: ENTRY_OPEN, data: encodeOpen() };
    const noop: Entry = { index: 2, term: 1, kind: 0, data: new Uint8Array(0) };
    equal(new AppendedSessions(new SessionTable(), [open, noop]).lastOf(1), undefined);
  });
});
