import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../env/index.ts";
import { encodeNews, FRAME } from "./messages.ts";
import { DEFAULT_SETTINGS, makeSettings } from "./settings.ts";
import {
  type Bench,
  departureOf,
  found,
  identityOf,
  idOf,
  idsOf,
  type Node,
  range,
  signedAt,
  underSeeds,
} from "./testing.ts";

const story = (name: string, body: (bench: Bench) => Promise<void>): void => void test(name, underSeeds(body));

/** What a node tells of one peer, as it happens: the type, and when in virtual milliseconds. */
function record(bench: Bench, node: Node, of: Node): { type: string; atMs: number }[] {
  const seen: { type: string; atMs: number }[] = [];
  node.directory.onChange(({ type, entry }) => {
    if (entry.id === of.id) seen.push({ type, atMs: bench.nowMs });
  });
  return seen;
}

// Spec network, scenario 14. We have no unsigned entries: what a user tells is an address, and whoever answers there speaks for itself.
story(
  "of two strangers one is told where the other is: then both know one peer, by its own signature",
  async (bench) => {
    const ada = await bench.open(1, { tags: ["ada's own"] });
    const bob = await bench.open(2);
    await assert.rejects(bob.discovery.dial("n9:1"), { code: "dial-failed" });
    await assert.rejects(bob.discovery.dial(`${idOf(7)}@n1:1`), { code: "dial-failed" });
    assert.deepEqual([idsOf(ada), idsOf(bob)], [[], []], "an address alone lists nobody");
    await bob.discovery.dial("n1:1");
    await found([ada, bob], 1);
    assert.deepEqual([idsOf(ada), idsOf(bob)], [[bob.id], [ada.id]]);
    assert.deepEqual([...(bob.discovery.get(ada.id)?.tags ?? [])], ["ada's own"]);
    assert.deepEqual([ada.counters.entriesVerified, bob.counters.entriesVerified], [1, 1]);
  },
);

// Spec network, scenario 16. The two are no neighbours: an open link would be a sign of life of its own.
story("a peer that announces seldom expires where patience is short, and is back with its next word", async (bench) => {
  const hub = await bench.open(1);
  const few = { neighboursMax: 1, linksMax: 2 };
  const quick = await bench.open(2, { bootstrap: ["n1:1"], settings: { ...few, expireAfterMs: 4_000 } });
  const slow = await bench.open(3, { bootstrap: ["n1:1"], settings: { ...few, announceMs: 10_000 } });
  const [seen, kept] = [record(bench, quick, slow), record(bench, slow, quick)];
  await found([quick, slow, hub], 2);
  await bench.sleep(60_000);
  const types = seen.map(({ type }) => type);
  assert.ok(types.length >= 5, `${types}`);
  assert.deepEqual(
    types,
    types.map((_, index) => (index % 2 === 0 ? "joined" : "left")),
  );
  for (const [index, { type, atMs }] of seen.entries()) {
    const sinceMs = atMs - (seen[index - 1]?.atMs ?? atMs);
    if (type === "left") assert.ok(sinceMs >= 4_000 && sinceMs <= 5_100, `silent for ${sinceMs} ms`);
  }
  assert.ok(!kept.some(({ type }) => type === "left"), "the slow one keeps the quick one");
  assert.equal(quick.neighbourCount, 1);
});

story("a neighbour says nothing and stays: an open link is a sign of life", async (bench) => {
  const settings = { expireAfterMs: 2_000, announceMs: 600_000 };
  const ada = await bench.open(1, { settings });
  const bob = await bench.open(2, { bootstrap: ["n1:1"], settings });
  await found([ada, bob], 1);
  const seen = [record(bench, ada, bob), record(bench, bob, ada)];
  await bench.sleep(30_000);
  assert.deepEqual(seen, [[], []]);
});

// D1 of spec network 3.8: one silent client froze announcements, purges and events.
story("a neighbour that never says a word holds up nobody", async (bench) => {
  const ada = await bench.open(1, { settings: { expireAfterMs: 3_000 } });
  const silent = await Promise.all([7, 8, 9].map((number) => bench.stranger(number, ada)));
  const startMs = ada.env.clock.wallMs();
  const list = [{ type: "entry", ageMs: 0, signed: signedAt(11, startMs, startMs) } as const];
  silent[0]?.send(FRAME.news, encodeNews(list));
  await ada.discovery.when.found();
  const others = await Promise.all([2, 3].map((number) => bench.open(number, { bootstrap: ["n1:1"] })));
  await found([ada, ...others], 2);
  ada.discovery.advertise({ addTags: "goes on" });
  await Promise.all(others.map((node) => node.discovery.when.found({ tags: "goes on" })));
  await bench.sleep(5_000);
  assert.deepEqual(idsOf(ada), others.map(({ id }) => id).sort(), "who is silent for long is let go");
});

// D16.
test("settings that make no sense are refused", () => {
  for (const name of Object.keys(DEFAULT_SETTINGS)) {
    for (const value of [0, -1, Number.NaN]) assert.throws(() => makeSettings({ [name]: value }), /positive/, name);
  }
  assert.throws(() => makeSettings({ neighboursMax: 32, linksMax: 32 }), /accepts more links/);
});

story(
  "whoever repeats a dead peer's entry for ever keeps it no longer, and its departure is not undone",
  async (bench) => {
    const ada = await bench.open(1, { settings: { expireAfterMs: 5_000 } });
    const startMs = ada.env.clock.wallMs();
    const mallory = await bench.stranger(9, ada);
    const [silent, left] = [signedAt(11, startMs, startMs), signedAt(12, startMs, startMs)];
    const say = (): void => {
      const list = [silent, left].map((signed) => ({ type: "entry", ageMs: 0, signed }) as const);
      mallory.send(FRAME.news, encodeNews(list));
    };
    say();
    await ada.discovery.when.found({ minimumOf: 2 });
    mallory.send(FRAME.news, encodeNews([{ type: "departure", ageMs: 0, departure: departureOf(12, startMs) }]));
    for (const second of range(9)) {
      await bench.sleep(1_000);
      say();
      await bench.sleep(10);
      const expected = second < 5 ? [idOf(11)] : [];
      if (second !== 5) assert.deepEqual(idsOf(ada), expected, `after ${second} s`);
    }
  },
);

story("what is signed for a far future is let in on no path, and nobody bids against it", async (bench) => {
  const ada = await bench.open(1);
  const aheadMs = ada.env.clock.wallMs() + LIMITS.clockDriftMsMax + 10_000;
  const mallory = await bench.stranger(9, ada);
  const pushed = [signedAt(11, aheadMs, aheadMs), signedAt(12, 1_000, aheadMs), signedAt(1, aheadMs, aheadMs)];
  mallory.send(FRAME.news, encodeNews(pushed.map((signed) => ({ type: "entry", ageMs: 0, signed }) as const)));
  const gone = [departureOf(11, aheadMs), departureOf(1, aheadMs)];
  mallory.send(FRAME.news, encodeNews(gone.map((departure) => ({ type: "departure", ageMs: 0, departure }) as const)));
  await bench.sleep(2_000);
  assert.deepEqual(idsOf(ada), []);
  const { counters } = ada;
  assert.deepEqual([counters.entriesRejected, counters.entriesVerified, counters.identityConflicts], [5, 0, 0]);
  assert.equal(mallory.isOpen, true);
});

story("a restart with a clock behind bids once for its key, and does not begin anew again and again", async (bench) => {
  const ada = await bench.open(1);
  const startMs = ada.env.clock.wallMs();
  const bob = await bench.open(2, { bootstrap: ["n1:1"], startMs: startMs + 40_000 });
  await found([ada, bob], 1);
  bench.crash(bob);
  await bench.sleep(100);
  const again = await bench.open(2, { bootstrap: ["n1:1"], startMs, tags: ["new"] });
  await ada.discovery.when.found({ tags: "new" });
  const seen = record(bench, ada, again);
  await bench.sleep(30_000);
  assert.equal(again.warnings.filter((text) => /duplicate identity/.test(text)).length, 1);
  assert.deepEqual(
    again.warnings.filter((text) => /clock was set back/.test(text)),
    [],
  );
  assert.deepEqual(
    seen.filter(({ type }) => type !== "changed"),
    [],
  );
});

interface Inspected {
  readonly keyConflict: { readonly addresses: readonly string[]; readonly hasYielded: boolean } | null;
}

story("two nodes with one key: both report it, and in the end one of them has it", async (bench) => {
  const ada = await bench.open(1);
  const shared = { bootstrap: ["n1:1"], settings: { expireAfterMs: 60_000, announceMs: 10_000 } };
  const one = await bench.open(2, { ...shared, tags: ["one"] });
  const two = await bench.open(3, { ...shared, identity: identityOf(2), tags: ["two"] });
  const seen = record(bench, ada, one);
  await bench.sleep(30_000);
  for (const node of [one, two]) {
    assert.ok(
      node.warnings.some((text) => /duplicate identity/.test(text)),
      `${node.name} reports it`,
    );
    assert.ok(node.counters.identityConflicts > 0);
    assert.notEqual((node.inspect() as Inspected).keyConflict, null);
  }
  await bench.sleep(150_000);
  const bids = seen.length;
  assert.ok(bids < 60, `${bids} changes`);
  const [winner] = ada.discovery.get(one.id)?.tags ?? [];
  await bench.sleep(300_000);
  assert.deepEqual([...(ada.discovery.get(one.id)?.tags ?? [])], [winner], "they do not take turns for ever");
  const [loser, other] = winner === "one" ? [two, one] : [one, two];
  assert.equal((loser.inspect() as Inspected).keyConflict?.hasYielded, true);
  assert.ok(loser.warnings.some((text) => /peers see it in our place/.test(text)));

  // The other one goes: whoever is left is seen.
  await other.close();
  await other.endpoint.close();
  await ada.discovery.when.found({ tags: winner === "one" ? "two" : "one" });
});
