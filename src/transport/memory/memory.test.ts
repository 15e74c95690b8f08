import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { type Env, type Random, realEnv, VirtualWorld } from "../../env/index.ts";
import { transportConformance } from "../conformance.ts";
import {
  connect,
  Node,
  never,
  newIdentity,
  PROTOCOL,
  Reader,
  sequence,
  sizesUpTo,
  type TransportBench,
  Writer,
} from "../conformance-kit.ts";
import { DialError, type DialFailure, type Transport } from "../types.ts";
import type { Conditions } from "./conditions.ts";
import { MemoryNetwork } from "./network.ts";

transportConformance("memory, real time", () => bench(realEnv(), (story) => story()));
transportConformance("memory, virtual time", () => {
  const world = new VirtualWorld({ seed: 1 });
  return bench(world.env("all"), (story) => world.run(story));
});
transportConformance("memory, virtual time, slow and choppy", () => {
  const world = new VirtualWorld({ seed: 2 });
  return bench(world.env("all"), (story) => world.run(story), choppy(world.random.fork("wire")));
});

/** Delays up to 3 ms, and cuts anywhere. */
function choppy(random: Random): Conditions {
  return {
    delayUs: () => random.below(3_000),
    cutAt: (_from, _to, length) => (random.below(4) === 0 ? 1 + random.below(length) : length),
  };
}

interface MemoryBench extends TransportBench {
  readonly network: MemoryNetwork;
}

function bench(
  env: Env,
  run: (story: () => Promise<void>) => Promise<void>,
  conditions: Conditions = {},
  envOf: (address: string) => Env = () => env,
): MemoryBench {
  const transports: Transport[] = [];
  const network = new MemoryNetwork({
    conditions: {
      ...conditions,
      isBlocked: (from, to) => to === "mute:1" || conditions.isBlocked?.(from, to) === true,
    },
  });
  return {
    env,
    network,
    make(identity, address = `node:${transports.length + 1}`) {
      const transport = network.transport({ env: envOf(address), identity, address });
      transports.push(transport);
      return transport;
    },
    nobody: async () => "nobody:1",
    mute: async () => "mute:1",
    run: (story) =>
      run(async () => {
        await story();
        await Promise.all(transports.map((transport) => transport.close()));
      }),
    close: async () => assert.equal(network.connectionCount, 0, "nothing is left"),
  };
}

/** A bench in virtual time whose nodes have environments of their own, named by their addresses; and a switch for the wire. */
function faults(title: string, story: (world: FaultWorld) => Promise<void>): void {
  test(title, async () => {
    const world = new VirtualWorld({ seed: 7 });
    const wire = { isCut: false, bytesPerSecond: undefined as number | undefined };
    const conditions: Conditions = {
      delayUs: () => 1_000,
      isBlocked: (from, to) => wire.isCut && (from === "node:1" || to === "node:1"),
      bytesPerSecond: () => wire.bytesPerSecond,
    };
    const run = (inner: () => Promise<void>): Promise<void> => world.run(inner);
    const nodes = bench(world.env("sim"), run, conditions, (address) => world.env(address));
    const sleep = (delayMs: number): Promise<void> =>
      new Promise((resolve) => void world.env("sim").after(delayMs, resolve));
    await nodes.run(() => story({ ...nodes, world, wire, sleep }));
  });
}

interface FaultWorld extends MemoryBench {
  readonly world: VirtualWorld;
  readonly wire: { isCut: boolean; bytesPerSecond: number | undefined };
  sleep(delayMs: number): Promise<void>;
}

const isDialError = (failure: DialFailure) => (error: unknown) =>
  error instanceof DialError && error.failure === failure;

suite("memory: faults", () => {
  faults("a partition holds bytes back, and they come in order after the heal", async (bench) => {
    const { near, far } = await connect(bench);
    const [here, there] = [new Reader(near), new Reader(far)];
    near.write(Buffer.from("before "));
    await there.until(() => there.length === 7);
    bench.wire.isCut = true;
    near.write(Buffer.from("during "));
    far.write(Buffer.from("and back"));
    await bench.sleep(60_000);
    near.write(Buffer.from("late"));
    assert.deepEqual([there.length, here.length], [7, 0]);
    bench.wire.isCut = false;
    bench.network.wake();
    await there.until(() => there.length === 18);
    await here.until(() => here.length === 8);
    assert.deepEqual([there.text, here.text], ["before during late", "and back"]);
  });

  faults("what is sent into a partition is bounded by backpressure", async (bench) => {
    const { near, far } = await connect(bench);
    bench.wire.isCut = true;
    const total = 8 * 1024 * 1024;
    const writer = new Writer(near, total, () => 10_000);
    const there = new Reader(far);
    await bench.sleep(1_000);
    assert(!writer.isDone && near.bufferedBytes < 300_000, `${near.bufferedBytes}`);
    bench.wire.isCut = false;
    bench.network.wake();
    await there.ended();
    assert(Buffer.from(there.bytes).equals(sequence(0, total)));
  });

  faults("a dial into a partition times out, and a later one succeeds", async (bench) => {
    const a = await Node.listening(bench);
    const b = await Node.listening(bench);
    bench.wire.isCut = true;
    const before = bench.world.nowUs;
    await assert.rejects(a.dial(b), isDialError("unreachable"));
    assert.equal(bench.world.nowUs - before, 5_000_000);
    bench.wire.isCut = false;
    bench.network.wake();
    await a.dial(b);
    assert.equal((await b.next()).remoteId, a.identity.peerId);
    assert.equal(b.incomingCount, 1, "the first dial was given up");
  });

  faults("a partition in the middle of a handshake frees both ends", async (bench) => {
    const a = await Node.listening(bench);
    const b = await Node.listening(bench);
    const dialling = a.dial(b);
    await bench.sleep(1.5); // the hello has arrived, the verdict has not
    bench.wire.isCut = true;
    await assert.rejects(dialling, isDialError("unreachable"));
    await bench.sleep(1);
    assert.equal(b.transport.counters.handshakesTimedOut, 1);
    assert.equal(bench.network.connectionCount, 0);
  });

  faults("a reset reaches both ends", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const ends = [new Reader(near), new Reader(far)];
    bench.network.reset(b.address, a.address);
    for (const end of ends) {
      await end.closed();
      assert(end.closes[0] instanceof Error);
    }
  });

  faults("a reset in the middle of a handshake fails the dial", async (bench) => {
    const a = await Node.listening(bench);
    const b = await Node.listening(bench);
    const failed = assert.rejects(a.dial(b), isDialError("handshake-failed"));
    await bench.sleep(1.5);
    bench.network.reset(a.address, b.address);
    await failed;
    assert.equal(b.incomingCount, 0);
  });

  faults("a half-open connection carries nothing, while a new one works", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const [here, there] = [new Reader(near), new Reader(far)];
    bench.network.halfOpen(a.address, b.address);
    near.write(Buffer.from("into the void"));
    near.destroy();
    await bench.sleep(3_600);
    assert.deepEqual([here.closes.length, there.closes.length, there.length], [1, 0, 0]);
    const again = await a.dial(b);
    new Reader(again).connection.write(Buffer.from("hello"));
    const reader = new Reader(await b.next());
    await reader.until(() => reader.length === 5);
  });

  faults("a process that is killed resets its peers; its next life takes the address", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const here = new Reader(near);
    const there = new Reader(far);
    far.write(Buffer.from("last words"));
    const { address } = b;
    bench.world.node(address).crash();
    bench.network.crash(address);
    await here.closed();
    assert(here.closes[0] instanceof Error);
    assert.equal(here.text, "last words", "what had left arrives");
    assert.deepEqual(there.closes, [], "the dead hear nothing");
    await assert.rejects(
      a.transport.dial({ id: undefined, addresses: [address] }, PROTOCOL, { signal: never() }),
      isDialError("unreachable"),
    );
    const next = await Node.listening(bench, address);
    await a.dial(next);
    await next.next();
  });

  faults("a machine that loses its power says nothing, until it is back and asked", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const here = new Reader(near);
    new Reader(far);
    const { address } = b;
    bench.world.node(address).crash();
    bench.network.crash(address, { silent: true });
    near.write(Buffer.from("are you there?"));
    const before = bench.world.nowUs;
    const peer = { id: undefined, addresses: [address] };
    await assert.rejects(a.transport.dial(peer, PROTOCOL, { signal: never() }), isDialError("unreachable"));
    assert.equal(bench.world.nowUs - before, 5_000_000, "nobody even refuses");
    assert.equal(here.closes.length, 0);
    await Node.listening(bench, address);
    await here.closed();
    assert(here.closes[0] instanceof Error);
    assert.equal(here.length, 0);
  });

  faults("a paused node answers when it goes on", async (bench) => {
    const { b, near, far } = await connect(bench);
    const [here, there] = [new Reader(near), new Reader(far)];
    bench.world.node(b.address).pause();
    near.write(Buffer.from("x"));
    await bench.sleep(10_000);
    assert.equal(there.length, 0);
    bench.world.node(b.address).resume();
    await there.until(() => there.length === 1);
    assert.deepEqual([here.closes, there.closes], [[], []]);
  });

  faults("a slow wire takes its time", async (bench) => {
    const { near, far } = await connect(bench);
    const there = new Reader(far);
    bench.wire.bytesPerSecond = 100_000;
    const before = bench.world.nowUs;
    near.write(sequence(0, 200_000));
    await there.until(() => there.length === 200_000);
    assert.equal(bench.world.nowUs - before, 2_001_000);
    assert(Buffer.from(there.bytes).equals(sequence(0, 200_000)));
  });
});

suite("memory: determinism", () => {
  /** Two nodes exchange a lot over a choppy wire; the digest is of all events, and of all that was read, as it was cut. */
  async function history(seed: number): Promise<string> {
    const digest = createHash("sha256");
    const world = new VirtualWorld({ seed, onEvent: (timeUs, node) => digest.update(`${timeUs} ${node}\n`) });
    const run = (story: () => Promise<void>): Promise<void> => world.run(story);
    const nodes = bench(world.env("sim"), run, choppy(world.random.fork("wire")), (address) => world.env(address));
    const identities = [1, 2].map(() => newIdentity());
    await nodes.run(async () => {
      const [a, b] = identities.map((identity, i) => new Node(nodes, `node:${i + 1}`, identity)) as [Node, Node];
      await a.listen();
      await b.listen();
      const near = await a.dial(b);
      const far = await b.next();
      const ends = [new Writer(near, 300_000, sizesUpTo(9_000, 3)), new Writer(far, 200_000, sizesUpTo(500, 5))];
      for (const { reader } of ends) {
        await reader.closed();
        digest.update(reader.chunks.map(({ length }) => length).join());
        digest.update(reader.bytes);
      }
    });
    await nodes.close();
    return digest.digest("hex");
  }

  test("one seed has one history, also beside others", async () => {
    const alone = await history(1);
    const [again, other, beside] = await Promise.all([history(1), history(2), history(1)]);
    assert.deepEqual([again, beside], [alone, alone]);
    assert.notEqual(other, alone);
  });
});
