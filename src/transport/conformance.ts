import { strict as assert } from "node:assert";
import { suite, test } from "node:test";
import { MosaikError } from "../env/index.ts";
import {
  connect,
  Node,
  never,
  newIdentity,
  OTHER_PROTOCOL,
  PROTOCOL,
  passTime,
  Reader,
  sequence,
  sizesUpTo,
  type TransportBench,
  Writer,
} from "./conformance-kit.ts";
import { DialError, type DialFailure } from "./types.ts";

const MiB = 1024 * 1024;
const CONTEXT = Uint8Array.of(1, 2, 3);

/** What every transport promises. `makeBench` gives each test a world of its own. */
export function transportConformance(name: string, makeBench: () => TransportBench): void {
  const check = (title: string, story: (bench: TransportBench) => Promise<void>): void => {
    test(title, async () => {
      const bench = makeBench();
      try {
        await bench.run(() => story(bench));
      } finally {
        await bench.close();
      }
    });
  };
  suite(`${name}: handshake`, () => handshakeTests(check));
  suite(`${name}: bytes`, () => byteTests(check));
  suite(`${name}: ends`, () => endTests(check));
  suite(`${name}: life of a transport`, () => lifeTests(check));
}

type Check = (title: string, story: (bench: TransportBench) => Promise<void>) => void;

function isDialError(failure: DialFailure): (error: unknown) => true {
  return (error) => {
    assert(error instanceof DialError, `a DialError, not ${String(error)}`);
    assert.equal(error.failure, failure, error.message);
    return true;
  };
}

function handshakeTests(check: Check): void {
  check("each end knows the other's id, and the protocol", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    assert.equal(near.remoteId, b.identity.peerId);
    assert.equal(far.remoteId, a.identity.peerId);
    assert.deepEqual([near.protocol, far.protocol], [PROTOCOL, PROTOCOL]);
    assert.equal(near.remoteAddress, b.address);
  });

  check("an unknown id is learnt", async (bench) => {
    const a = await Node.listening(bench);
    const b = await Node.listening(bench);
    const peer = { id: undefined, addresses: [b.address] };
    const near = await a.transport.dial(peer, OTHER_PROTOCOL, { signal: never() });
    assert.equal(near.remoteId, b.identity.peerId);
    assert.equal((await b.next()).protocol, OTHER_PROTOCOL);
  });

  check("somebody else's id is refused as wrong-peer", async (bench) => {
    const a = await Node.listening(bench);
    const b = await Node.listening(bench);
    const peer = { id: newIdentity().peerId, addresses: [b.address] };
    await assert.rejects(a.transport.dial(peer, PROTOCOL, { signal: never() }), isDialError("wrong-peer"));
  });

  check("a protocol that the peer does not speak is alpn-refused", async (bench) => {
    const a = await Node.listening(bench);
    const b = new Node(bench);
    await b.listen([OTHER_PROTOCOL]);
    await assert.rejects(a.dial(b), isDialError("alpn-refused"));
    assert.equal(b.incomingCount, 0);
    assert.equal(b.transport.counters.handshakesFailed, 1);
  });

  check("nobody there is unreachable, and so is nonsense", async (bench) => {
    const a = await Node.listening(bench);
    const dial = (...addresses: string[]) =>
      a.transport.dial({ id: undefined, addresses }, PROTOCOL, { signal: never() });
    await assert.rejects(dial(await bench.nobody()), isDialError("unreachable"));
    await assert.rejects(dial(), isDialError("unreachable"));
    await assert.rejects(dial("no address", "", ":1", "x:99999"), isDialError("unreachable"));
    assert.equal(a.transport.counters.dialsFailed, 3);
  });

  check("addresses are tried in order until one answers", async (bench) => {
    const a = await Node.listening(bench);
    const b = await Node.listening(bench);
    const c = await Node.listening(bench);
    const addresses = [await bench.nobody(), c.address, b.address];
    const near = await a.transport.dial({ id: b.identity.peerId, addresses }, PROTOCOL, { signal: never() });
    assert.equal(near.remoteAddress, b.address);
    const wrong = a.transport.dial({ id: newIdentity().peerId, addresses }, PROTOCOL, { signal: never() });
    await assert.rejects(wrong, isDialError("wrong-peer"));
  });

  check("oneself is refused, by id and by address", async (bench) => {
    const a = await Node.listening(bench);
    const peer = { id: undefined, addresses: [a.address] };
    await assert.rejects(a.dial(a), isDialError("self"));
    await assert.rejects(a.transport.dial(peer, PROTOCOL, { signal: never() }), isDialError("self"));
    assert.equal(a.incomingCount, 0);
  });

  check("an abort ends the dial with its reason", async (bench) => {
    const a = await Node.listening(bench);
    const b = await Node.listening(bench);
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const peer = { id: undefined, addresses: [await bench.mute()] };
    const dialling = a.transport.dial(peer, PROTOCOL, { signal: controller.signal });
    await passTime(a, b, 5);
    controller.abort(reason);
    await assert.rejects(dialling, (error) => error === reason);
    await assert.rejects(a.dial(b, PROTOCOL, AbortSignal.abort(reason)), (error) => error === reason);
  });

  check("key material is equal on both ends, and differs by connection, label, context", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const again = await a.dial(b);
    const key = near.exportKey("one", CONTEXT, 32);
    assert.equal(key.length, 32);
    assert.deepEqual(far.exportKey("one", CONTEXT, 32), key);
    assert.notDeepEqual(again.exportKey("one", CONTEXT, 32), key);
    assert.notDeepEqual(near.exportKey("two", CONTEXT, 32), key);
    assert.notDeepEqual(near.exportKey("one", new Uint8Array(0), 32), key);
    const reader = new Reader(near);
    near.destroy();
    await reader.closed();
    assert.deepEqual(near.exportKey("one", CONTEXT, 32), key, "also when it is over");
  });
}

function byteTests(check: Check): void {
  check("bytes go both ways, in order", async (bench) => {
    const { near, far } = await connect(bench);
    const [here, there] = [new Reader(near), new Reader(far)];
    for (const word of ["a", "b", "c"]) near.write(Buffer.from(word));
    for (const word of ["x", "y"]) far.write(Buffer.from(word));
    await there.until(() => there.length === 3);
    await here.until(() => here.length === 2);
    assert.deepEqual([there.text, here.text], ["abc", "xy"]);
  });

  check("nothing is read before start, and nothing is lost by that", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    new Reader(near);
    near.write(Buffer.from("early"));
    near.end();
    await passTime(a, b, 5);
    const there = new Reader(far);
    await there.ended();
    assert.equal(there.text, "early");
  });

  check("eight mebibytes each way arrive intact, whatever the chunks", async (bench) => {
    const { near, far } = await connect(bench);
    const total = 8 * MiB;
    const ends = [new Writer(near, total, sizesUpTo(100_000, 7)), new Writer(far, total, sizesUpTo(3_000, 8))];
    for (const { reader } of ends) {
      await reader.closed();
      assert.deepEqual(reader.closes, [undefined]);
      assert(Buffer.from(reader.bytes).equals(sequence(0, total)), "the same bytes in the same order");
    }
  });

  check("a reader that stops makes the writer wait, and then all bytes arrive", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const there = new Reader(far);
    far.pause();
    const total = 48 * MiB;
    const writer = new Writer(near, total, () => 65_536);
    await passTime(a, b, 100);
    assert(!writer.isDone, "the writer waits");
    assert(near.bufferedBytes > 0 && near.bufferedBytes < MiB, `what it holds is bounded: ${near.bufferedBytes}`);
    assert.equal(there.length, 0, "a paused reader gets nothing");
    far.resume();
    far.resume();
    await there.ended();
    assert(Buffer.from(there.bytes).equals(sequence(0, total)), "the same bytes in the same order");
    assert(writer.reader.drains > 0);
    assert.equal(near.bufferedBytes, 0);
  });

  check("pause holds back the end, too", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const there = new Reader(far);
    far.pause();
    new Reader(near);
    near.end();
    await passTime(a, b, 5);
    assert(!there.hasEnded);
    far.resume();
    await there.ended();
  });

  check("a hundred connections at once each carry their own bytes", async (bench) => {
    const a = await Node.listening(bench);
    const b = await Node.listening(bench);
    const serve = async (): Promise<void> => {
      const reader = new Reader(await b.next());
      await reader.ended();
      reader.connection.write(reader.bytes);
      reader.connection.end();
    };
    const ask = async (i: number): Promise<string> => {
      const reader = new Reader(await a.dial(b));
      reader.connection.write(Buffer.from(`number ${i}`));
      reader.connection.end();
      await reader.closed();
      return reader.text;
    };
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const [answers] = await Promise.all([Promise.all(numbers.map(ask)), Promise.all(numbers.map(serve))]);
    assert.deepEqual(
      answers,
      numbers.map((i) => `number ${i}`),
    );
  });
}

function endTests(check: Check): void {
  check("after our end the other direction still works", async (bench) => {
    const { near, far } = await connect(bench);
    const [here, there] = [new Reader(near), new Reader(far)];
    near.write(Buffer.from("question"));
    near.end();
    await there.ended();
    assert.equal(there.text, "question");
    assert.equal(near.write(Buffer.from("too late")), false);
    far.write(sequence(0, MiB));
    far.end();
    await Promise.all([here.closed(), there.closed()]);
    assert(Buffer.from(here.bytes).equals(sequence(0, MiB)));
    assert.deepEqual([here.closes, there.closes], [[undefined], [undefined]]);
    assert.equal(there.text, "question");
  });

  check("an end with megabytes behind it, in both directions at once", async (bench) => {
    const { near, far } = await connect(bench);
    near.write(sequence(0, 3 * MiB));
    near.end();
    far.write(sequence(0, 4 * MiB));
    far.end();
    const [here, there] = [new Reader(near), new Reader(far)];
    await Promise.all([here.closed(), there.closed()]);
    assert.deepEqual([here.length, there.length], [4 * MiB, 3 * MiB]);
    assert.deepEqual([here.closes, there.closes], [[undefined], [undefined]]);
  });

  check("destroy closes ours without a cause, and the peer hears of it", async (bench) => {
    const { near, far } = await connect(bench);
    const [here, there] = [new Reader(near), new Reader(far)];
    near.destroy();
    near.destroy();
    await Promise.all([here.closed(), there.over()]);
    assert.deepEqual(here.closes, [undefined]);
    assert.equal(near.write(Buffer.from("x")), false);
    assert.equal(far.write(Buffer.from("x")), false);
    near.end();
    far.end();
    near.pause();
    near.resume();
    far.destroy();
  });

  check("a connection that ended before start says so after it", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const here = new Reader(near);
    near.destroy();
    await here.closed();
    await passTime(a, b, 5);
    const there = new Reader(far);
    await there.over();
    const ours = await a.dial(b);
    await b.next();
    ours.destroy();
    await passTime(a, b, 5);
    const late = new Reader(ours);
    await late.closed();
    assert.deepEqual(late.closes, [undefined]);
  });

  check("destroy with bytes unsent and unread", async (bench) => {
    const { near, far } = await connect(bench);
    const [here, there] = [new Reader(near), new Reader(far)];
    far.pause();
    for (let i = 0; i < 64; i++) near.write(sequence(i * 65_536, 65_536));
    far.write(sequence(0, 65_536));
    near.destroy();
    await here.closed();
    far.resume();
    await there.over();
    assert(Buffer.from(there.bytes).equals(sequence(0, there.length)), "what arrives is a beginning of what was sent");
  });
}

function lifeTests(check: Check): void {
  check("addresses are known while it listens", async (bench) => {
    const node = new Node(bench);
    assert.deepEqual(node.transport.localAddresses, []);
    await node.listen();
    assert.equal(node.transport.localAddresses.length, 1);
    await node.transport.close();
    assert.deepEqual(node.transport.localAddresses, []);
  });

  check("one address listens once, and again when it is free", async (bench) => {
    const first = await Node.listening(bench);
    const { address } = first;
    const second = new Node(bench, address);
    await assert.rejects(second.listen(), (error) => {
      assert(MosaikError.is(error, "address-in-use"));
      assert.equal(error.details.address, address);
      return true;
    });
    await first.transport.close();
    const third = new Node(bench, address);
    await third.listen();
    const near = await second.dial(third);
    assert.equal(near.remoteId, third.identity.peerId);
  });

  check("a transport that does not listen can dial", async (bench) => {
    const a = new Node(bench);
    const b = await Node.listening(bench);
    const near = await a.dial(b);
    assert.equal((await b.next()).remoteId, a.identity.peerId);
    near.destroy();
  });

  check("close destroys what is open, ends what is under way, and takes no more", async (bench) => {
    const { a, b, near, far } = await connect(bench);
    const [here, there] = [new Reader(near), new Reader(far)];
    const peer = { id: undefined, addresses: [await bench.mute()] };
    const dialling = a.transport.dial(peer, PROTOCOL, { signal: never() });
    const failed = assert.rejects(dialling, isDialError("unreachable"));
    const atA = { id: a.identity.peerId, addresses: [a.address] };
    await passTime(a, b, 2);
    const closing = a.transport.close();
    assert.equal(a.transport.close(), closing, "idempotent");
    await closing;
    assert.deepEqual(here.closes, [undefined], "told before close resolves");
    await failed;
    await there.over();
    await assert.rejects(b.transport.dial(atA, PROTOCOL, { signal: never() }), isDialError("unreachable"));
    await assert.rejects(a.dial(b), isDialError("unreachable"));
    await assert.rejects(a.listen(), (error) => MosaikError.is(error, "closed"));
  });

  check("close while it begins to listen", async (bench) => {
    const a = new Node(bench);
    const listening = a.listen().then(
      () => "listens",
      (error: unknown) => (MosaikError.is(error, "closed") ? "closed" : error),
    );
    await a.transport.close();
    assert(["listens", "closed"].includes(String(await listening)));
    assert.deepEqual(a.transport.localAddresses, []);
  });

  check("close before listen, and with nothing open", async (bench) => {
    const a = new Node(bench);
    await a.transport.close();
    const b = await Node.listening(bench);
    await b.transport.close();
  });
}
