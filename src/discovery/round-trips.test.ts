import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import { CLOSE, type Link, type LinkClose } from "../wire/index.ts";
import { encodePing, measureLink, PROBE_FRAME, PROBE_PROTOCOL } from "./probes.ts";
import type { RoundTripReport } from "./round-trips.ts";
import { Bench, found, type Node, range, underSeeds } from "./testing.ts";

const story = (name: string, body: (bench: Bench) => Promise<void>): void => void test(name, underSeeds(body));

const PRICES = UniqueId.from("prices");

async function nodesOf(bench: Bench, count: number): Promise<Node[]> {
  const nodes = await Promise.all(range(count).map((number) => bench.open(number, { bootstrap: ["n1:1", "n2:1"] })));
  await found(nodes, count - 1);
  return nodes;
}

const report = (node: Node): RoundTripReport => (node.inspect() as { roundTrips: RoundTripReport }).roundTrips;
const rttMs = (node: Node, of: Node): number | undefined => node.directory.peer(of.id)?.rttMs;

/** Round trips as they are told. */
function record(bench: Bench, node: Node): { of: string; rttMs: number; atMs: number }[] {
  const told: { of: string; rttMs: number; atMs: number }[] = [];
  node.directory.onChange(({ type, entry }) => {
    const peer = node.directory.peer(entry.id);
    const last = told.findLast(({ of }) => of === entry.id);
    if (type !== "changed" || peer?.rttMs === undefined || peer.rttMs === last?.rttMs) return;
    told.push({ of: entry.id, rttMs: peer.rttMs, atMs: bench.nowMs });
  });
  return told;
}

/** Resolves once it holds, after a change of the catalog or of a round trip. */
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

story("round trips are measured for as long as somebody needs them, and to those that matter alone", async (bench) => {
  const [ada, bob, cyd, dan] = (await nodesOf(bench, 4)) as [Node, Node, Node, Node];
  bench.farUs.set("n3:1", 20_000);
  await bench.sleep(60_000);
  assert.deepEqual(report(ada), { ...report(ada), needs: 0, measured: 0, probes: 0, answered: 0 }, "nobody asked");

  const told = record(bench, ada);
  const release = ada.directory.measure(({ streams }) => streams.includes(PRICES));
  const again = ada.directory.measure(({ streams }) => streams.includes(PRICES));
  assert.equal(report(ada).probes, 0);
  const beginMs = bench.nowMs;
  bob.directory.advertiseStream(PRICES);
  cyd.directory.advertiseStream(PRICES);
  const before = ada.directory.peer(bob.id);
  await until(ada, () => rttMs(ada, bob) !== undefined && rttMs(ada, cyd) !== undefined);
  assert.ok(bench.nowMs - beginMs < 500, "at once");
  const [near, far] = [rttMs(ada, bob) ?? 0, rttMs(ada, cyd) ?? 0];
  assert.ok(near >= 0.4 && near <= 2, `${near} ms`);
  assert.ok(far >= 40.4 && far <= 42, `${far} ms`);
  assert.equal(before?.rttMs, undefined, "a snapshot");
  assert.equal(ada.directory.peer(bob.id), ada.directory.peer(bob.id));
  assert.deepEqual([rttMs(ada, dan), rttMs(bob, ada)], [undefined, undefined]);
  assert.deepEqual(told.map(({ of }) => of).sort(), [bob.id, cyd.id].sort());
  assert.deepEqual([report(bob).answered, report(dan).answered], [3, 0]);

  // Refreshed, as long as one of both needs them; told only if much has changed.
  release();
  release();
  await bench.sleep(120_000);
  const { probes } = report(ada);
  assert.ok(probes >= 2 + 4 && probes <= 2 + 16, `${probes} probes`);
  assert.ok(told.filter(({ of }) => of === cyd.id).length === 1, "2 ms of 40 are nothing");
  bench.farUs.set("n3:1", 40_000);
  await until(ada, () => (rttMs(ada, cyd) ?? 0) > 80);

  // What was measured stays, until the peer leaves.
  again();
  const { probes: last } = report(ada);
  await bench.sleep(120_000);
  assert.deepEqual(report(ada), { ...report(ada), needs: 0, measured: 0, underWay: 0, probes: last });
  assert.ok(rttMs(ada, bob) !== undefined);
  const left = until(ada, () => ada.directory.get(bob.id) === undefined);
  await bob.close();
  await bob.endpoint.close();
  await left;
  const back = await bench.open(2, { bootstrap: ["n1:1"] });
  await until(ada, () => ada.directory.get(back.id) !== undefined);
  assert.equal(rttMs(ada, back), undefined, "another life, maybe elsewhere");
  assert.deepEqual(
    [ada, cyd, dan].flatMap((node) => [...node.endpoint.links].filter(({ protocol }) => protocol === PROBE_PROTOCOL)),
    [],
  );
});

story("one that cannot be reached is tried again, and holds up nobody else", async (bench) => {
  const [ada, bob, cyd] = (await nodesOf(bench, 3)) as [Node, Node, Node];
  bench.blocked.add("n2:1");
  const release = ada.directory.measure(() => true);
  const beginMs = bench.nowMs;
  await until(ada, () => rttMs(ada, cyd) !== undefined);
  assert.ok(bench.nowMs - beginMs < 500);
  await bench.sleep(6_000);
  assert.equal(rttMs(ada, bob), undefined);
  assert.equal(report(ada).failures, 1, "a dial has its deadline");
  bench.blocked.delete("n2:1");
  await until(ada, () => rttMs(ada, bob) !== undefined);
  assert.ok(bench.nowMs - beginMs < 15_000, `${bench.nowMs - beginMs} ms`);
  release();
});

story(
  "users: a rule with `maxRttMs` measures as long as its events or its wait live; a look does not",
  async (bench) => {
    const [ada, bob, cyd] = (await nodesOf(bench, 3)) as [Node, Node, Node];
    bench.farUs.set("n3:1", 20_000);
    const near = { maxRttMs: 10 };
    assert.deepEqual(ada.discovery.peers(near), []);
    assert.equal(report(ada).needs, 0);

    const [peer] = await ada.discovery.when.found(near);
    assert.equal(peer?.id, bob.id);
    assert.equal(report(ada).needs, 0);
    assert.deepEqual(
      ada.discovery.peers({ maxRttMs: 10 }).map(({ id }) => id),
      [bob.id],
      "as it was measured",
    );

    const events = ada.discovery.events({ ...near, tags: "eu" });
    assert.deepEqual([report(ada).needs, report(ada).measured], [1, 0], "nobody has the tag");
    cyd.discovery.advertise({ addTags: "eu" });
    await until(ada, () => rttMs(ada, cyd) !== undefined);
    bench.farUs.delete("n3:1");
    for await (const event of events) {
      assert.equal(event.type, "joined");
      assert.equal(event.type === "joined" && event.peer.id, cyd.id);
      break;
    }
    assert.equal(report(ada).needs, 0);
    const controller = new AbortController();
    const gone = assert.rejects(ada.discovery.when.found({ maxRttMs: 0, signal: controller.signal }), /enough/);
    assert.equal(report(ada).needs, 1);
    controller.abort(new Error("enough"));
    await gone;
    assert.equal(report(ada).needs, 0);
    const closed = assert.rejects(ada.discovery.when.found({ maxRttMs: 0 }), { code: "closed" });
    await ada.close();
    await closed;
    assert.deepEqual(report(ada), { ...report(ada), needs: 0, underWay: 0 });
  },
);

story("closing waits for no probe", async (bench) => {
  const [ada] = (await nodesOf(bench, 3)) as [Node];
  for (const address of ["n2:1", "n3:1"]) bench.blocked.add(address);
  ada.directory.measure(() => true);
  await bench.sleep(1_000);
  assert.equal(report(ada).underWay, 2);
  const beginMs = bench.nowMs;
  await ada.close();
  assert.ok(bench.nowMs - beginMs <= 1_000);
  assert.equal(report(ada).underWay, 0);
});

// ── Strangers ──

/** How this link ends, and when in virtual milliseconds. */
async function endOf(bench: Bench, link: Link): Promise<LinkClose & { readonly atMs: number }> {
  return { ...(await link.closed), atMs: bench.nowMs };
}

story("a prober gets so many answers, and so much time", async (bench) => {
  const ada = await bench.open(1);
  const idle = await bench.stranger(2, ada, PROBE_PROTOCOL);
  const beginMs = bench.nowMs;
  const end = await endOf(bench, idle);
  assert.equal(end.code, CLOSE.success);
  assert.ok(end.atMs - beginMs > 4_900 && end.atMs - beginMs < 5_100);

  const eager = await bench.stranger(3, ada, PROBE_PROTOCOL);
  for (let ping = 0; ping <= LIMITS.probePingsMax; ping += 1) eager.send(PROBE_FRAME.ping, encodePing(ping));
  assert.equal((await endOf(bench, eager)).code, CLOSE.protocolViolation);
  assert.equal(report(ada).answered, LIMITS.probePingsMax);

  const garbled = await bench.stranger(4, ada, PROBE_PROTOCOL);
  garbled.send(99, new Uint8Array(3)); // a later version's
  garbled.send(PROBE_FRAME.ping, new Uint8Array(3));
  assert.equal((await endOf(bench, garbled)).code, CLOSE.protocolViolation);
});

story("so many probers at a time are answered; the others are sent away, and leave room behind", async (bench) => {
  const ada = await bench.open(1);
  const many = range(LIMITS.probeLinksMax).map((number) => bench.stranger(number + 1, ada, PROBE_PROTOCOL));
  const links = await Promise.all(many);
  assert.equal(report(ada).answering, LIMITS.probeLinksMax);
  await assert.rejects(bench.stranger(LIMITS.probeLinksMax + 2, ada, PROBE_PROTOCOL), /too many probes/);
  await links[0]?.close(CLOSE.success, "enough");
  await bench.stranger(LIMITS.probeLinksMax + 3, ada, PROBE_PROTOCOL);
  await Promise.all(links.map((link) => link.closed));
});

test("pongs that were not asked for, and links that end, give no measurement", async () => {
  const bench = new Bench(1);
  await bench.world.run(async () => {
    const ada = await bench.open(1);
    const answers: readonly ((link: Link) => void)[] = [
      (link) => link.send(PROBE_FRAME.pong, encodePing(2)),
      (link) => link.send(PROBE_FRAME.pong, new Uint8Array(0)),
      (link) => void link.close(CLOSE.success, "no"),
      (link) => link.destroy(),
    ];
    for (const [index, answer] of answers.entries()) {
      const liar = await bench.liar(index + 2, PROBE_PROTOCOL, answer);
      const { signal } = new AbortController();
      const link = await ada.endpoint.dial(liar, PROBE_PROTOCOL, { signal });
      await assert.rejects(measureLink(link, ada.env.clock, signal), { name: "ProbeEnded" });
    }
    const mute = await bench.liar(9, PROBE_PROTOCOL, () => {});
    const controller = new AbortController();
    const link = await ada.endpoint.dial(mute, PROBE_PROTOCOL, { signal: controller.signal });
    const measured = assert.rejects(measureLink(link, ada.env.clock, controller.signal), { name: "ProbeEnded" });
    controller.abort();
    await measured;
  });
});

test("one seed, one history of round trips", async () => {
  const history = async (seed: number): Promise<unknown> => {
    const bench = new Bench(seed);
    let told: unknown;
    await bench.world.run(async () => {
      const [ada] = (await nodesOf(bench, 12)) as [Node];
      told = record(bench, ada);
      ada.directory.measure(() => true);
      await bench.sleep(60_000);
    });
    return told;
  };
  const [one, same, other] = [await history(1), await history(1), await history(2)];
  assert.equal((one as unknown[]).length >= 11, true);
  assert.deepEqual(one, same);
  assert.notDeepEqual(one, other);
});
