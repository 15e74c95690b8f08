import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hash, type PeerId } from "../../identity/index.ts";
import { ByteWriter, DecodeError, inlineMessagePack } from "../../wire/index.ts";
import { encodeAccept } from "../messages.ts";
import type { Lagging } from "../types.ts";
import { Intake, type Progress } from "./intake.ts";
import { Outflow, type Subscriber } from "./outflow.ts";
import { FakePort } from "./outflow-bench.test.ts";

const PRODUCER = hash("the producer") as PeerId;
const MAX_QUEUED = 8;
const MAX_BYTES = 200;

type Step =
  | { readonly type: "send"; readonly value: number; readonly bytes: number }
  | { readonly type: "turn" }
  | { readonly type: "drain"; readonly who: number; readonly frames: number }
  | { readonly type: "join" | "leave"; readonly who: number };

/** A consumer at the other end of a link that holds two frames. */
class Listener {
  readonly values: number[] = [];
  readonly divisor: number | undefined;
  #port = new FakePort(2);
  subscriber: Subscriber | undefined;
  intake: Intake | undefined;
  progress: Progress | undefined;
  /** What it was told it missed. */
  missed = 0;
  lagged = 0;

  constructor(divisor: number | undefined) {
    this.divisor = divisor;
  }

  join(outflow: Outflow<Sent>): void {
    if (this.subscriber !== undefined) return;
    const criteria = this.divisor === undefined ? undefined : { key: `${this.divisor}`, value: this.divisor };
    this.#port = new FakePort(2);
    this.subscriber = outflow.enter(this.#port, criteria, () => {
      this.lagged++;
      this.leave(outflow);
    });
    assert.ok(this.subscriber !== undefined);
    const { lane } = this.subscriber;
    this.intake = new Intake({
      from: PRODUCER,
      read: inlineMessagePack.read,
      validate: (value) => ({ ok: true, value }),
      onInvalid: "skip",
      before: this.progress,
    });
    this.intake.onAccept(encodeAccept({ lane: lane.token, next: lane.chunk.next }));
  }

  leave(outflow: Outflow<Sent>): void {
    if (this.subscriber === undefined) return;
    outflow.leave(this.subscriber);
    this.subscriber = undefined;
    this.progress = this.intake?.progress;
  }

  /** Reads so many frames. */
  drain(outflow: Outflow<Sent>, frames: number): void {
    if (this.subscriber === undefined || this.intake === undefined) return;
    for (const payload of this.#port.read(frames)) {
      this.intake.onValues(payload);
      for (let next = this.intake.next(); next !== undefined; next = this.intake.next()) {
        this.missed += next.message.missed;
        this.values.push((next.message.value as Sent).value);
      }
    }
    if (this.#port.hasRoom) outflow.drained(this.subscriber);
  }
}

interface Sent {
  readonly value: number;
  readonly filling: string;
}

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ type: fc.constant("send" as const), value: fc.nat(9), bytes: fc.nat(60) }) },
    { weight: 3, arbitrary: fc.constant({ type: "turn" as const }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("drain" as const), who: fc.nat(3), frames: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("join" as const, "leave" as const), who: fc.nat(3) }) },
  ),
  { maxLength: 120 },
);

function play(lagging: Lagging, all: readonly Step[]) {
  const undelivered: number[] = [];
  let tokens = 0;
  let gathered = 0;
  const outflow: Outflow<Sent> = new Outflow<Sent>({
    limits: { maxQueued: MAX_QUEUED, maxQueuedBytes: MAX_BYTES, lagging },
    matches: ({ value }, divisor) => value % (divisor as number) === 0,
    write: (writer: ByteWriter, value: Sent) => inlineMessagePack.write(writer, value),
    drawToken: () => (++tokens).toString(16).padStart(32, "0"),
    nowMs: () => 0,
    undelivered: ({ value }) => undelivered.push(value),
    onProblem: (cause) => assert.fail(String(cause)),
    onGathered: () => gathered++,
  });
  const listeners = [new Listener(undefined), new Listener(2), new Listener(3), new Listener(2)];
  const sent: number[] = [];
  let next = 0;
  for (const step of all) {
    if (step.type === "turn") outflow.flush();
    else if (step.type === "drain") listeners[step.who]?.drain(outflow, step.frames);
    else if (step.type !== "send") listeners[step.who]?.[step.type](outflow);
    else {
      // Unique, and divided by 2 and 3 as the drawn one.
      const value = 6 * 10 * next++ + step.value;
      if (outflow.offer({ value, filling: "x".repeat(step.bytes) }) === "taken") sent.push(value);
    }
    for (const { subscriber } of listeners) {
      if (subscriber === undefined) continue;
      assert.ok(subscriber.outlet.queued <= MAX_QUEUED, "a queue within its bound");
      assert.ok(subscriber.outlet.queuedBytes <= MAX_BYTES + 90, "a queue within its bytes, but for one value");
    }
  }
  return { outflow, listeners, sent, undelivered };
}

/** Until nothing waits. */
function drainAll(outflow: Outflow<Sent>, listeners: readonly Listener[]): void {
  outflow.flush();
  for (let round = 0; round < 100; round++) for (const listener of listeners) listener.drain(outflow, 4);
}

for (const lagging of ["disconnect", "drop-oldest", "drop-newest", "wait"] as const) {
  describe(`delivery with \`${lagging}\``, () => {
    it("gives each consumer what fits, in order, nothing twice, and tells all that is missing in between", () => {
      fc.assert(
        fc.property(steps, (all) => {
          const { outflow, listeners, sent } = play(lagging, all);
          drainAll(outflow, listeners);
          for (const { values, divisor } of listeners) {
            const fitting = sent.filter((value) => divisor === undefined || value % divisor === 0);
            assert.deepEqual(
              values,
              fitting.filter((value) => values.includes(value)),
              "in order, once, nothing else",
            );
          }
        }),
        { numRuns: 300 },
      );
    });

    it("counts every gap exactly, over reconnections too", () => {
      fc.assert(
        fc.property(steps, (all) => {
          // Everybody is in from the start, and is at the end: so each value that fits came, or was missed.
          const joins: Step[] = [0, 1, 2, 3].map((who) => ({ type: "join", who }));
          const { outflow, listeners, sent } = play(lagging, [...joins, ...all]);
          drainAll(outflow, listeners);
          for (const listener of listeners) listener.join(outflow);
          outflow.offer({ value: 0, filling: "" });
          drainAll(outflow, listeners);
          for (const { values, divisor, missed } of listeners) {
            const fitting = sent.filter((value) => divisor === undefined || value % divisor === 0);
            assert.equal(values.length + missed, fitting.length + 1);
          }
        }),
        { numRuns: 300 },
      );
    });
  });
}

describe("delivery", () => {
  it("with `wait` loses nothing that was taken while the consumer was there", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const stays = all.filter(({ type }) => type !== "leave");
        const joins: Step[] = [0, 1, 2, 3].map((who) => ({ type: "join", who }));
        const { outflow, listeners, sent } = play("wait", [...joins, ...stays]);
        drainAll(outflow, listeners);
        for (const { values, divisor, missed } of listeners) {
          assert.deepEqual(
            values,
            sent.filter((value) => divisor === undefined || value % divisor === 0),
          );
          assert.equal(missed, 0);
        }
      }),
    );
  });

  it("hands back what nobody wanted, and nothing else", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const stays = all.filter(({ type }) => type !== "leave");
        const { sent, undelivered } = play("drop-newest", [
          { type: "join", who: 1 },
          ...stays.filter((step) => !("who" in step) || step.type === "drain"),
        ]);
        assert.deepEqual(
          undelivered,
          sent.filter((value) => value % 2 !== 0),
        );
      }),
    );
  });

  it("encodes a value once, however many consumers get it", () => {
    let encoded = 0;
    const outflow = new Outflow<number>({
      limits: { maxQueued: 10, maxQueuedBytes: 1_000, lagging: "wait" },
      matches: (value, least) => value >= (least as number),
      write: (writer, value) => {
        encoded++;
        inlineMessagePack.write(writer, value);
      },
      drawToken: () => "00".repeat(16),
      nowMs: () => 0,
      undelivered: undefined,
      onProblem: (cause) => assert.fail(String(cause)),
      onGathered: () => {},
    });
    const frames: Uint8Array[][] = [[], [], []];
    for (const [i, least] of [1, 2, 2].entries()) {
      const sendEncoded = (frame: Uint8Array): boolean => (frames[i] as Uint8Array[]).push(frame) > 0;
      outflow.enter({ sendEncoded, sentBytes: 0, queuedBytes: 0 }, { key: `${least}`, value: least }, () => {});
    }
    for (const value of [1, 2, 3]) outflow.offer(value);
    outflow.flush();
    assert.equal(encoded, 3);
    assert.deepEqual(
      frames.map((of) => of.length),
      [1, 1, 1],
    );
    assert.equal(frames[1]?.[0], frames[2]?.[0], "consumers with equal criteria share the bytes");
  });

  it("a value that cannot be encoded, or whose `matches` throws, is nobody's, and harms no other", () => {
    const outflow = new Outflow<number>({
      limits: { maxQueued: 10, maxQueuedBytes: 1_000, lagging: "wait" },
      matches: (value) => {
        if (value === 13) throw new Error("thirteen");
        return true;
      },
      write: (writer, value) => {
        inlineMessagePack.write(writer, value);
        if (value === 7) throw new Error("seven");
      },
      drawToken: () => "00".repeat(16),
      nowMs: () => 0,
      undelivered: undefined,
      onProblem: (cause) => assert.fail(String(cause)),
      onGathered: () => {},
    });
    const port = new FakePort(10);
    const subscriber = outflow.enter(port, { key: "", value: 0 }, () => {});
    const intake = new Intake({
      from: PRODUCER,
      read: inlineMessagePack.read,
      validate: (value) => ({ ok: true, value }),
      onInvalid: "skip",
      before: undefined,
    });
    intake.onAccept(encodeAccept({ lane: subscriber?.lane.token ?? "", next: subscriber?.lane.chunk.next ?? 0 }));
    assert.throws(() => outflow.offer(7), /seven/);
    outflow.offer(1);
    assert.throws(() => outflow.offer(13), /thirteen/);
    assert.throws(() => outflow.offer(7), /seven/);
    outflow.offer(2);
    outflow.flush();
    const values: unknown[] = [];
    for (const payload of port.read()) {
      intake.onValues(payload);
      for (let next = intake.next(); next !== undefined; next = intake.next())
        values.push([next.message.value, next.message.sequence, next.message.missed]);
    }
    assert.deepEqual(values, [
      [1, 1, 0],
      [2, 2, 0],
    ]);
  });
});

describe("an intake", () => {
  const fresh = (before?: Progress): Intake =>
    new Intake({
      from: PRODUCER,
      read: inlineMessagePack.read,
      validate: (value) => (value === "bad" ? { ok: false, issues: [] } : { ok: true, value }),
      onInvalid: "skip",
      before,
    });
  const accept = encodeAccept({ lane: "ab".repeat(16), next: 5 });

  it("refuses values before it is accepted, a second acceptance, values again, and an empty frame", () => {
    assert.throws(() => fresh().onValues(Uint8Array.of(1)), DecodeError);
    const intake = fresh();
    intake.onAccept(accept);
    assert.throws(() => intake.onAccept(accept), DecodeError);
    assert.throws(() => intake.onValues(Uint8Array.of(4, 0, 0, 0, 1, 1)), DecodeError);
    assert.throws(() => intake.onValues(Uint8Array.of(5)), DecodeError);
    intake.onValues(Uint8Array.of(5, 0, 0, 0, 9, 1));
    assert.throws(() => intake.next(), DecodeError);
  });

  it("refuses sequences beyond the numbers that can be told apart", () => {
    const intake = fresh();
    intake.onAccept(encodeAccept({ lane: "ab".repeat(16), next: 1 }));
    const value = [0, 0, 0, 1, 1];
    const last = new ByteWriter(16).varint(Number.MAX_SAFE_INTEGER).finish();
    intake.onValues(Uint8Array.from([...last, ...value, ...value, ...value]));
    const { sequence, missed } = intake.next()?.message ?? {};
    assert.deepEqual([sequence, missed], [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1]);
    assert.throws(() => intake.next(), DecodeError);
  });

  it("refuses a lane that goes back, since it would give values twice", () => {
    const intake = fresh({ lane: "ab".repeat(16), last: 5, untold: 0 });
    assert.throws(() => intake.onAccept(accept), DecodeError);
  });

  it("tells all that was lost since the last value, also over a link that ended before a value came", () => {
    const lane = "ab".repeat(16);
    const cut = fresh({ lane, last: 2, untold: 0 });
    cut.onAccept(accept);
    const intake = fresh(cut.progress);
    intake.onAccept(encodeAccept({ lane, next: 8 }));
    intake.onValues(Uint8Array.of(9, 0, 0, 0, 1, 1));
    const { sequence, missed } = intake.next()?.message ?? {};
    assert.deepEqual([sequence, missed], [9, 6]);
    assert.deepEqual([cut.missed, intake.missed], [2, 4], "each link counts its own");
  });

  it("whatever bytes come, it throws `DecodeError` or gives values with rising sequences", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (frames) => {
        const intake = fresh();
        intake.onAccept(accept);
        let last = 4;
        try {
          for (const frame of frames) {
            intake.onValues(frame);
            for (let next = intake.next(); next !== undefined; next = intake.next()) {
              assert.ok(next.message.sequence > last);
              last = next.message.sequence;
            }
          }
        } catch (cause) {
          assert.ok(cause instanceof DecodeError, String(cause));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
