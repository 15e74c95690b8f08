import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { type Env, realEnv } from "../../env/index.ts";
import { HandshakeQueue } from "./handshake-queue.ts";

/** Turns are ours to take. */
class Turns {
  readonly waiting: (() => void)[] = [];
  readonly env: Env = {
    ...realEnv(),
    after: (_, callback) => {
      this.waiting.push(callback);
      return { cancel: () => {} };
    },
  };
  next(): void {
    this.waiting.shift()?.();
  }
}

function open(): {
  turns: Turns;
  queue: HandshakeQueue;
  begun: string[];
  add: (host: string, name: string) => () => void;
} {
  const turns = new Turns();
  const queue = new HandshakeQueue(turns.env, 2);
  const begun: string[] = [];
  return { turns, queue, begun, add: (host, name) => queue.add(host, () => begun.push(name)) };
}

test("a few begin each turn, none in the turn that it came, and then there is no timer", () => {
  const { turns, begun, add } = open();
  for (const name of ["a", "b", "c"]) add("10.0.0.1", name);
  deepEqual(begun, []);
  equal(turns.waiting.length, 1);
  turns.next();
  deepEqual(begun, ["a", "b"]);
  turns.next();
  deepEqual(begun, ["a", "b", "c"]);
  equal(turns.waiting.length, 0);
  add("10.0.0.1", "d");
  turns.next();
  deepEqual(begun, ["a", "b", "c", "d"]);
});

test("who comes from another address does not wait for all of the first; a /64 is one address", () => {
  const { turns, begun, add } = open();
  for (let number = 0; number < 100; number++) add(`2001:db8::${number.toString(16)}`, "many");
  add("10.0.0.2", "one");
  add("2001:db8:0:1::1", "another");
  turns.next();
  turns.next();
  deepEqual(begun, ["many", "one", "another", "many"]);
});

test("who leaves is not begun, and its address is forgotten with the last", () => {
  const { turns, begun, add } = open();
  const leave = [add("10.0.0.1", "a"), add("10.0.0.1", "b"), add("10.0.0.2", "c")];
  leave[0]?.();
  leave[2]?.();
  turns.next();
  deepEqual(begun, ["b"]);
  leave[1]?.();
  equal(turns.waiting.length, 0);
});

test("those that come while others begin count as the others do", () => {
  const { turns, queue, begun } = open();
  queue.add("10.0.0.1", () => {
    begun.push("first");
    queue.add("10.0.0.1", () => begun.push("second"));
    queue.add("10.0.0.1", () => begun.push("third"));
    queue.add("10.0.0.1", () => begun.push("fourth"));
  });
  turns.next();
  deepEqual(begun, ["first", "second"]);
  equal(turns.waiting.length, 1);
  turns.next();
  deepEqual(begun, ["first", "second", "third", "fourth"]);
});
