import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../env/index.ts";
import { type PeerId, UniqueId } from "../identity/index.ts";
import { encodeNews, encodeSuspicion, encodeWant, FRAME } from "./messages.ts";
import { Bench, event, found, identityOf, idsOf, NETWORK, type Node, range, signedAt, underSeeds } from "./testing.ts";

const story = (name: string, body: (bench: Bench) => Promise<void>): void => void test(name, underSeeds(body));

// Spec network, scenario 13.
story("ten nodes that name one bootstrap all know all", async (bench) => {
  const nodes = await Promise.all(range(10).map((number) => bench.open(number, { bootstrap: ["n1:1"] })));
  await found(nodes, 9);
  assert.ok(bench.nowMs < 1_000, `${bench.nowMs} ms`);
  for (const node of nodes) assert.equal(node.directory.isBootstrapped, true);
});

story("a network larger than a node's view: pushes reach everybody, and nobody has too many links", async (bench) => {
  const settings = { neighboursMax: 4, linksMax: 10 };
  const nodes = await Promise.all(range(30).map((number) => bench.open(number, { bootstrap: ["n1:1"], settings })));
  await found(nodes, 29);
  await bench.sleep(20_000);
  for (const node of nodes) {
    assert.ok(node.neighbourCount >= 4 && node.neighbourCount <= 10, `${node.neighbourCount} links`);
  }
  const begin = bench.nowMs;
  nodes[7]?.discovery.advertise({ addTags: "news" });
  const others = nodes.filter((_, index) => index !== 7);
  await Promise.all(others.map((node) => node.discovery.when.found({ tags: "news" })));
  assert.ok(bench.nowMs - begin < 100, "by pushes, not by comparing");
});

story("a small network is linked all to all, with one link a pair", async (bench) => {
  const nodes = await Promise.all(range(5).map((number) => bench.open(number, { bootstrap: ["n1:1", "n2:1"] })));
  await found(nodes, 4);
  await bench.sleep(3_000);
  for (const node of nodes) {
    assert.equal(node.neighbourCount, 4);
    assert.equal(node.endpoint.links.size, 4);
  }
});

// Scenario 15.
story("two networks do not mix", async (bench) => {
  const other = UniqueId.from("another network");
  const bootstrap = ["n1:1", "n3:1"];
  const a = await Promise.all([1, 2].map((number) => bench.open(number, { bootstrap })));
  const b = await Promise.all([3, 4, 5].map((number) => bench.open(number, { bootstrap, network: other })));
  await Promise.all([found(a, 1), found(b, 2)]);
  await bench.sleep(5_000);
  assert.deepEqual(
    [...a, ...b].map((node) => node.discovery.peers().length),
    [1, 1, 2, 2, 2],
  );
});

// Scenario 17, in order and killed.
story("a node that closes has left, for all and at once; a killed one within 15 s", async (bench) => {
  const nodes = await Promise.all(range(3).map((number) => bench.open(number, { bootstrap: ["n1:1", "n2:1"] })));
  const [ada, bob, cyd] = nodes as [Node, Node, Node];
  await found(nodes, 2);
  const gone = Promise.all([ada, bob].map((node) => event(node, "left", cyd.id)));
  const begin = bench.nowMs;
  await cyd.close();
  await cyd.endpoint.close();
  await gone;
  assert.ok(bench.nowMs - begin < 1_000);
  await bench.sleep(20_000);
  assert.deepEqual([idsOf(ada), idsOf(bob)], [[bob.id], [ada.id]]);

  const killed = event(ada, "left", bob.id);
  const killedAt = bench.nowMs;
  bench.crash(bob);
  await killed;
  assert.ok(bench.nowMs - killedAt < 15_000);
});

story("a killed node leaves for those, too, who were not its neighbours", async (bench) => {
  const nodes = await Promise.all(range(12).map((number) => bench.open(number, { bootstrap: ["n1:1"] })));
  const others = nodes.slice(0, 11);
  const gone = nodes[11] as Node;
  await found(nodes, 11);
  const left = Promise.all(others.map((node) => event(node, "left", gone.id)));
  const begin = bench.nowMs;
  bench.crash(gone);
  await left;
  assert.ok(bench.nowMs - begin < 15_000, `${bench.nowMs - begin} ms`);
});

story("whoever hears a false suspicion finds the peer, and drops nothing", async (bench) => {
  const nodes = await Promise.all(range(12).map((number) => bench.open(number, { bootstrap: ["n1:1"] })));
  await found(nodes, 11);
  await bench.sleep(5_000);
  const [liar, , victim] = nodes as [Node, Node, Node];
  const { id, version } = liar.directory.get(victim.id) ?? assert.fail("it knows the victim");
  for (const link of liar.endpoint.links) link.send(FRAME.suspect, encodeSuspicion({ id, version }));
  await bench.sleep(20_000);
  for (const node of nodes) assert.equal(node.discovery.peers().length, 11);
});

story("each of three nodes sees exactly two join", async (bench) => {
  const nodes = await Promise.all(range(3).map((number) => bench.open(number, { bootstrap: ["n1:1"] })));
  const joined = nodes.map(() => 0);
  nodes.forEach((node, index) => {
    node.directory.onChange(({ type }) => {
      if (type === "joined") joined[index] = (joined[index] ?? 0) + 1;
    });
  });
  await found(nodes, 2);
  await bench.sleep(10_000);
  assert.deepEqual(joined, [2, 2, 2]);
});

story("a restart with the same key and a later clock wins", async (bench) => {
  const ada = await bench.open(1);
  const bob = await bench.open(2, { bootstrap: ["n1:1"], tags: ["old"] });
  await found([ada, bob], 1);
  bench.crash(bob);
  await bench.sleep(100);
  const again = await bench.open(2, { bootstrap: ["n1:1"], tags: ["new"] });
  await ada.discovery.when.found({ tags: "new" });
  assert.deepEqual([...(ada.discovery.get(again.id)?.tags ?? [])], ["new"]);
  await bench.sleep(15_000);
  assert.equal(ada.discovery.peers().length, 1);
});

story("a restart with a clock behind wins too, and over its own departure", async (bench) => {
  const ada = await bench.open(1);
  const startMs = ada.env.clock.wallMs();
  const bob = await bench.open(2, { bootstrap: ["n1:1"], startMs: startMs + 30_000 });
  await found([ada, bob], 1);
  await bob.close();
  await bob.endpoint.close();
  const again = await bench.open(2, { bootstrap: ["n1:1"], startMs, tags: ["new"] });
  await ada.discovery.when.found({ tags: "new" });
  assert.equal(ada.discovery.get(again.id)?.id, again.id);
});

story("two nodes with one key: both report it, and neither takes the network down", async (bench) => {
  const ada = await bench.open(1);
  const one = await bench.open(2, { bootstrap: ["n1:1"] });
  const two = await bench.open(3, { bootstrap: ["n1:1"], identity: identityOf(2) });
  await bench.sleep(10_000);
  const reports = [one, two].flatMap((node) => node.warnings.filter((text) => /duplicate identity/.test(text)));
  assert.ok(reports.length >= 1 && reports.length < 20, `${reports.length} reports`);
  assert.equal(ada.discovery.peers().length, 1);
  assert.ok(ada.counters.framesReceived < 2_000, `${ada.counters.framesReceived} frames`);
});

story("a bootstrap that is down is reported once and found when it comes up", async (bench) => {
  const bob = await bench.open(2, { bootstrap: ["n1:1"] });
  assert.equal(bob.directory.isBootstrapped, false);
  await bench.sleep(30_000);
  assert.equal(bob.warnings.filter((text) => /cannot be reached/.test(text)).length, 1);
  const ada = await bench.open(1);
  const begin = bench.nowMs;
  await found([ada, bob], 1);
  assert.ok(bench.nowMs - begin < 6_000);
  assert.equal(bob.directory.isBootstrapped, true);
});

story("a bootstrap address that is ourselves is as none", async (bench) => {
  const ada = await bench.open(1, { bootstrap: ["n1:1"] });
  await bench.sleep(2_000);
  assert.equal(ada.directory.isBootstrapped, true);
  assert.deepEqual(ada.warnings, []);
});

story("the parts of a split network find each other after it heals", async (bench) => {
  const settings = { expireAfterMs: 20_000, announceMs: 5_000 };
  const nodes = await Promise.all(range(4).map((number) => bench.open(number, { bootstrap: ["n1:1"], settings })));
  await found(nodes, 3);
  const cut = nodes[3] as Node;
  bench.blocked.add(cut.address);
  await bench.sleep(60_000);
  assert.equal(cut.discovery.peers().length, 0);
  assert.equal(nodes[0]?.discovery.peers().length, 2);
  bench.blocked.clear();
  bench.wire.wake();
  await found(nodes, 3);
});

story("a peer with a clock that is minutes ahead is refused, and people are told", async (bench) => {
  const ada = await bench.open(1);
  bench.world.node("n2").jumpWallClock(600_000);
  const bob = await bench.open(2, { bootstrap: ["n1:1"] });
  await found([bob], 1);
  await bench.sleep(1_000);
  assert.equal(ada.discovery.peers().length, 0);
  assert.ok(ada.warnings.some((text) => /clock/.test(text)) && bob.warnings.some((text) => /clock/.test(text)));
});

story("a peer whose clock is set right again announces itself anew, and is known", async (bench) => {
  const ada = await bench.open(1);
  bench.world.node("n2").jumpWallClock(600_000);
  const bob = await bench.open(2, { bootstrap: ["n1:1"] });
  await found([bob], 1);
  await bench.sleep(1_000);
  assert.equal(ada.discovery.peers().length, 0);
  bench.world.node("n2").jumpWallClock(-600_000);
  await found([ada], 1);
});

story("garbage closes its own link only, and is counted", async (bench) => {
  const nodes = await Promise.all(range(3).map((number) => bench.open(number, { bootstrap: ["n1:1"] })));
  const [ada, bob, cyd] = nodes as [Node, Node, Node];
  await found(nodes, 2);
  await bench.sleep(3_000);
  for (const link of bob.endpoint.links) if (link.remoteId === ada.id) link.send(16, new Uint8Array([9, 9, 9]));
  await bench.sleep(100);
  assert.equal(ada.counters.badFrames, 1);
  assert.deepEqual(
    [...ada.endpoint.links].map((link) => link.remoteId),
    [cyd.id],
  );
  assert.equal(ada.discovery.peers().length, 2);
  bob.discovery.advertise({ addTags: "still here" });
  await ada.discovery.when.found({ tags: "still here" });
});

story("changes are told once each, and a proof of life is none", async (bench) => {
  const settings = { announceMs: 500 };
  const ada = await bench.open(1, { settings });
  const bob = await bench.open(2, { bootstrap: ["n1:1"], settings });
  const events: string[] = [];
  const reading = (async () => {
    for await (const item of ada.discovery.events({ tags: "worker" })) {
      events.push(item.type);
      if (item.type === "left") break;
    }
  })();
  await found([ada, bob], 1);
  for (const change of [{ addTags: "worker" }, { attributes: { url: "http://x" } }, { removeTags: "worker" }]) {
    await bench.sleep(3_000);
    bob.discovery.advertise(change);
  }
  await reading;
  assert.deepEqual(events, ["joined", "changed", "left"]);
});

story("groups are told to the layers above", async (bench) => {
  const ada = await bench.open(1);
  const bob = await bench.open(2, { bootstrap: ["n1:1"] });
  await found([ada, bob], 1);
  const changed = event(ada, "changed", bob.id).catch(() => {});
  bob.directory.advertiseGroup(NETWORK);
  await bench.sleep(100);
  assert.deepEqual(
    ada.directory.inGroup(NETWORK).map((entry) => entry.id),
    [bob.id],
  );
  bob.directory.withdrawGroup(NETWORK);
  await bench.sleep(100);
  assert.deepEqual(ada.directory.inGroup(NETWORK), []);
  await ada.close();
  await changed;
});

story("closing ends every wait, within a second even if nobody answers", async (bench) => {
  const nodes = await Promise.all(range(3).map((number) => bench.open(number, { bootstrap: ["n1:1"] })));
  const [ada] = nodes as [Node];
  await found(nodes, 2);
  const waiting = assert.rejects(ada.discovery.when.found({ minimumOf: 9 }), { code: "closed" });
  const reading = (async () => {
    for await (const _ of ada.discovery.events()) assert.fail("nothing happens");
  })();
  bench.blocked.add(ada.address);
  const begin = bench.nowMs;
  await ada.close();
  assert.ok(bench.nowMs - begin <= 1_000);
  await Promise.all([waiting, reading]);
  await assert.rejects(ada.discovery.dial("n2:1"), { code: "closed" });
  assert.throws(() => ada.discovery.advertise({ addTags: "x" }), { code: "closed" });
  await ada.close();
});

story("dial reaches a peer that no bootstrap named, and says who does not answer", async (bench) => {
  const ada = await bench.open(1);
  const bob = await bench.open(2);
  await bob.discovery.dial(`${ada.id}@n1:1`);
  await found([ada, bob], 1);
  await assert.rejects(bob.discovery.dial(["n1:1", "n9:1"]), { code: "dial-failed", details: { address: "n9:1" } });
  await assert.rejects(bob.discovery.dial("nonsense"), { code: "bad-option" });
  const controller = new AbortController();
  bench.blocked.add("n3:1");
  await bench.open(3);
  const dialling = bob.discovery.dial("n3:1", { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(dialling, /enough/);
  await bob.discovery.dial("n2:1");
});

story("a wait that is aborted rejects with the signal's reason", async (bench) => {
  const ada = await bench.open(1);
  const controller = new AbortController();
  const waiting = ada.discovery.when.found({ signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(ada.discovery.when.found({ signal: AbortSignal.abort(new Error("never")) }), /never/);
});

story("a reader that is too slow is told to look again, and holds no more than its bound", async (bench) => {
  const ada = await bench.open(1);
  const bob = await bench.open(2, { bootstrap: ["n1:1"] });
  const events = ada.discovery.events();
  await found([ada, bob], 1);
  for (let round = 0; round <= LIMITS.subscriptionItemsMax; round++) {
    bob.discovery.advertise({ attributes: { round: `${round}` } });
    await bench.sleep(5);
  }
  const iterator = events[Symbol.asyncIterator]();
  const first = await iterator.next();
  assert.equal(first.done === true ? "done" : first.value.type, "reset");
  await events.close();
  assert.equal((await iterator.next()).done, true);
});

story("advertise changes all or nothing, and what goes is gone", async (bench) => {
  const ada = await bench.open(1, { tags: ["a"] });
  ada.discovery.advertise({ addTags: ["b", "c"], removeTags: "a", attributes: { x: "1", y: "2" } });
  ada.discovery.advertise({ attributes: { x: undefined } });
  const before = ada.discovery.self;
  assert.deepEqual([...before.tags], ["b", "c"]);
  assert.deepEqual(before.attributes, { y: "2" });
  assert.deepEqual(before.addresses, ["n1:1"]);
  assert.throws(() => ada.discovery.advertise({ addTags: "d", attributes: { x: "x".repeat(5_000) } }), {
    code: "bad-option",
  });
  assert.deepEqual(ada.discovery.self, before);
});

story("what inspect tells is plain JSON", async (bench) => {
  const nodes = await Promise.all(range(3).map((number) => bench.open(number, { bootstrap: ["n1:1", "n9:1"] })));
  await found(nodes, 2);
  for (const node of nodes) assert.deepEqual(JSON.parse(JSON.stringify(node.inspect())), node.inspect());
});

story("a rule that throws is told to whoever gave it, and harms no link", async (bench) => {
  const ada = await bench.open(1);
  const where = (): boolean => {
    throw new Error("my own bug");
  };
  const reading = assert.rejects(async () => {
    for await (const _ of ada.discovery.events({ where })) assert.fail("nothing fits");
  }, /my own bug/);
  const waiting = assert.rejects(ada.discovery.when.found({ where }), /my own bug/);
  const bob = await bench.open(2, { bootstrap: ["n1:1"] });
  await Promise.all([reading, waiting, found([ada, bob], 1)]);
  assert.equal(ada.neighbourCount, 1);
  assert.equal(ada.discovery.get(ada.id)?.id, ada.id);
});

story("a peer that asks for what nobody knows gets nothing, and nothing piles up for it", async (bench) => {
  const ada = await bench.open(1);
  const bob = await bench.open(2, { bootstrap: ["n1:1"] });
  await found([ada, bob], 1);
  await bench.sleep(500);
  const [link] = bob.endpoint.links;
  const ids = range(200).map((number) => UniqueId.from(`nobody ${number}`) as PeerId);
  link?.send(FRAME.want, encodeWant(ids));
  const before = bob.counters.framesReceived;
  await bench.sleep(20);
  assert.equal(bob.counters.framesReceived, before);
  assert.deepEqual((ada.inspect() as { neighbours: { pending: number }[] }).neighbours[0]?.pending, 0);
});

/** Forty versions each of forty peers, signed as they should be: nothing tells them from an honest flood. */
const FLOOD = range(40).flatMap((updateMs) => range(40).map((number) => signedAt(1_000 + number, 1_000, updateMs)));

story("a peer that floods us with signed entries delays no other", async (bench) => {
  const ada = await bench.open(1);
  const bob = await bench.open(2, { bootstrap: ["n1:1"] });
  await found([ada, bob], 1);
  await bench.sleep(3_000);
  const mallory = await bench.stranger(9, ada);
  for (let first = 0; first < FLOOD.length; first += 120) {
    const list = FLOOD.slice(first, first + 120).map((signed) => ({ type: "entry", ageMs: 0, signed }) as const);
    mallory.send(FRAME.news, encodeNews(list));
  }
  for (const round of range(6)) {
    const before = ada.counters.entriesVerified;
    bob.discovery.advertise({ addTags: `round ${round}` });
    await ada.discovery.when.found({ tags: `round ${round}` });
    const meanwhile = ada.counters.entriesVerified - before;
    assert.ok(meanwhile <= 2 * LIMITS.verificationsPerTurnMax, `${meanwhile} others were verified first`);
  }
  assert.ok(ada.counters.entriesVerified < FLOOD.length / 2, "the flood was still going on");
  await bench.sleep(2_000);
  assert.equal(ada.discovery.peers().length, 41);
  assert.equal(mallory.isOpen, true);
});

test("one seed gives one history", async () => {
  const run = async (seed: number): Promise<string> => {
    const bench = new Bench(seed);
    return bench.world.run(async () => {
      const nodes = await Promise.all(range(12).map((number) => bench.open(number, { bootstrap: ["n1:1", "n2:1"] })));
      await found(nodes, 11);
      bench.crash(nodes[4] as Node);
      await bench.sleep(20_000);
      const states = nodes.map((node) => node.inspect());
      return JSON.stringify([bench.world.events, bench.world.nowUs, states]);
    });
  };
  const [first, other] = [await run(7), await run(8)];
  assert.equal(await run(7), first);
  assert.notEqual(other, first);
});
