import { deepEqual, equal, ok } from "node:assert/strict";
import { defineMachine, type Group } from "../../src/groups/index.ts";
import { type Nodes, scenario } from "./nodes.ts";

// Scenarios 29 to 38 of the reference's specification, by number, on a map: how a reader that comes late gets what is there, mostly by a snapshot. The
// variants for set, vec and priority queue (with `remove_range`, and least and greatest priority, of 37) come with the collections.

type Item = readonly [key: string, value: unknown];

const Shelf = defineMachine("shelf", {
  state: () => ({ items: {} as Record<string, unknown>, writes: 0 }),
  commands: {
    put: (state, items: readonly Item[]) => {
      for (const [key, value] of items) state.items[key] = value;
      return ++state.writes;
    },
    /** As many items as one likes in a small command. */
    fill: (state, { from, count }: { from: number; count: number }) => {
      for (let i = from; i < from + count; i++) state.items[keyOf(i)] = i;
      return ++state.writes;
    },
    remove: (state, keys: readonly string[]) => {
      for (const key of keys) delete state.items[key];
      return ++state.writes;
    },
    clear: (state, _all: true) => {
      state.items = {};
      return ++state.writes;
    },
  },
  queries: {
    size: (state) => Object.keys(state.items).length,
    writes: (state) => state.writes,
    get: (state, key: string) => state.items[key] ?? null,
    /** In no order. */
    all: (state) => JSON.stringify(Object.entries(state.items).sort(([a], [b]) => (a < b ? -1 : 1))),
  },
});
type Shelves = Group<typeof Shelf>;

const keyOf = (i: number): string => `key-${i}`;
const tuning = { snapshotEveryEntries: 8 };
/** Seconds of virtual time that a reader has, at most: 5, and 10 ms for each item. */
const limitMs = (items: number): number => 7_000 + 10 * items;

async function open(nodes: Nodes, name: string): Promise<Shelves> {
  return (await nodes.start(name)).groups.join("shelf", { expect: 1, machine: Shelf, tuning });
}

async function read(nodes: Nodes, name: string): Promise<Shelves> {
  const network = nodes.has(name) ? nodes.network(name) : await nodes.start(name);
  return network.groups.join("shelf", { leadership: "observer", machine: Shelf, tuning });
}

/** A writer, and a reader that is there from the beginning. */
async function pair(nodes: Nodes): Promise<[Shelves, Shelves]> {
  const writer = await open(nodes, "writer");
  await nodes.within(15_000, writer.when.online());
  await writer.execute({ fill: { from: 0, count: 0 } });
  const reader = await read(nodes, "reader");
  await nodes.within(15_000, reader.when.online());
  return [writer, reader];
}

const itemsOf = (from: number, count: number): Item[] =>
  Array.from({ length: count }, (_, i) => [keyOf(from + i), from + i] as const);

async function write(group: Shelves, from: number, count: number, batch: number): Promise<void> {
  for (let at = from; at < from + count; at += batch)
    await group.execute({ put: itemsOf(at, Math.min(batch, from + count - at)) });
}

const all = async (group: Shelves): Promise<string> => (await group.query("all", { consistency: "weak" })).result;
const sizeOf = async (group: Shelves): Promise<number> => (await group.query("size", { consistency: "weak" })).result;

/** All are where the first one is, and hold the same. */
async function converge(nodes: Nodes, groups: readonly Shelves[], ms: number, size?: number): Promise<void> {
  const [first] = groups as [Shelves];
  await nodes.within(
    ms,
    nodes.until(() => groups.every(({ position }) => position === first.position)),
  );
  const expected = await all(first);
  for (const group of groups) equal((await all(group)) === expected, true, "the same items");
  if (size !== undefined) equal(await sizeOf(first), size);
}

const snapshotsOf = (nodes: Nodes, name: string): { fetched: number; replaced: number } =>
  (nodes.network(name).inspect().groups[0] as { snapshots: { fetched: number; replaced: number } }).snapshots;

function play(title: string, run: (nodes: Nodes) => Promise<void>): void {
  scenario(title, run, [1]);
}

const frozen: readonly (readonly [size: number, batch: number])[] = [
  [1, 100],
  [100, 30],
  [1_000, 100],
  [10_000, 100],
  [10_000, 1_000],
  [100_000, 100],
];
for (const [size, batch] of frozen) {
  play(`29 frozen: ${size} items in batches of ${batch}, then a reader`, async (nodes) => {
    const [writer, reader] = await pair(nodes);
    await write(writer, 0, size, batch);
    const late = await read(nodes, "late");
    await nodes.within(limitMs(size), late.when.online());
    await converge(nodes, [writer, reader, late], limitMs(size), size);
  });
}

for (const size of [10_000, 100_000]) {
  play(`29 frozen: ${size} items in one command, then a reader`, async (nodes) => {
    const [writer, reader] = await pair(nodes);
    await writer.execute({ fill: { from: 0, count: size } });
    for (let i = 0; i < 40; i++) await writer.execute({ put: [["last", i]] });
    const late = await read(nodes, "late");
    await converge(nodes, [writer, reader, late], limitMs(size), size + 1);
    ok(snapshotsOf(nodes, "late").fetched > 0, "by snapshot");
  });
}

const during: readonly (readonly [initial: number, extra: number, batch: number])[] = [
  [100, 50, 100],
  [1_000, 500, 100],
  [100_000, 5_000, 100],
  [100_000, 5_000, 1_000],
];
for (const [initial, extra, batch] of during) {
  for (const isOne of [true, false]) {
    const how = isOne ? "one command" : `batches of ${batch}`;
    play(`30 writes_during_sync: ${initial} in ${how}, ${extra} more while a reader comes`, async (nodes) => {
      const [writer, reader] = await pair(nodes);
      if (isOne) await writer.execute({ fill: { from: 0, count: initial } });
      else await write(writer, 0, initial, batch);
      const late = await read(nodes, "late");
      await write(writer, initial, extra, batch);
      await converge(nodes, [writer, reader, late], limitMs(initial + extra), initial + extra);
    });
  }
}

play("31 empty: nothing to be had, and that is had", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  const late = await read(nodes, "late");
  await nodes.within(5_000, late.when.online());
  await converge(nodes, [writer, reader, late], 2_000, 0);
});

play("31 single_entry: one item, for one that comes late", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  await writer.execute({ put: [["only", "one"]] });
  const late = await read(nodes, "late");
  await converge(nodes, [writer, reader, late], 5_000, 1);
  equal((await late.query({ get: "only" }, { consistency: "weak" })).result, "one");
});

play("31 reader_before_writer: it waits, and gets all", async (nodes) => {
  const reader = await read(nodes, "reader");
  await nodes.sleep(3_000);
  equal(reader.state, "joining");
  const writer = await open(nodes, "writer");
  await nodes.within(15_000, writer.when.online());
  await write(writer, 0, 100, 10);
  await nodes.within(15_000, reader.when.online());
  await converge(nodes, [writer, reader], 5_000, 100);
});

for (const [size, batch] of [
  [10, 10_000],
  [100, 100_000],
  [100, 1],
  [1_000, 1],
] as const) {
  play(`32 extreme_batch_sizes: ${size} items in batches of ${batch}`, async (nodes) => {
    const [writer, reader] = await pair(nodes);
    await write(writer, 0, size, batch);
    const late = await read(nodes, "late");
    await converge(nodes, [writer, reader, late], limitMs(size), size);
  });
}

play("33 many_readers: five come at once to 1,000 items", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  await write(writer, 0, 1_000, 100);
  const late: Shelves[] = [];
  for (let i = 0; i < 5; i++) late.push(await read(nodes, `late ${i}`));
  await nodes.within(15_000, Promise.all(late.map((group) => group.when.online())));
  await converge(nodes, [writer, reader, ...late], 10_000, 1_000);
});

play("34 incremental_after_convergence: 500, and then 500 one by one", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  await write(writer, 0, 500, 100);
  const late = await read(nodes, "late");
  await converge(nodes, [writer, reader, late], limitMs(500), 500);
  await write(writer, 500, 500, 1);
  await converge(nodes, [writer, reader, late], 5_000, 1_000);
});

play("35 concurrent_reads_during_sync: whoever reads meanwhile sees whole commands", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  await write(writer, 0, 10_000, 100);
  const late = await read(nodes, "late");
  const seen = new Set<number>();
  const isDone = (): boolean => late.position === writer.position;
  while (!isDone()) {
    // Before it has any state it says so.
    const read = await late.query("size", { consistency: "weak" }).catch(() => undefined);
    if (read !== undefined) {
      equal(read.result, Math.max(0, read.position - 1) * 100, "each command has a hundred items");
      seen.add(read.position);
    }
    await nodes.sleep(1);
  }
  ok(seen.size > 0);
  await converge(nodes, [writer, reader, late], 5_000, 10_000);
});

for (const [initial, extra, batch] of [
  [1_000, 500, 100],
  [10_000, 5_000, 100],
  [10_000, 5_000, 1_000],
] as const) {
  play(`36 extend_during_snapshot_sync: ${initial} and ${extra} more in batches of ${batch}`, async (nodes) => {
    const [writer, reader] = await pair(nodes);
    await write(writer, 0, initial, batch);
    for (let i = 0; i < 40; i++) await writer.execute({ put: [[keyOf(0), 0]] });
    const late = await read(nodes, "late");
    await nodes.within(
      15_000,
      nodes.until(() => late.state !== "joining" || late.leader !== undefined),
    );
    await write(writer, initial, extra, batch);
    await converge(nodes, [writer, reader, late], limitMs(initial + extra), initial + extra);
    ok(snapshotsOf(nodes, "late").fetched > 0, "by snapshot");
  });
}

play("37 clear_and_repopulate: 500, none, 200", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  await write(writer, 0, 500, 100);
  await writer.execute({ clear: true });
  await converge(nodes, [writer, reader], 2_000, 0);
  await write(writer, 1_000, 200, 10);
  const late = await read(nodes, "late");
  await converge(nodes, [writer, reader, late], 5_000, 200);
});

play("37 mixed_mutations: overwritten, overlapping, removed, and removed though missing", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  await write(writer, 0, 300, 50);
  await writer.execute({ put: itemsOf(0, 100).map(([key]) => [key, "again"] as const) });
  await write(writer, 250, 100, 25);
  await writer.execute({ remove: [keyOf(1), keyOf(2), "never there"] });
  await writer.execute({ put: [["naïve ключ 🗝", "text"]] });
  const late = await read(nodes, "late");
  await converge(nodes, [writer, reader, late], 5_000, 349);
  const get = async (key: string): Promise<unknown> => (await late.query({ get: key }, { consistency: "weak" })).result;
  deepEqual(
    [await get(keyOf(0)), await get(keyOf(1)), await get(keyOf(300)), await get("naïve ключ 🗝")],
    ["again", null, 300, "text"],
  );
});

play("37 large_values: a hundred of 10 KB, ten at a time", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  for (let at = 0; at < 100; at += 10)
    await writer.execute({ put: itemsOf(at, 10).map(([key]) => [key, key.repeat(10_240 / key.length)] as const) });
  const late = await read(nodes, "late");
  await converge(nodes, [writer, reader, late], 30_000, 100);
});

play("38 recreate_reader: it leaves at 100 items, and comes back on the same node to 200", async (nodes) => {
  const [writer, reader] = await pair(nodes);
  await write(writer, 0, 100, 10);
  await converge(nodes, [writer, reader], 5_000, 100);
  await reader.close();
  await write(writer, 100, 100, 10);
  const again = await read(nodes, "reader");
  await nodes.within(10_000, again.when.online());
  await converge(nodes, [writer, again], 10_000, 200);
});

// ── Not in the reference ──

const VOTERS = ["ada", "bob", "cyd"];

/** Three voters; the leader comes first. */
async function three(nodes: Nodes): Promise<{ groups: [Shelves, Shelves, Shelves]; names: string[] }> {
  const groups: Shelves[] = [];
  for (const name of VOTERS)
    groups.push((await nodes.start(name)).groups.join("shelf", { expect: 3, machine: Shelf, tuning }));
  await Promise.all(groups.map((group) => group.when.online()));
  const leads = groups.findIndex(({ isLeader }) => isLeader);
  const order = [0, 1, 2].map((i) => (leads + i) % 3);
  return {
    groups: order.map((i) => groups[i]) as [Shelves, Shelves, Shelves],
    names: order.map((i) => VOTERS[i] as string),
  };
}

const value = "x".repeat(60_000);

for (const afterMs of [2, 5, 10, 20, 40]) {
  play(`a source that dies ${afterMs} ms after a reader came is replaced`, async (nodes) => {
    const { groups, names } = await three(nodes);
    const [leader] = groups;
    for (let i = 0; i < 60; i++) await leader.execute({ put: [[keyOf(i), value]] });
    await nodes.within(
      5_000,
      nodes.until(() => groups.every(({ position }) => position === 60)),
    );
    const late = await read(nodes, "late");
    await nodes.within(
      5_000,
      nodes.until(() => late.leader !== undefined),
    );
    await nodes.sleep(afterMs);
    nodes.kill(names[1] as string);
    await converge(nodes, [leader, groups[2], late], 20_000, 60);
    ok(snapshotsOf(nodes, "late").fetched > 0, "by snapshot");
  });
}

play("a command that is sent again after its sender got a snapshot is applied once", async (nodes) => {
  const { groups, names } = await three(nodes);
  const [leader, follower] = groups;
  await leader.execute({ put: [["a", 1]] });
  await follower.execute({ put: [["b", 1]] });
  // On its way when the wire is cut, so its sender does not hear that it was applied.
  const calls = Array.from({ length: 20 }, (_, i) => follower.execute({ put: [[`c${i}`, i]] }, { timeoutMs: 60_000 }));
  const settled = Promise.allSettled(calls);
  await nodes.sleep(0.6);
  const rest = names.filter((name) => name !== names[1]);
  nodes.cut([names[1] as string], rest);
  for (let i = 0; i < 60; i++) await leader.execute({ put: [["d", i]] });
  // Until its connections are given up: what is on its way would come after all.
  await nodes.sleep(12_000);
  nodes.heal();
  await settled;
  await converge(nodes, groups, 20_000);
  const { result, position } = await leader.query("writes");
  equal(result, position, "each command counts once");
  equal(position, 82);
  ok(snapshotsOf(nodes, names[1] as string).fetched > 0, "by snapshot");
  for (const outcome of await settled) {
    if (outcome.status === "rejected") equal((outcome.reason as { code: string }).code, "result-unavailable");
  }
});
