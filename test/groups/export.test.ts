import { deepEqual, equal, notEqual, ok, rejects, throws } from "node:assert/strict";
import { test } from "node:test";
import { MosaikError } from "../../src/env/index.ts";
import { ExportReader } from "../../src/groups/founding/export.ts";
import { type AnyMachine, defineMachine, defineStateMachine } from "../../src/groups/index.ts";
import { ChunkList } from "../../src/groups/machine/index.ts";
import { SimDisk } from "../../src/storage/index.ts";
import { DecodeError } from "../../src/wire/index.ts";
import { Counter, type Counters, expectErrors, Nodes, scenario } from "./nodes.ts";

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Uint8Array.from(Buffer.concat(chunks));
}

/** In a network of its own: another group. */
async function importing(nodes: Nodes, name: string, from: Iterable<Uint8Array>): Promise<Counters> {
  const network = await nodes.start(name, { network: "restored", bootstrap: [] });
  return network.groups.join("counter", { expect: 1, machine: Counter, from });
}

const STOPPED = "the group's member stopped";

interface Inspected {
  readonly incarnation: string | undefined;
  readonly sessions: number;
  readonly voters: readonly string[];
}
const inspect = (nodes: Nodes, name: string): Inspected => nodes.network(name).inspect().groups[0] as Inspected;
const countOf = async (group: Counters): Promise<number> => (await group.query("value")).result;

scenario("what any member exports makes another group, which goes on with state and position", async (nodes) => {
  const [ada, bob] = (await nodes.online(["ada", "bob", "cyd"])) as [Counters, Counters];
  for (let i = 1; i <= 30; i++) await ada.execute({ add: i });
  await nodes.within(5_000, bob.when.reaches(30));
  const bytes = await bytesOf(bob.export());
  await ada.execute({ add: 1_000 });

  const dan = await importing(nodes, "dan", [bytes.subarray(0, 7), bytes.subarray(7)]);
  await nodes.within(20_000, dan.when.online());
  equal(dan.position, 30);
  equal(await countOf(dan), 465);
  deepEqual(await dan.execute({ add: 1 }), { position: 31, result: 466 });
  equal(inspect(nodes, "dan").sessions, 1, "the sessions of the other group are not its own");
  notEqual(inspect(nodes, "dan").incarnation, inspect(nodes, "ada").incarnation);

  const others: Counters[] = [];
  for (const name of ["eve", "fay"]) {
    const network = await nodes.start(name, { network: "restored" });
    others.push(network.groups.join("counter", { expect: 1, machine: Counter }));
  }
  await nodes.within(
    30_000,
    nodes.until(() => inspect(nodes, "dan").voters.length === 3),
  );
  equal((await (others[0] as Counters).execute({ add: 1 })).result, 467);
});

scenario(
  "an export is of one position, however slowly it is read, and a member without a quorum can give one",
  async (nodes) => {
    const [ada, bob, cyd] = (await nodes.online(["ada", "bob", "cyd"])) as [Counters, Counters, Counters];
    await ada.execute({ add: 5 });
    const reading = ada.export()[Symbol.asyncIterator]();
    const first = await reading.next();
    for (const group of [ada, bob, cyd]) await group.execute({ add: 1 });
    const chunks = [first.value as Uint8Array];
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) chunks.push(next.value);
    nodes.kill("bob");
    nodes.kill("cyd");
    await nodes.within(20_000, ada.when.noQuorum());
    const later = await bytesOf(ada.export());

    const then = await importing(nodes, "dan", chunks);
    await nodes.within(20_000, then.when.online());
    deepEqual([then.position, await countOf(then)], [1, 5]);
    nodes.kill("dan");
    const now = await importing(nodes, "eve", [later]);
    await nodes.within(20_000, now.when.online());
    deepEqual([now.position, await countOf(now)], [4, 8]);
  },
);

scenario("an imported group is durable once it is online, and needs its source no more", async (nodes) => {
  expectErrors(nodes, STOPPED);
  const [ada] = (await nodes.online(["ada"])) as [Counters];
  await ada.execute({ add: 5 });
  const bytes = await bytesOf(ada.export());
  const disk = new SimDisk("dan", nodes.world.random.fork("disk"));
  const start = async (from: Iterable<Uint8Array> | undefined): Promise<Counters> => {
    const network = await nodes.start("dan", { network: "restored", bootstrap: [], disk });
    return network.groups.join("counter", { expect: 1, machine: Counter, from });
  };
  const dan = await start([bytes]);
  await nodes.within(20_000, dan.when.online());
  await dan.execute({ add: 1 });
  nodes.kill("dan");
  disk.crash();
  const again = await start(undefined);
  await nodes.within(20_000, again.when.online());
  deepEqual([again.position, await countOf(again)], [2, 6]);
  nodes.kill("dan");
  disk.crash();
  await refuses(nodes, await start([bytes]), "group-exists");
});

async function refuses(nodes: Nodes, group: Counters, reason: string): Promise<void> {
  const cause = await nodes.within(20_000, group.closed);
  ok(MosaikError.is(cause, "snapshot-refused"), String(cause));
  equal(cause.details.reason, reason);
  await rejects(group.execute({ add: 1 }), { code: "snapshot-refused" });
}

scenario("what is no whole export of this machine makes no group, and stores nothing", async (nodes) => {
  expectErrors(nodes, ...Array.from({ length: 7 }, () => STOPPED));
  const [ada] = (await nodes.online(["ada"])) as [Counters];
  await ada.execute({ add: 5 });
  const bytes = await bytesOf(ada.export());
  const flipped = Uint8Array.from(bytes);
  flipped[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  const newer = Uint8Array.from(bytes);
  newer[8] = 9;
  const cases: readonly (readonly [reason: string, bytes: Uint8Array])[] = [
    ["damaged", flipped],
    ["damaged", bytes.subarray(0, -1)],
    ["damaged", Uint8Array.of()],
    ["damaged", new TextEncoder().encode("something else that is long enough to hold a hash at its end")],
    ["newer-version", newer],
  ];
  const disk = new SimDisk("dan", nodes.world.random.fork("disk"));
  for (const [reason, wrong] of cases) {
    const network = await nodes.start("dan", { network: "restored", bootstrap: [], disk });
    await refuses(nodes, network.groups.join("counter", { expect: 1, machine: Counter, from: [wrong] }), reason);
    await network.close();
  }
  const Other = defineMachine("other", { state: () => ({}), commands: {}, queries: {} });
  const network = await nodes.start("dan", { network: "restored", bootstrap: [], disk });
  const other = network.groups.join("counter", { expect: 1, machine: Other, from: [bytes] });
  equal(((await other.closed) as MosaikError<"snapshot-refused">).details.reason, "other-machine");
  const failing = (async function* (): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 20);
    throw new Error("the tape is torn");
  })();
  const torn = network.groups.join("counter", { expect: 1, machine: Counter, from: failing });
  await refuses(nodes, torn, "source-failed");
  equal(((await torn.closed)?.cause as Error | undefined)?.message, "the tape is torn");

  const empty = network.groups.join("counter", { expect: 1, machine: Counter });
  await nodes.within(20_000, empty.when.online());
  equal(empty.position, 0);
});

scenario("a machine without snapshots, or that takes none, makes no group of an export", async (nodes) => {
  const apply = (): undefined => undefined;
  const query = (): number => 0;
  const machines: readonly AnyMachine[] = [
    defineMachine("counter", { state: () => ({}), commands: {}, snapshot: false }),
    defineStateMachine("counter", { create: () => ({ apply, query, restore: () => undefined }) }),
    defineStateMachine("counter", { create: () => ({ apply, query, snapshot: () => [] }) }),
  ];
  expectErrors(nodes, ...machines.map(() => STOPPED));
  const [ada] = (await nodes.online(["ada"])) as [Counters];
  await ada.execute({ add: 5 });
  const bytes = await bytesOf(ada.export());
  const network = await nodes.start("dan", { network: "restored", bootstrap: [] });
  for (const machine of machines) {
    const dan = network.groups.join("counter", { expect: 1, machine, from: [bytes] });
    const cause = (await nodes.within(20_000, dan.closed)) as MosaikError<"snapshot-refused"> | undefined;
    deepEqual([cause?.code, cause?.details.reason], ["snapshot-refused", "no-snapshot"]);
  }
});

scenario("a member whose source never answers closes all the same", async (nodes) => {
  const network = await nodes.start("dan");
  let wasEnded = false;
  const from: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: () => {
        wasEnded = true;
        return new Promise(() => {});
      },
    }),
  };
  const dan = network.groups.join("counter", { expect: 1, machine: Counter, from });
  await nodes.sleep(1_000);
  await nodes.within(5_000, dan.close());
  ok(wasEnded);
});

scenario("a group that exists is not imported again: not in its sight, and not over its own store", async (nodes) => {
  expectErrors(nodes, STOPPED);
  const [ada] = (await nodes.online(["ada"])) as [Counters];
  await ada.execute({ add: 5 });
  const bytes = await bytesOf(ada.export());
  const network = await nodes.start("bob");
  const bob = network.groups.join("counter", { expect: 1, machine: Counter, from: [bytes] });
  await refuses(nodes, bob, "group-exists");
  const { groups } = nodes.network("ada");
  throws(() => groups.join("counter", { expect: 1, machine: Counter, from: [bytes] }), { code: "definition-conflict" });
  throws(() => network.groups.join("other", { expect: 3, machine: Counter, from: [bytes] }), { code: "bad-option" });
  throws(() => network.groups.join("other", { expect: 1, machine: Counter, from: 5 as never }), { code: "bad-option" });
  equal((await ada.execute({ add: 1 })).result, 6);
});

test("an export is whole, however it is cut, or it is refused", async () => {
  let bytes = new Uint8Array(0);
  const nodes = new Nodes(1);
  await nodes.world.run(async () => {
    const [ada] = (await nodes.online(["ada"])) as [Counters];
    await ada.execute({ add: 5 });
    bytes = Uint8Array.from(await bytesOf(ada.export()));
    await nodes.closeAll();
  });
  const read = (whole: Uint8Array, size: number): number => {
    const reader = new ExportReader(new ChunkList());
    for (let at = 0; at < whole.length; at += size) reader.push(whole.subarray(at, at + size));
    return reader.end().position;
  };
  for (const size of [1, 3, 31, 32, 33, 1_000]) equal(read(bytes, size), 1);
  for (let length = 0; length < bytes.length; length++) throws(() => read(bytes.subarray(0, length), 50), DecodeError);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const wrong = Uint8Array.from(bytes);
    wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
    if (bit >> 3 === 8) throws(() => read(wrong, 50));
    else throws(() => read(wrong, 50), DecodeError);
  }
});
