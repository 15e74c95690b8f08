import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { peer } from "../../../test/groups/kit.ts";
import { LIMITS, type MosaikError, mosaikError } from "../../env/index.ts";
import type { NumberedBatch } from "../entries/batches.ts";
import type { AppliedBatch } from "../replica/replica.ts";
import { decodeReceipt } from "../sessions/receipts.ts";
import { SessionTable } from "../sessions/sessions.ts";
import { batchOf } from "../testing.ts";
import { Proposer, type Route } from "./proposer.ts";

const KEY = "0a".repeat(16);
const keyOf = (i: number): string => (i + 10).toString(16).padStart(2, "0").repeat(16);
const SESSION = 5;
const SECOND_US = 1_000_000;

/**
 * A leader whose entries this node applies while it is still being called, as a leader in the same process may: it draws what it does, from
 * numbers below 10.
 */
class HastyLeader implements Route {
  noRoomAt: string | undefined = undefined;
  readonly proposer: Proposer;
  readonly #draw: () => number;
  #opening: string | undefined;
  #session: number | undefined;
  #sessions = 0;
  #known = 0;
  #applied = 0;

  constructor(proposer: Proposer, draw: () => number) {
    this.proposer = proposer;
    this.#draw = draw;
  }

  get isFull(): boolean {
    return this.#draw() === 0;
  }
  openSession(key: string): void {
    this.#opening = key;
    if (this.#draw() < 3) this.open();
  }
  closeSession(): void {
    if (this.#draw() < 5) this.end();
  }
  send(session: number, batches: readonly NumberedBatch[]): boolean {
    if (session === this.#session) this.#known = Math.max(this.#known, batches.at(-1)?.number ?? 0);
    const drawn = this.#draw();
    if (drawn === 0) this.end();
    else if (drawn < 4) this.apply();
    return drawn < 7;
  }

  open(): void {
    const key = this.#opening;
    if (key === undefined) return;
    this.#opening = undefined;
    this.#applied = 0;
    this.#known = 0;
    this.#session = ++this.#sessions;
    this.proposer.onSession(key, this.#session);
  }
  apply(): void {
    if (this.#session === undefined || this.#applied === this.#known) return;
    const number = ++this.#applied;
    this.proposer.onBatch({ session: this.#session, number, position: number, outcomes: [] });
  }
  /** Some of what it had may have been applied here without a result. */
  end(): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    this.proposer.onSessionEnd(session, Math.min(this.#known, this.#applied + (this.#draw() % 3)));
  }
  lacks(number: number): void {
    if (this.#session !== undefined) this.proposer.onRefused(this.#session, number);
  }
  refuse(number: number): void {
    if (this.#session !== undefined) this.proposer.onUnsupported(this.#session, number, [peer("bob")]);
  }
  forget(): void {
    this.#session = undefined;
    this.proposer.forget();
  }
}

/** A leader that notes what it gets. */
class Leader implements Route {
  noRoomAt: string | undefined = undefined;
  readonly opened: string[] = [];
  /** Numbers, frame by frame. */
  readonly frames: number[][] = [];
  hasRoom = true;
  isFull = false;
  readonly closed: string[] = [];

  openSession(key: string): void {
    this.opened.push(key);
  }
  closeSession(key: string): void {
    this.closed.push(key);
  }
  send(_session: number, batches: readonly NumberedBatch[]): boolean {
    this.frames.push(batches.map(({ number }) => number));
    return this.hasRoom;
  }
  get numbers(): number[] {
    return this.frames.flat();
  }
}

interface Call {
  readonly done: Promise<AppliedBatch>;
  readonly giveUp: (cause: unknown) => void;
}

class Bench {
  nowUs = 0;
  #keys = 0;
  readonly proposer = new Proposer(
    () => keyOf(this.#keys++),
    () => this.nowUs,
  );

  call(value: unknown = "value", options: { bytes?: number; deadlineUs?: number } = {}): Call {
    const { bytes = 10 } = options;
    let giveUp: (cause: unknown) => void = () => {};
    const done = new Promise<AppliedBatch>((resolve, reject) => {
      giveUp = this.proposer.submit({
        batch: { count: 1, bytes: new Uint8Array(bytes), start: 0, end: bytes },
        values: [value],
        deadlineUs: options.deadlineUs ?? 10 * SECOND_US,
        onApplied: resolve,
        onFailed: reject,
      });
    });
    // Each is awaited where it matters; until then a failure is no crash.
    done.catch(() => undefined);
    this.proposer.pump();
    return { done, giveUp };
  }

  /** A route to a leader, with the session open. */
  lead(leader = new Leader()): Leader {
    this.proposer.setRoute(leader);
    if (this.proposer.session === undefined) this.proposer.onSession(KEY, SESSION);
    return leader;
  }

  applied(...numbers: readonly number[]): void {
    for (const number of numbers) {
      this.proposer.onBatch({ session: SESSION, number, position: 100 + number, outcomes: [] });
    }
  }
}

const codeOf = (call: Call): Promise<unknown> =>
  call.done.then(
    () => "applied",
    (error: MosaikError) => `${error.code} ${error.outcome}`,
  );

describe("a node's commands on their way", () => {
  it("open a session first, once, and are sent in call order", async () => {
    const bench = new Bench();
    const calls = [bench.call(), bench.call(), bench.call()];
    const leader = new Leader();
    bench.proposer.setRoute(leader);
    bench.proposer.pump();
    deepEqual([leader.opened, leader.numbers], [[KEY], []]);
    bench.proposer.onSession("0b".repeat(16), 4);
    equal(bench.proposer.session, undefined, "somebody else's");
    bench.proposer.onSession(KEY, SESSION);
    deepEqual(leader.numbers, [1, 2, 3]);
    bench.proposer.pump();
    deepEqual(leader.numbers, [1, 2, 3], "once");
    bench.applied(1, 2, 3);
    const positions = (await Promise.all(calls.map(({ done }) => done))).map(({ position }) => position);
    deepEqual(positions, [101, 102, 103]);
    equal(bench.proposer.pending, 0);
  });

  it("nothing is put into a link that is full, however long it stays so, and nothing is sent twice for that", () => {
    const bench = new Bench();
    const calls = Array.from({ length: 15 }, () => bench.call("value", { bytes: 1024 * 1024 }));
    const leader = bench.lead();
    const before = leader.numbers.length;
    leader.isFull = true;
    for (let i = 0; i < 240; i++) {
      bench.nowUs += 25_000;
      bench.proposer.sweep();
      bench.proposer.pump();
    }
    equal(leader.numbers.length, before);
    leader.isFull = false;
    bench.proposer.sweep();
    bench.proposer.pump();
    deepEqual(
      leader.numbers,
      Array.from({ length: calls.length }, (_, i) => i + 1),
    );
  });

  it("no session is opened while there is nothing to send", () => {
    const bench = new Bench();
    const leader = new Leader();
    bench.proposer.setRoute(leader);
    bench.proposer.pump();
    bench.nowUs = 10 * SECOND_US;
    bench.proposer.sweep();
    deepEqual(leader.opened, []);
  });

  it("what is not applied is sent again over another route, with the same numbers", async () => {
    const bench = new Bench();
    const calls = [bench.call(), bench.call(), bench.call()];
    const ada = bench.lead();
    bench.applied(1);
    bench.proposer.setRoute(undefined);
    const late = bench.call();
    const bob = bench.lead();
    deepEqual(
      [ada.numbers, bob.numbers],
      [
        [1, 2, 3],
        [2, 3, 4],
      ],
    );
    bench.applied(2, 3, 4);
    await Promise.all([...calls, late].map(({ done }) => done));
  });

  it("the opening is asked for again over another route", () => {
    const bench = new Bench();
    bench.call();
    const [ada, bob] = [new Leader(), new Leader()];
    bench.proposer.setRoute(ada);
    bench.proposer.setRoute(bob);
    deepEqual([ada.opened, bob.opened], [[KEY], [KEY]]);
  });

  it("a leader that lacks an earlier number gets all from there on", () => {
    const bench = new Bench();
    const leader = bench.lead();
    for (let i = 0; i < 4; i++) bench.call();
    deepEqual(leader.numbers, [1, 2, 3, 4]);
    bench.proposer.onRefused(SESSION, 3);
    deepEqual(leader.numbers, [1, 2, 3, 4], "not at once: a leader that is full would ask without end");
    bench.proposer.pump();
    deepEqual(leader.numbers, [1, 2, 3, 4, 3, 4]);
    bench.proposer.onRefused(SESSION + 1, 1);
    bench.proposer.onRefused(SESSION, 0);
    bench.proposer.pump();
    deepEqual(leader.numbers, [1, 2, 3, 4, 3, 4], "another session's, and one that is not known there yet");
  });

  it("what a leader seems to have dropped is sent again after a second without progress", () => {
    const bench = new Bench();
    const leader = bench.lead();
    bench.call();
    bench.call();
    bench.nowUs = SECOND_US;
    bench.proposer.sweep();
    deepEqual(leader.numbers, [1, 2]);
    bench.applied(1);
    bench.nowUs += 25_000;
    bench.proposer.sweep();
    deepEqual(leader.numbers, [1, 2], "that was progress");
    bench.nowUs += SECOND_US;
    bench.proposer.sweep();
    deepEqual(leader.numbers, [1, 2], "a second since then is over with the next sweep");
    bench.nowUs += 1;
    bench.proposer.sweep();
    deepEqual(leader.numbers, [1, 2, 2]);
  });

  it("stops at a leader without room, and goes on when there is some", () => {
    const bench = new Bench();
    const leader = bench.lead();
    leader.hasRoom = false;
    bench.call("a", { bytes: 1024 * 1024 });
    bench.call("b", { bytes: 1024 * 1024 });
    bench.proposer.setRoute(leader);
    const before = leader.frames.length;
    bench.proposer.pump();
    equal(leader.frames.length, before + 1, "one frame a pump");
    deepEqual(leader.numbers.at(-1), 2);
  });

  it("a frame holds about 1 MiB, at least one batch, and no more batches than an append", () => {
    const bench = new Bench();
    for (let i = 0; i < 3; i++) bench.call("large", { bytes: 900 * 1024 });
    for (let i = 0; i < LIMITS.appendEntriesMax + 1; i++) bench.call("small", { bytes: 1 });
    const leader = bench.lead();
    deepEqual(
      leader.frames.map((frame) => frame.length),
      [1, 1, 1 + LIMITS.appendEntriesMax - 1, 2],
    );
    deepEqual(
      leader.numbers,
      leader.numbers.map((_, i) => i + 1),
    );
  });
});

describe("frames", () => {
  it("hold no more commands than their receiver takes", () => {
    const bench = new Bench();
    for (let i = 0; i < 3; i++) {
      bench.proposer.submit({
        batch: batchOf(Array.from({ length: LIMITS.batchCommandsMax }, () => new Uint8Array(1))),
        values: [],
        deadlineUs: 1,
        onApplied: () => {},
        onFailed: () => {},
      });
    }
    deepEqual(bench.lead().frames, [[1, 2], [3]]);
  });
});

describe("the end of a session", () => {
  it("what was not applied is sent in another one, in call order; what was given up is not", async () => {
    const bench = new Bench();
    const leader = bench.lead();
    const applied = bench.call();
    const givenUp = bench.call("given up", { deadlineUs: 100 });
    const open = bench.call();
    bench.applied(1);
    bench.nowUs = 100;
    bench.proposer.sweep();
    await rejects(givenUp.done, { code: "outcome-unknown" });
    bench.proposer.setRoute(undefined);
    const late = bench.call();
    bench.proposer.onSessionEnd(SESSION + 1, 0);
    equal(bench.proposer.session, SESSION, "of somebody else");

    bench.proposer.onSessionEnd(SESSION, 1);
    equal(bench.proposer.session, undefined);
    const next = new Leader();
    bench.proposer.setRoute(next);
    deepEqual([next.opened, next.numbers], [[keyOf(1)], []]);
    bench.proposer.onSession(KEY, 8);
    equal(bench.proposer.session, undefined, "an opening of the former key");
    bench.proposer.onSession(keyOf(1), 9);
    deepEqual(next.numbers, [1, 2]);
    // What comes of the session that ended is not ours any more.
    bench.applied(2);
    equal(bench.proposer.pending, 2);
    for (const number of [1, 2]) bench.proposer.onBatch({ session: 9, number, position: 200 + number, outcomes: [] });
    deepEqual(
      (await Promise.all([applied, open, late].map(({ done }) => done))).map(({ position }) => position),
      [101, 201, 202],
    );
    equal(bench.proposer.pending, 0);
    deepEqual(leader.numbers, [1, 2, 3]);
  });

  it("a snapshot says what was applied without its result, and what is still to come", async () => {
    const bench = new Bench();
    bench.lead();
    const calls = [bench.call(), bench.call(), bench.call()];
    const table = new SessionTable();
    table.begin(SESSION, KEY, peer("ada"));
    for (const number of [1, 2]) table.admit(SESSION, number);
    table.place(SESSION, 2, 77, false);
    bench.proposer.onRestored(table, 99);
    await rejects(calls[0]?.done as Promise<unknown>, { code: "result-unavailable", details: { position: 99 } });
    await rejects(calls[1]?.done as Promise<unknown>, { code: "result-unavailable", details: { position: 77 } });
    equal(bench.proposer.pending, 1);

    // In the next one, the session is at its end.
    table.end(SESSION);
    bench.proposer.onRestored(table, 99);
    equal(bench.proposer.session, undefined);
    bench.proposer.onSession(keyOf(1), 9);
    bench.proposer.onBatch({ session: 9, number: 1, position: 100, outcomes: [] });
    equal((await calls[2]?.done)?.position, 100);
  });

  it("a snapshot may hold the opening that we wait for", () => {
    const bench = new Bench();
    bench.call();
    const leader = new Leader();
    bench.proposer.setRoute(leader);
    const table = new SessionTable();
    table.begin(SESSION, KEY, peer("ada"));
    bench.proposer.onRestored(table, 0);
    deepEqual(leader.numbers, [1]);
  });

  it("of a history that is gone nobody knows anything; what was not sent goes on", async () => {
    const bench = new Bench();
    bench.lead();
    const sent = bench.call();
    bench.proposer.setRoute(undefined);
    const unsent = bench.call();
    bench.proposer.onRestored(new SessionTable(), 5);
    await rejects(sent.done, { code: "outcome-unknown" });
    const leader = new Leader();
    bench.proposer.setRoute(leader);
    deepEqual(leader.opened, [keyOf(1)]);
    bench.proposer.onSession(keyOf(1), 2);
    bench.proposer.onBatch({ session: 2, number: 1, position: 6, outcomes: [] });
    equal((await unsent.done).position, 6);
  });

  it("what was given up and applied is remembered for its receipt", async () => {
    const bench = new Bench();
    bench.lead();
    const call = bench.call("slow", { deadlineUs: 100 });
    bench.nowUs = 100;
    bench.proposer.sweep();
    const receipt = await call.done.then(String, (error: MosaikError<"outcome-unknown">) => error.details.receipt);
    equal(bench.proposer.outcomeOf(receipt), undefined);
    bench.applied(1);
    equal(bench.proposer.outcomeOf(receipt)?.position, 101);
    deepEqual(decodeReceipt(receipt), { key: KEY, session: SESSION, number: 1, count: 1 });
    for (const wrong of ["", "m1", `${receipt}x`, receipt.replace("m1", "m2"), 5, undefined, `m1.${KEY}.0.1.1`])
      throws(() => decodeReceipt(wrong), { code: "bad-option" });
  });

  it("is asked for when the node closes, and a session may be wanted for its own sake", () => {
    const bench = new Bench();
    const leader = new Leader();
    bench.proposer.setRoute(leader);
    bench.proposer.wantSession();
    deepEqual(leader.opened, [KEY]);
    bench.proposer.onSession(KEY, SESSION);
    bench.proposer.close(undefined);
    deepEqual(leader.closed, [KEY]);
  });
});

describe("a call ends", () => {
  it("at its deadline: `group-offline` with the values before it was sent, `outcome-unknown` after", async () => {
    const bench = new Bench();
    const sent = bench.call("sent", { deadlineUs: 100 });
    bench.lead();
    bench.proposer.setRoute(undefined);
    const unsent = bench.call("payload", { deadlineUs: 100 });
    bench.nowUs = 99;
    bench.proposer.sweep();
    equal(bench.proposer.pending, 2);
    bench.nowUs = 100;
    bench.proposer.sweep();
    await rejects(unsent.done, (error: MosaikError<"group-offline">) => {
      deepEqual([error.code, error.outcome, error.details.rejected], ["group-offline", "not-applied", ["payload"]]);
      ok(!inspect(error).includes("payload"), "no payload in what is printed");
      ok(!JSON.stringify(error.details).includes("payload"));
      return true;
    });
    await rejects(sent.done, (error: MosaikError<"outcome-unknown">) => {
      deepEqual([error.code, error.outcome, error.details.rejected], ["outcome-unknown", "unknown", ["sent"]]);
      equal(error.details.receipt, `m1.${KEY}.${SESSION}.1.1`);
      return true;
    });
  });

  it("what was sent and given up is sent again all the same, and told to nobody", async () => {
    const bench = new Bench();
    const first = bench.call("first", { deadlineUs: 100 });
    const ada = bench.lead();
    const second = bench.call("second");
    bench.nowUs = 100;
    bench.proposer.sweep();
    await rejects(first.done, { code: "outcome-unknown" });
    const bob = bench.lead();
    deepEqual(
      [ada.numbers, bob.numbers],
      [
        [1, 2],
        [1, 2],
      ],
    );
    bench.applied(1, 2);
    equal((await second.done).position, 102);
    equal(bench.proposer.pending, 0);
  });

  it("what was never sent and given up takes no number", async () => {
    const bench = new Bench();
    const first = bench.call("first", { deadlineUs: 100 });
    const second = bench.call("second");
    bench.nowUs = 100;
    bench.proposer.sweep();
    await rejects(first.done, { code: "group-offline" });
    const leader = bench.lead();
    deepEqual(leader.numbers, [1]);
    bench.applied(1);
    await second.done;
  });

  it("by its caller: before and after it was sent, and once", async () => {
    const bench = new Bench();
    const unsent = bench.call();
    const reason = new Error("changed my mind");
    unsent.giveUp(reason);
    unsent.giveUp(reason);
    await rejects(unsent.done, { code: "group-offline", outcome: "not-applied", cause: reason });
    bench.lead();
    const sent = bench.call();
    sent.giveUp(reason);
    await rejects(sent.done, { code: "outcome-unknown", cause: reason });
    bench.applied(1);
    equal(bench.proposer.pending, 0);
    const applied = bench.call();
    bench.applied(2);
    equal((await applied.done).position, 102);
    applied.giveUp(reason);
    equal(bench.proposer.pending, 0);
  });

  it("with the group: `closed` before it was sent, `outcome-unknown` after; later calls at once", async () => {
    const bench = new Bench();
    const sent = bench.call();
    bench.lead();
    bench.proposer.setRoute(undefined);
    const unsent = bench.call();
    bench.proposer.close(undefined);
    deepEqual([await codeOf(sent), await codeOf(unsent)], ["outcome-unknown unknown", "closed not-applied"]);
    equal(bench.proposer.pending, 0);
    await rejects(bench.call().done, { code: "closed", outcome: "not-applied" });
  });

  it("with the machine: all of them, and later ones at once", async () => {
    const bench = new Bench();
    const sent = bench.call();
    bench.lead();
    bench.proposer.setRoute(undefined);
    const unsent = bench.call();
    const errors = (["unknown", "not-applied"] as const).map((outcome) =>
      mosaikError("machine-failed", "it threw", { outcome }),
    ) as [MosaikError, MosaikError];
    bench.proposer.fail(...errors);
    equal(await codeOf(sent), "machine-failed unknown");
    equal(await codeOf(unsent), "machine-failed not-applied");
    equal(bench.proposer.pending, 0);
    equal(await codeOf(bench.call()), "machine-failed not-applied");
    sent.giveUp(undefined);
    bench.proposer.close(undefined);
  });
});

describe("the window", () => {
  it("refuses what is too much, with the values, and takes more when some are applied", async () => {
    const bench = new Bench();
    bench.lead();
    for (let i = 0; i < LIMITS.windowEntriesMax; i++) bench.call(i, { bytes: 1 });
    await rejects(bench.call("one more", { bytes: 1 }).done, (error: MosaikError<"overloaded">) => {
      deepEqual([error.code, error.outcome, error.details.rejected], ["overloaded", "not-applied", ["one more"]]);
      return true;
    });
    bench.applied(1);
    bench.call("fits", { bytes: 1 });
    equal(bench.proposer.pending, LIMITS.windowEntriesMax);
  });

  it("counts bytes, of what waits and what is sent, and gives them back however a call ends", async () => {
    const bench = new Bench();
    const bytes = LIMITS.windowBytesMax / 4;
    const fill = (): Call[] => [0, 1, 2, 3].map(() => bench.call("large", { bytes, deadlineUs: 100 }));
    const calls = fill();
    throws(
      () => {
        bench.proposer.submit({
          batch: batchOf([new Uint8Array(1)]),
          values: [],
          deadlineUs: 1,
          onApplied: () => {},
          onFailed: () => {},
        });
      },
      { code: "overloaded" },
    );
    bench.nowUs = 100;
    bench.proposer.sweep();
    for (const call of calls) equal(await codeOf(call), "group-offline not-applied");
    bench.nowUs = 0;
    const again = fill();
    bench.lead();
    bench.applied(1, 2, 3, 4);
    for (const call of again) equal(await codeOf(call), "applied");
    fill();
    equal(bench.proposer.pending, 4);
  });
});

describe("whatever happens", () => {
  const step = fc.oneof(
    fc.constantFrom("call", "call", "call", "route", "no route", "tick", "second", "session"),
    record("applied"),
    record("refused"),
    record("give up"),
  );

  function record(type: string): fc.Arbitrary<string> {
    return fc.nat(9).map((value) => `${type} ${value}`);
  }

  it("numbers reach each leader in order and without gaps, and each call ends exactly once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const bench = new Bench();
        const calls: Call[] = [];
        const ends: number[] = [];
        const leaders: Leader[] = [];
        let applied = 0;
        for (const one of steps) {
          const value = Number(one.split(" ").at(-1));
          if (one === "call") {
            const call = bench.call("x", { deadlineUs: bench.nowUs + 1_500_000 });
            const index = calls.push(call) - 1;
            const count = (): void => {
              ends[index] = (ends[index] ?? 0) + 1;
            };
            call.done.then(count, count);
          } else if (one === "route") {
            const leader = new Leader();
            leaders.push(leader);
            bench.proposer.setRoute(leader);
          } else if (one === "no route") bench.proposer.setRoute(undefined);
          else if (one === "session") {
            if (leaders.some(({ opened }) => opened.length > 0)) bench.proposer.onSession(KEY, SESSION);
          } else if (one === "tick") bench.proposer.sweep();
          else if (one === "second") bench.nowUs += 1_100_000;
          else if (one.startsWith("give up")) calls[value]?.giveUp(undefined);
          else if (one.startsWith("refused")) bench.proposer.onRefused(SESSION, value);
          else if (leaders.some(({ numbers }) => numbers.includes(applied + 1))) bench.applied(++applied);
        }
        for (const { numbers } of leaders) {
          // Within a route a number may be sent again, but none before the one before it.
          let highest = numbers[0] ?? 0;
          ok(highest <= applied + 1, "a new leader gets the oldest that is not applied first");
          for (const number of numbers) {
            ok(number <= highest + 1, "no gap");
            highest = Math.max(highest, number);
          }
        }
        bench.proposer.close(undefined);
        await Promise.allSettled(calls.map(({ done }) => done));
        deepEqual(
          ends,
          calls.map(() => 1),
        );
        equal(bench.proposer.pending, 0);
      }),
      { numRuns: 500 },
    );
  });

  it("each call ends exactly once, whatever sessions come to an end, and while whom", () => {
    const actions = ["call", "call", "call", "route", "pump", "tick", "open", "apply", "end", "lacks"] as const;
    const action = fc.oneof(fc.constantFrom(...actions), fc.constantFrom("refuse", "forget", "no route", "give up"));
    const drawn = fc.array(fc.nat(9), { maxLength: 200 });
    const property = fc.property(fc.array(action, { maxLength: 80 }), drawn, (steps, numbers) => {
      let draws = 0;
      let keys = 0;
      let nowUs = 0;
      // After that it is calm: one that ends every session at once would do so without end.
      const draw = (): number => numbers[draws++] ?? 9;
      const proposer = new Proposer(
        () => keyOf(keys++),
        () => nowUs,
      );
      const leader = new HastyLeader(proposer, draw);
      const ends: number[] = [];
      const giveUps: ((cause: unknown) => void)[] = [];
      const call = (): void => {
        const i = ends.push(0) - 1;
        const end = (): void => {
          ends[i] = (ends[i] as number) + 1;
        };
        const batch = { count: 1, bytes: new Uint8Array(10), start: 0, end: 10 };
        const deadlineUs = nowUs + draw() * 400_000;
        giveUps.push(proposer.submit({ batch, values: [i], deadlineUs, onApplied: end, onFailed: end }));
        proposer.pump();
      };
      const does: Record<(typeof actions)[number] | "refuse" | "forget" | "no route" | "give up", () => void> = {
        call,
        route: () => proposer.setRoute(leader),
        "no route": () => proposer.setRoute(undefined),
        pump: () => proposer.pump(),
        tick: () => {
          nowUs += draw() * 100_000;
          proposer.sweep();
        },
        "give up": () => giveUps[draw()]?.(undefined),
        open: () => leader.open(),
        apply: () => leader.apply(),
        end: () => leader.end(),
        lacks: () => leader.lacks(draw()),
        refuse: () => leader.refuse(draw()),
        forget: () => leader.forget(),
      };
      for (const step of steps) does[step as keyof typeof does]();
      proposer.close(undefined);
      deepEqual(
        ends,
        ends.map(() => 1),
      );
      equal(proposer.pending, 0);
    });
    fc.assert(property, { numRuns: 1_000 });
  });
});
