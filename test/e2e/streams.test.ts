import { deepEqual, equal, ok } from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { defineStream, Network, type NetworkOptions, type Producer } from "../../src/index.ts";
import type { Figures, StreamProcessOptions } from "./stream-process.ts";

// Real sockets and real time: each wait has its own deadline, far beyond what it takes.
const DEADLINE_MS = 90_000;
const within = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(DEADLINE_MS) });

interface Parcel {
  readonly number: number;
  readonly pad?: Uint8Array;
}
const Parcels = defineStream<Parcel>("parcels");
const open: Network[] = [];
const children = new Set<ChildProcess>();
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(open.map((network) => network.close()));
});

async function start(options: NetworkOptions = {}): Promise<Network> {
  const network = await Network.create("e2e streams", { logger: false, listen: "127.0.0.1:0", ...options });
  open.push(network);
  return network;
}

/** A process with nodes of its own, up. */
async function spawn(
  options: Partial<StreamProcessOptions> & { readonly network: NetworkOptions },
): Promise<ChildProcess> {
  const path = fileURLToPath(new URL("./stream-process.ts", import.meta.url));
  const whole = { nodes: 1, produces: undefined, consumers: 0, ...options };
  const child = fork(path, [JSON.stringify(whole)], { execArgv: ["--import", "tsx"], stdio: "inherit" });
  children.add(child);
  await once(child, "message", within());
  return child;
}

async function figuresOf(child: ChildProcess): Promise<Figures[]> {
  child.send("figures");
  const [figures] = (await once(child, "message", within())) as [Figures[]];
  return figures;
}

/** Asks again and again until all its consumers have that value. */
async function untilLast(child: ChildProcess, number: number): Promise<Figures[]> {
  const { signal } = within();
  for (;;) {
    const figures = await figuresOf(child);
    if (figures.every(({ last }) => last >= number)) return figures;
    signal.throwIfAborted();
  }
}

async function close(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit", within());
  child.send("close");
  deepEqual(await exited, [0, null]);
  children.delete(child);
}

const bootstrapOf = (network: Network): NetworkOptions => ({
  listen: "127.0.0.1:0",
  bootstrap: network.status().addresses,
});

const pad = new Uint8Array(64 * 1024);

/** A producer with two consumers in processes of their own, one of which is stopped. */
async function withStopped(
  lagging: "drop-oldest" | "wait",
): Promise<{ producer: Producer<Parcel>; stopped: ChildProcess; other: ChildProcess }> {
  const ada = await start();
  const producer = ada.streams.produce(Parcels, { lagging, maxQueued: 16 });
  const spawnOne = (): Promise<ChildProcess> => spawn({ network: bootstrapOf(ada), consumers: 1 });
  const [stopped, other] = await Promise.all([spawnOne(), spawnOne()]);
  await producer.when.subscribed({ minimumOf: 2, ...within() });
  stopped.kill("SIGSTOP");
  return { producer, stopped, other };
}

describe("streams over TLS, between processes", () => {
  it("one producer serves 50 consumers, each with all values in order", async () => {
    const ada = await start();
    const producer = ada.streams.produce(Parcels, { lagging: "wait" });
    const network = bootstrapOf(ada);
    const spawned = await Promise.all([1, 2, 3, 4, 5].map(() => spawn({ network, consumers: 10 })));
    await producer.when.subscribed({ minimumOf: 50, ...within() });
    await producer.sendMany(
      Array.from({ length: 500 }, (_, i) => ({ number: i + 1 })),
      within(),
    );
    for (const child of spawned) {
      const figures = await untilLast(child, 500);
      deepEqual(
        figures,
        Array.from({ length: 10 }, () => ({ received: 500, missed: 0, isOrdered: true, last: 500 })),
      );
    }
    await Promise.all(spawned.map(close));
    await producer.when.offline(within());
    await producer.close();
  });

  it("one consumer hears 50 producers on 50 nodes, and no value of any is lost while they wait for it", async () => {
    const ada = await start();
    const consumer = ada.streams.consume(Parcels, { maxQueued: 16 });
    const network = bootstrapOf(ada);
    const spawned = await Promise.all([1, 2, 3, 4, 5].map(() => spawn({ network, nodes: 10, produces: 100 })));
    // A link that its producer has, and we do not yet, may come to nothing where so much begins at once, and takes with it what was sent.
    await consumer.when.subscribed({ minimumOf: 50, ...within() });
    for (const child of spawned) child.send("send");
    const last = new Map<string, number>();
    let received = 0;
    for await (const { value, from, missed } of consumer.messages(within())) {
      equal(missed, 0);
      equal(value.number, (last.get(from) ?? 0) + 1);
      last.set(from, value.number);
      if (++received === 5_000) break;
    }
    equal(last.size, 50);
    await Promise.all(spawned.map(close));
  });

  it("a consumer that is stopped costs the others nothing where its producer drops values, and hears how many", async () => {
    const { producer, stopped, other } = await withStopped("drop-oldest");
    // More than all buffers between the two hold. The one that reads is given the time to.
    const count = 600;
    for (let number = 1; number <= count; number++) {
      await producer.send({ number, pad }, within());
      if (number % 8 === 0) await untilLast(other, number);
    }
    deepEqual(await figuresOf(other), [{ received: count, missed: 0, isOrdered: true, last: count }]);
    stopped.kill("SIGCONT");
    const [late] = await untilLast(stopped, count);
    ok(late !== undefined && late.missed > 0 && late.isOrdered, "some were dropped");
    equal(late.received + late.missed, count);
    await Promise.all([close(stopped), close(other)]);
    await producer.close();
  });

  it("a consumer that is stopped holds up all where its producer waits, until it is gone", async () => {
    const { producer, stopped, other } = await withStopped("wait");
    let number = 0;
    // Whatever the other one has read, there is no room: so it is the stopped one that it waits for.
    for (let isHeldUp = false; !isHeldUp && number < 5_000; ) {
      while (producer.trySend({ number: number + 1, pad }) === "queued") number++;
      await untilLast(other, number);
      isHeldUp = producer.trySend({ number: number + 1, pad }) === "full";
      if (!isHeldUp) number++;
    }
    ok(number < 5_000, "it never waited");
    const sending = producer.send({ number: number + 1 }, within());
    stopped.kill("SIGKILL");
    children.delete(stopped);
    await sending;
    const figures = await untilLast(other, number + 1);
    deepEqual(figures, [{ received: number + 1, missed: 0, isOrdered: true, last: number + 1 }]);
    await close(other);
    await producer.close();
  });

  it("values that make no sense end that link with 400, are counted, and disturb nobody else", async () => {
    const ada = await start();
    const consumer = ada.streams.consume(Parcels);
    const Garbage = defineStream<number>("parcels", {
      codec: { name: "msgpack/1", encode: () => Uint8Array.of(0xc1), decode: () => 0 },
    });
    const eve = await start({ bootstrap: ada.status().addresses });
    const bob = await start({ bootstrap: ada.status().addresses });
    const hostile = eve.streams.produce(Garbage);
    const honest = bob.streams.produce(Parcels);
    await consumer.when.subscribed({ minimumOf: 2, ...within() });
    await hostile.send(1, within());
    await hostile.when.offline(within());
    await honest.send({ number: 7 }, within());
    deepEqual(await consumer.receive(within()), { number: 7 });
    const { consumers } = ada.inspect().streams as {
      consumers: { producers: { peer: string; lastCode?: number }[] }[];
    };
    const codes = consumers[0]?.producers.map(({ peer, lastCode }) => [peer === eve.peerId, lastCode]);
    deepEqual(
      codes?.filter(([isEve]) => isEve),
      [[true, 400]],
    );
    ok(/^mosaik_streams_consumer_items_invalid\{.*\} 1$/m.test(ada.metrics()));
    await Promise.all([consumer.close(), hostile.close(), honest.close()]);
  });

  it("a producer that is killed and comes back with its identity is heard again", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "mosaik-e2e-streams-"));
    try {
      const ada = await start();
      const consumer = ada.streams.consume(Parcels);
      const network = { ...bootstrapOf(ada), dataDir };
      const first = await spawn({ network, produces: 1 });
      first.send("send");
      equal((await consumer.receive(within())).number, 1);
      const id = consumer.producers[0]?.peer.id;
      const killed = once(first, "exit");
      first.kill("SIGKILL");
      await killed;
      children.delete(first);
      const second = await spawn({ network, produces: 1 });
      second.send("send");
      const messages = consumer.messages({ keepOpen: true, ...within() })[Symbol.asyncIterator]();
      const { value: message } = await messages.next();
      deepEqual([message?.value.number, message?.from, message?.missed], [1, id, 0]);
      await close(second);
      await consumer.close();
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
