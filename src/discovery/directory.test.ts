import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, MosaikError } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import { type Bench, found, type Node, range, underSeeds } from "./testing.ts";

const story = (name: string, body: (bench: Bench) => Promise<void>): void => void test(name, underSeeds(body));

const PRICES = UniqueId.from("prices");
const ORDERS = UniqueId.from("orders");

async function trio(bench: Bench): Promise<[Node, Node, Node]> {
  const nodes = await Promise.all(range(3).map((number) => bench.open(number, { bootstrap: ["n1:1", "n2:1"] })));
  await found(nodes, 2);
  return nodes as [Node, Node, Node];
}

/** Resolves once it holds at this node, after a change of its catalog. */
function until(node: Node, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    if (holds()) return resolve();
    const unsubscribe = node.directory.onChange(() => {
      if (!holds()) return;
      unsubscribe();
      resolve();
    });
  });
}

const producers = (node: Node, stream: UniqueId): string[] => node.directory.producing(stream).map(({ id }) => id);

story("streams are told as groups are: all know at once who produces, until it is withdrawn", async (bench) => {
  const [ada, bob, cyd] = await trio(bench);
  const updates: string[] = [];
  cyd.directory.onChange(({ type, entry }) => updates.push(`${type} ${entry.id}`));

  const beginMs = bench.nowMs;
  ada.directory.advertiseStream(PRICES);
  ada.directory.advertiseStream(ORDERS);
  ada.directory.advertiseStream(PRICES); // once more is nothing
  bob.directory.advertiseStream(PRICES);
  await until(cyd, () => producers(cyd, PRICES).length === 2);
  assert.deepEqual(producers(cyd, PRICES), [ada.id, bob.id].sort());
  assert.deepEqual(producers(cyd, ORDERS), [ada.id]);
  await until(ada, () => producers(ada, PRICES).length === 1);
  assert.deepEqual(producers(ada, PRICES), [bob.id], "the others only");
  assert.deepEqual(updates.sort(), [`changed ${ada.id}`, `changed ${bob.id}`].sort(), "of one turn, one update");
  assert.ok(bench.nowMs - beginMs < 50, "by pushes");

  ada.directory.withdrawStream(PRICES);
  ada.directory.withdrawStream(UniqueId.from("never advertised"));
  await until(cyd, () => producers(cyd, PRICES).length === 1);
  assert.deepEqual([producers(cyd, PRICES), producers(cyd, ORDERS)], [[bob.id], [ada.id]]);
  const gone = until(cyd, () => cyd.directory.get(ada.id) === undefined);
  await ada.close();
  await gone;
  assert.deepEqual(producers(cyd, ORDERS), [], "whoever leaves produces nothing");
  ada.directory.withdrawStream(ORDERS); // nothing: it is over
});

story("a peer tells of so many streams, and no more", async (bench) => {
  const ada = await bench.open(1);
  for (const number of range(LIMITS.entryStreamsMax)) ada.directory.advertiseStream(UniqueId.from(`stream ${number}`));
  const { version } = ada.directory.self;
  assert.throws(() => ada.directory.advertiseStream(PRICES), { code: "too-large" });
  ada.directory.advertiseStream(UniqueId.from("stream 1")); // one of them: nothing
  assert.deepEqual(ada.directory.self.version, version);
});

story("what we say of ourselves: listeners hear of each change in its turn, and of no announcement", async (bench) => {
  const ada = await bench.open(1, { settings: { announceMs: 1_000 } });
  const { directory, discovery } = ada;
  let heard = 0;
  const unsubscribe = directory.onSelfChange(() => {
    heard += 1;
  });
  const first = directory.self;
  const changes: readonly (() => void)[] = [
    () => directory.advertiseStream(PRICES),
    () => discovery.advertise({ addTags: "eu" }),
    () => discovery.advertise({ attributes: { url: "http://ada" } }),
    () => ada.changeTickets([{ class: PRICES, data: new Uint8Array([1]) }]),
    () => directory.withdrawStream(PRICES),
  ];
  for (const [index, change] of changes.entries()) {
    change();
    assert.equal(heard, index + 1);
    change();
    assert.equal(heard, index + 1, "the same again is no change");
  }
  await bench.sleep(5_000);
  assert.ok(directory.self.version.updateMs > first.version.updateMs + 3_000, "it was announced meanwhile");
  assert.equal(heard, changes.length);

  unsubscribe();
  discovery.advertise({ addTags: "us" });
  assert.equal(heard, changes.length);
  assert.deepEqual(directory.self.tags, ["eu", "us"]);
  assert.equal(directory.get(ada.id), undefined, "the catalog is of the others");
});

story("peers as users see them: the same object until something changes, ourselves included", async (bench) => {
  const [ada, bob] = await trio(bench);
  const before = ada.directory.peer(bob.id);
  assert.equal(before, ada.directory.peer(bob.id));
  assert.equal(before, ada.discovery.get(bob.id));
  assert.equal(ada.directory.peer(ada.id), ada.discovery.self);
  assert.equal(ada.discovery.self.rttMs, 0);
  assert.equal(ada.directory.peer(UniqueId.from("nobody") as Node["id"]), undefined);
  bob.discovery.advertise({ addTags: "eu" });
  await until(ada, () => ada.directory.peer(bob.id)?.tags.has("eu") === true);
  assert.equal(before?.tags.has("eu"), false);
});

story("tickets are shown to all peers, and may be exchanged; what is no ticket changes nothing", async (bench) => {
  const [ada, bob] = await trio(bench);
  const tickets = [2, 1].map((byte) => ({ class: PRICES, data: new Uint8Array(LIMITS.ticketBytesMax / 4).fill(byte) }));
  ada.changeTickets(tickets);
  for (const { data } of tickets) data.fill(9); // its owner does what it likes with it
  const shown = (): readonly number[] => bob.directory.get(ada.id)?.tickets.map(({ data }) => data[5] ?? -1) ?? [];
  await until(bob, () => shown().length === 2);
  assert.deepEqual(shown(), [1, 2]);

  const large = (class_: UniqueId) => ({ class: class_, data: new Uint8Array(LIMITS.ticketBytesMax) });
  assert.throws(
    () => ada.changeTickets([{ class: PRICES, data: new Uint8Array(LIMITS.ticketBytesMax + 1) }]),
    (error) => MosaikError.is(error, "bad-option") && error.details.option === "tickets",
  );
  assert.throws(() => ada.changeTickets([large(PRICES), large(ORDERS)]), { code: "too-large" });
  assert.equal(ada.directory.self.tickets.length, 2);

  ada.changeTickets([large(ORDERS)]);
  await until(bob, () => shown().length === 1);
  ada.changeTickets([]);
  await until(bob, () => shown().length === 0);
});

// Spec streams 2: a producer that has not heard of a consumer yet turns it away as unknown.
story("a peer that does not know us yet is told by ourselves, over one link", async (bench) => {
  const few = { neighboursMax: 1, linksMax: 4 };
  const hub = await bench.open(1);
  const ada = await bench.open(2, { bootstrap: ["n1:1"], settings: few });
  const bob = await bench.open(3, { bootstrap: ["n1:1"], settings: few });
  await found([hub, ada, bob], 2);
  assert.deepEqual([ada.neighbourCount, bob.neighbourCount], [1, 1]);

  // The hub is held up, so bob hears nothing.
  bench.blocked.add("n1:1");
  ada.directory.advertiseStream(PRICES);
  const { dials } = ada.counters;
  for (let call = 0; call < 3; call += 1) ada.directory.introduce(bob.id);
  ada.directory.introduce(ada.id);
  ada.directory.introduce(UniqueId.from("nobody") as Node["id"]);
  assert.equal(ada.counters.dials, dials + 1);
  await until(bob, () => producers(bob, PRICES).includes(ada.id));
  assert.equal(ada.neighbourCount, 2);
  ada.directory.introduce(bob.id);
  assert.equal(ada.counters.dials, dials + 1, "there is a link");

  // A dial that fails is forgotten, and may be tried again.
  bench.blocked.delete("n1:1");
  await bob.close();
  await bob.endpoint.close();
  await ada.close();
  ada.directory.introduce(hub.id);
  assert.equal(ada.counters.dials, dials + 1, "it is over");
});
