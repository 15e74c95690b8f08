import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import { SocketWrites } from "./writes.ts";

/** A socket that is done with a write when the test says so. */
class FakeSocket {
  readonly taken: Uint8Array[] = [];
  writable = true;
  ends = 0;
  #done: () => void = () => {};

  write(bytes: Uint8Array, done: () => void): boolean {
    this.taken.push(bytes);
    this.#done = done;
    return true;
  }

  end(): void {
    this.ends++;
    this.writable = false;
  }

  done(): void {
    const done = this.#done;
    this.#done = () => {};
    done();
  }
}

function bench(): { socket: FakeSocket; writes: SocketWrites; heard: number[] } {
  const socket = new FakeSocket();
  const heard: number[] = [];
  const writes: SocketWrites = new SocketWrites(socket as never, () => heard.push(writes.bytes));
  return { socket, writes, heard };
}

const bytesOf = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

describe("the writes of a socket", () => {
  it("go one at a time, long ones as they are and short ones together", () => {
    const { socket, writes, heard } = bench();
    const added = [10, 20_000, 5, 6, 16_000, 400, 30_000, 1].map(bytesOf);
    for (const bytes of added) writes.add(bytes);
    equal(socket.taken.length, 1);
    equal(writes.bytes, 66_422);
    while (writes.bytes > 0) socket.done();
    deepEqual(Buffer.concat(socket.taken), Buffer.concat(added));
    deepEqual(
      socket.taken.map(({ length }) => length),
      [10, 20_000, 16_011, 400, 30_000, 1],
    );
    equal(socket.taken[1], added[1], "not copied");
    deepEqual(heard.at(-1), 0);
  });

  it("end the socket after all that was added, and take nothing more", () => {
    const { socket, writes } = bench();
    writes.add(bytesOf(1, 1));
    writes.add(bytesOf(1, 2));
    writes.end();
    writes.add(bytesOf(1, 3));
    equal(socket.ends, 0);
    socket.done();
    equal(socket.ends, 0);
    socket.done();
    equal(socket.ends, 1);
    deepEqual([...Buffer.concat(socket.taken)], [1, 2]);
  });

  it("forget what waits when the socket is gone", () => {
    const { socket, writes, heard } = bench();
    for (let i = 0; i < 3; i++) writes.add(bytesOf(20_000, i));
    socket.writable = false;
    socket.done();
    equal(writes.bytes, 0);
    deepEqual(heard, [0]);
    equal(socket.taken.length, 1);
  });

  it("end at once when nothing is on its way", () => {
    const { socket, writes } = bench();
    writes.end();
    equal(socket.ends, 1);
  });

  it("stop when the socket breaks", () => {
    const { socket, writes } = bench();
    writes.add(bytesOf(1, 1));
    writes.add(bytesOf(1, 2));
    socket.writable = false;
    socket.done();
    equal(socket.taken.length, 1);
  });
});
