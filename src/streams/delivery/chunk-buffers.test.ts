import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { hash } from "../../identity/index.ts";
import { encodeAccept } from "../messages.ts";
import type { Lagging } from "../types.ts";
import { ChunkBuffers } from "./chunk-buffers.ts";
import { Intake } from "./intake.ts";
import type { Outflow, Subscriber } from "./outflow.ts";
import { FakePort, outflowOf } from "./outflow-bench.test.ts";

const KIB = 1024;

/** Reads so many frames a turn; checks each value. */
class Reader {
  readonly port: FakePort;
  readonly subscriber: Subscriber;
  readonly #outflow: Outflow<number>;
  readonly #intake: Intake;
  isOver = false;

  constructor(outflow: Outflow<number>) {
    this.port = new FakePort(4);
    this.#outflow = outflow;
    this.subscriber = outflow.enter(this.port, undefined, () => this.leave()) as Subscriber;
    this.#intake = new Intake({
      from: hash("the producer") as PeerId,
      read: (reader, bytes) => reader.bytesCopy(bytes),
      validate: (value) => ({ ok: true, value }),
      onInvalid: "skip",
      before: undefined,
    });
    const { token, chunk } = this.subscriber.lane;
    this.#intake.onAccept(encodeAccept({ lane: token, next: chunk.next }));
  }

  read(frames: number): void {
    for (const payload of this.port.read(frames)) {
      this.#intake.onValues(payload);
      for (let next = this.#intake.next(); next !== undefined; next = this.#intake.next()) {
        const { value, sequence } = next.message;
        const bytes = value as Uint8Array;
        ok(Buffer.alloc(bytes.length, sequence % 251).equals(bytes), `value ${sequence} is as it was sent`);
      }
    }
    if (this.port.hasRoom && !this.isOver) this.#outflow.drained(this.subscriber);
  }

  leave(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#outflow.leave(this.subscriber);
  }
}

/** Values of these lengths; the bytes of each say which one it is. */
function filling(lagging: Lagging): { outflow: Outflow<number>; offer(bytes: number): boolean } {
  let sequence = 1;
  const outflow = outflowOf<number>({
    limits: { maxQueued: 1_024, maxQueuedBytes: 512 * KIB, lagging },
    write: (writer, bytes) => void writer.bytes(Buffer.alloc(bytes, sequence % 251)),
  });
  const offer = (bytes: number): boolean => {
    const isTaken = outflow.offer(bytes) === "taken";
    if (isTaken) sequence++;
    return isTaken;
  };
  return { outflow, offer };
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("send" as const), bytes: fc.nat(100 * KIB) }) },
  { weight: 3, arbitrary: fc.constant({ type: "flush" as const }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("read" as const), who: fc.nat(2), frames: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("leave" as const, "sweep" as const), who: fc.nat(2) }) },
);

describe("the buffers of chunks", () => {
  for (const lagging of ["wait", "drop-oldest", "drop-newest", "disconnect"] as const) {
    it(`are never written to while a link has them, nor is a value changed (${lagging})`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
          const { outflow, offer } = filling(lagging);
          const readers = [new Reader(outflow), new Reader(outflow), new Reader(outflow)];
          for (const each of steps) {
            if (each.type === "send") offer(each.bytes);
            else if (each.type === "flush") outflow.flush();
            else if (each.type === "read") readers[each.who]?.read(each.frames);
            else if (each.type === "leave") readers[each.who]?.leave();
            else outflow.sweep();
          }
          outflow.flush();
          for (const reader of readers) reader.read(1_000);
        }),
        { numRuns: 40 },
      );
    });
  }

  it("are used again: as many as wait, and a few, however much is sent", () => {
    const { outflow, offer } = filling("wait");
    const readers = [new Reader(outflow), new Reader(outflow)];
    const seen = new Set<ArrayBufferLike>();
    for (const { port } of readers) {
      const send = port.sendEncoded.bind(port);
      port.sendEncoded = (frame) => {
        seen.add(frame.buffer);
        return send(frame);
      };
    }
    let taken = 0;
    for (let turn = 0; turn < 400; turn++) {
      for (let i = 0; i < 4; i++) if (offer(64 * KIB)) taken++;
      outflow.flush();
      for (const reader of readers) reader.read(turn % 4);
    }
    ok(taken > 400);
    ok(seen.size <= 24, `${seen.size} buffers for ${taken} values`);
  });

  it("are let go by a sweep when they have left, though nothing is sent any more", () => {
    const { outflow, offer } = filling("wait");
    const { port, subscriber } = new Reader(outflow);
    for (let i = 0; i < 4; i++) {
      offer(64 * KIB);
      outflow.flush();
    }
    equal(subscriber.outlet.leaving, 4);
    port.read(3);
    outflow.sweep();
    equal(subscriber.outlet.leaving, 1);
  });

  it("are kept up to a limit, until they are swept", () => {
    const buffers = new ChunkBuffers();
    const chunks = Array.from({ length: LIMITS.streamSpareBuffersMax + 4 }, () => {
      const frame = buffers.allocate(LIMITS.streamChunkBytes);
      return { first: 1, count: 1, frame, holders: 2 };
    });
    for (const chunk of chunks) buffers.release(chunk);
    ok(
      !chunks.some(({ frame }) => buffers.allocate(LIMITS.streamChunkBytes).buffer === frame.buffer),
      "one has it still",
    );
    for (const chunk of chunks) buffers.release(chunk);
    const again = chunks.map(() => buffers.allocate(LIMITS.streamChunkBytes).buffer);
    equal(chunks.filter(({ frame }) => again.includes(frame.buffer)).length, LIMITS.streamSpareBuffersMax);
    const [first] = chunks;
    ok(first !== undefined);
    buffers.release({ ...first, holders: 1 });
    buffers.clear();
    ok(buffers.allocate(LIMITS.streamChunkBytes).buffer !== first.frame.buffer);
    deepEqual(
      [buffers.allocate(1_000).length, buffers.allocate(1_000_000).length],
      [1_000, 1_000_000],
      "others are as long as they are asked for",
    );
  });
});
