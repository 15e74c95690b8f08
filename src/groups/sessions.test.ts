import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Entry } from "../raft/index.ts";
import { ENTRY_COMMANDS, ENTRY_OPEN, ENTRY_SESSION, encodeOpen, encodeRun, encodeSession } from "./entries.ts";
import { AppendedSessions, SessionTable } from "./sessions.ts";

const key = (name: string): string => Buffer.from(name.padEnd(16)).toString("hex");

const opening = (index: number, name: string): Entry => ({
  index,
  term: 1,
  kind: ENTRY_SESSION,
  data: encodeSession(key(name)),
});
const commands = (index: number, session: number, number: number): Entry => ({
  index,
  term: 1,
  kind: ENTRY_COMMANDS,
  data: encodeRun({ session, number, timeMs: 0, batches: [[Uint8Array.of(1)]] }),
});

describe("sessions, as every replica knows them", () => {
  it("each number is applied once, in order", () => {
    const table = new SessionTable();
    table.open(5, key("ada"));
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
    equal(table.open(5, key("ada")), 5);
    equal(table.admit(5, 1), "apply");
    equal(table.open(9, key("ada")), 5);
    equal(table.indexOf(key("ada")), 5);
    equal(table.lastOf(5), 1);
    equal(table.admit(9, 1), "unknown");
    equal(table.size, 1);
  });

  it("whatever comes in whatever order, what is applied is 1, 2, 3, …", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(5, 6), fc.integer({ min: 1, max: 8 }))), (arrivals) => {
        const table = new SessionTable();
        table.open(5, key("ada"));
        table.open(6, key("bob"));
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

describe("sessions, as a leader knows them", () => {
  it("what is in the log counts, applied or not", () => {
    const table = new SessionTable();
    table.open(2, key("ada"));
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
    table.open(1, key("ada"));
    table.admit(1, 1);
    equal(appended.lastOf(1), 1);
    appended.advance(1, 2);
    equal(appended.lastOf(1), 2);
    equal(table.lastOf(1), 1);
  });

  it("other entries are none of its business", () => {
    const open: Entry = { index: 1, term: 1, kind: ENTRY_OPEN, data: encodeOpen() };
    const noop: Entry = { index: 2, term: 1, kind: 0, data: new Uint8Array(0) };
    equal(new AppendedSessions(new SessionTable(), [open, noop]).lastOf(1), undefined);
  });
});
