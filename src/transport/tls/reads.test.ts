import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { LentReads } from "./reads.ts";

/** As Node's: one buffer, filled before each call. */
class FakeSocket {
  isReading = false;
  readonly #reads: LentReads;

  constructor(reads: LentReads) {
    this.#reads = reads;
    reads.attach(this as unknown as TLSSocket);
  }

  pause(): void {
    this.isReading = false;
  }

  resume(): void {
    this.isReading = true;
  }

  /** False: it was told to stop. */
  receive(text: string): boolean {
    const { buffer, callback } = this.#reads.onread;
    const target = typeof buffer === "function" ? buffer() : buffer;
    target.fill(0);
    return callback(Buffer.from(target.buffer).write(text, target.byteOffset), target);
  }
}

function begin(): { reads: LentReads; socket: FakeSocket; heard: string[] } {
  const reads = new LentReads();
  const heard: string[] = [];
  reads.listen((bytes) => void heard.push(Buffer.from(bytes).toString()));
  return { reads, socket: new FakeSocket(reads), heard };
}

/** Those that were queued before. */
const microtasks = (): Promise<void> => Promise.resolve();

describe("what a dialled socket reads", () => {
  it("is kept until somebody listens, and reading stops meanwhile", async () => {
    const { reads, socket, heard } = begin();
    equal(socket.receive("one"), false);
    equal(socket.receive("two"), false);
    await microtasks();
    deepEqual(heard, []);
    reads.resume();
    deepEqual(heard, [], "nothing within the call");
    await microtasks();
    deepEqual(heard, ["one", "two"]);
    equal(socket.isReading, true);
    equal(socket.receive("three"), true);
    deepEqual(heard, ["one", "two", "three"]);
  });

  it("is kept while paused, though it came from what was decrypted before", async () => {
    const { reads, socket, heard } = begin();
    reads.resume();
    await microtasks();
    reads.pause();
    equal(socket.isReading, false);
    equal(socket.receive("late"), false);
    deepEqual(heard, []);
    reads.resume();
    await microtasks();
    deepEqual(heard, ["late"]);
  });

  it("stops at what was told when the listener pauses, and keeps the order", async () => {
    const { reads, socket, heard } = begin();
    socket.receive("one");
    socket.receive("two");
    reads.listen((bytes) => {
      heard.push(Buffer.from(bytes).toString());
      reads.pause();
    });
    reads.resume();
    await microtasks();
    deepEqual(heard, ["one"]);
    equal(socket.isReading, false);
    reads.resume();
    socket.receive("three");
    await microtasks();
    deepEqual(heard, ["one", "two"]);
    reads.resume();
    await microtasks();
    deepEqual(heard, ["one", "two", "three"]);
  });
});
