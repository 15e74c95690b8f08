import assert from "node:assert/strict";
import { test } from "node:test";
import { SubscriptionQueue } from "./subscription.ts";

const open = (init: { itemsMax?: number; signal?: AbortSignal; onEnd?: () => void } = {}) =>
  new SubscriptionQueue<string>({ itemsMax: 3, reset: (last) => `reset ${last}`, ...init });

async function readAll(queue: SubscriptionQueue<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

test("items that came before the first read are read in order, and an end is an end", async () => {
  const queue = open();
  queue.push("a");
  queue.push("b");
  queue.end();
  queue.push("too late");
  assert.deepEqual(await readAll(queue), ["a", "b"]);
  assert.deepEqual(await readAll(queue), []);
});

test("a reader that waits gets the next item", async () => {
  const queue = open();
  const next = queue[Symbol.asyncIterator]().next();
  queue.push("a");
  assert.deepEqual(await next, { done: false, value: "a" });
});

test("a reader that is too slow gets one reset instead of what waited, and then what came after", async () => {
  const queue = open();
  for (const item of ["a", "b", "c", "d", "e"]) queue.push(item);
  queue.end();
  assert.deepEqual(await readAll(queue), ["reset d", "e"]);
});

test("a break ends the subscription, once", async () => {
  let ends = 0;
  const queue = open({ onEnd: () => ends++ });
  queue.push("a");
  queue.push("b");
  for await (const item of queue) {
    assert.equal(item, "a");
    break;
  }
  assert.equal(queue.isEnded, true);
  await queue.close();
  assert.equal(ends, 1);
  assert.deepEqual(await readAll(queue), []);
});

test("disposal ends all readers that wait", async () => {
  const queue = open();
  const iterator = queue[Symbol.asyncIterator]();
  const waiting = [iterator.next(), iterator.next()];
  await queue[Symbol.asyncDispose]();
  for (const result of await Promise.all(waiting)) assert.equal(result.done, true);
});

test("an abort rejects with the signal's reason, once, and drops what waited", async () => {
  const controller = new AbortController();
  const queue = open({ signal: controller.signal });
  queue.push("a");
  controller.abort(new Error("enough"));
  await assert.rejects(readAll(queue), /enough/);
  assert.deepEqual(await readAll(queue), []);
});

test("a signal that is aborted already ends the subscription at once", async () => {
  const queue = open({ signal: AbortSignal.abort(new Error("never")) });
  await assert.rejects(readAll(queue), /never/);
});
