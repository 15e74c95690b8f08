import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type Env, type Logger, realEnv, silentLogger, VirtualWorld } from "../env/index.ts";
import { type Identity, Secret, UniqueId } from "../identity/index.ts";
import { CLOSE, DecodeError, encodeFrame, type Link, type LinkClose, KIND as WIRE_KIND } from "../wire/index.ts";
import { never, newIdentity } from "./conformance-kit.ts";
import { type CountingEndpoint, createEndpoint } from "./endpoint.ts";
import { LinkRefused, type ProtocolHandler } from "./endpoint-types.ts";
import { MemoryNetwork } from "./memory/network.ts";
import { tlsTransport } from "./tls/transport.ts";
import { DialError, type Transport } from "./types.ts";

const CHAT = "mosaik/chat/1";
const OTHER = "mosaik/other/1";
const KIND = 16;
const NETWORK = UniqueId.from("prices");
const LONG = "a secret that is long enough";
const ROTATED = "the secret that comes after it";

/** A node that says hello, answers each frame with the same bytes, and remembers how links ended. */
class Chat {
  readonly identity: Identity;
  readonly transport: Transport;
  readonly endpoint: CountingEndpoint;
  readonly links: Link[] = [];
  readonly closes: LinkClose[] = [];
  readonly bugs: unknown[] = [];
  readonly warnings: object[] = [];
  #onClose: () => void = () => {};

  constructor(bench: Bench, options: ChatOptions = {}) {
    this.identity = options.identity ?? newIdentity();
    const logger: Logger = { ...silentLogger, warn: (fields) => this.warnings.push(fields) };
    this.transport = bench.makeTransport(this.identity);
    this.endpoint = createEndpoint({
      env: bench.env,
      selfId: this.identity.peerId,
      transport: this.transport,
      network: options.network ?? NETWORK,
      secrets: (options.secrets ?? []).map((text) => new Secret(text)),
      ...(options.advertise === undefined ? {} : { advertise: options.advertise }),
      logger,
      onBug: (cause) => this.bugs.push(cause),
    });
    this.endpoint.handle(CHAT, {
      frameBytesMax: 1024,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: () => ({ payload: Buffer.from("hello") }),
      onLink: (link) => this.serve(link),
      ...options.handler,
    });
    bench.chats.push(this);
  }

  serve(link: Link): void {
    this.links.push(link);
    link.start({
      onFrame: (kind, payload) => link.send(kind, Uint8Array.from(payload)),
      onClose: (close) => {
        this.closes.push(close);
        this.#onClose();
      },
    });
  }

  peer(): { id: Identity["peerId"]; addresses: readonly string[] } {
    return { id: this.identity.peerId, addresses: this.endpoint.addresses };
  }

  dial(to: Chat, payload = "knock"): Promise<Link> {
    return this.endpoint.dial(to.peer(), CHAT, { signal: never(), payload: () => Buffer.from(payload) });
  }

  async closed(count: number): Promise<void> {
    while (this.closes.length < count) {
      await new Promise<void>((resolve) => {
        this.#onClose = resolve;
      });
    }
  }
}

interface ChatOptions {
  readonly identity?: Identity;
  readonly network?: UniqueId;
  readonly secrets?: readonly string[];
  readonly advertise?: readonly string[];
  readonly handler?: Partial<ProtocolHandler>;
}

interface Bench {
  readonly env: Env;
  readonly network: MemoryNetwork;
  readonly chats: Chat[];
  makeTransport(identity: Identity): Transport;
}

/** Two listening nodes in one memory network, whose links no `isBlocked` bothers unless the test says so. */
async function pair(
  bench: Bench,
  ours: ChatOptions = {},
  theirs: ChatOptions = ours,
): Promise<readonly [a: Chat, b: Chat]> {
  const chats = [new Chat(bench, ours), new Chat(bench, theirs)] as const;
  for (const chat of chats) await chat.endpoint.listen();
  return chats;
}

function check(title: string, story: (bench: Bench) => Promise<void>): void {
  test(title, async () => {
    const world = new VirtualWorld({ seed: 1 });
    await world.run(async () => {
      const env = world.env("all");
      const network = new MemoryNetwork({ conditions: { isBlocked: (_from, to) => to === "mute:1" } });
      let count = 0;
      const makeTransport = (identity: Identity): Transport =>
        network.transport({ env, identity, address: `node:${++count}` });
      const bench: Bench = { env, network, chats: [], makeTransport };
      await story(bench);
      await Promise.all(bench.chats.map(({ endpoint }) => endpoint.close()));
      for (const chat of bench.chats) assert.deepEqual(chat.bugs, [], "no bug was reported");
      assert.equal(network.connectionCount, 0, "nothing is left");
    });
  });
}

/** One frame there and back. */
function echo(link: Link, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    link.start({
      onFrame: (_kind, payload) => resolve(Buffer.from(payload).toString()),
      onClose: ({ code, reason }) => reject(new Error(`${code} ${reason}`)),
    });
    link.send(KIND, Buffer.from(text));
  });
}

async function assertRefused(dialling: Promise<Link>, code: number, by: LinkClose["by"]): Promise<void> {
  await assert.rejects(dialling, (error) => {
    assert(error instanceof LinkRefused, String(error));
    assert.deepEqual([error.close.code, error.close.by], [code, by], error.message);
    return true;
  });
}

check("a link carries frames, and both ends know of each other", async (bench) => {
  const [a, b] = await pair(bench);
  const link = await a.dial(b);
  assert.equal(await echo(link, "one"), "one");
  assert.deepEqual([link.remoteId, link.isInitiator], [b.identity.peerId, true]);
  assert.equal(Buffer.from(link.remotePayload).toString(), "hello");
  const far = b.links[0];
  assert(far !== undefined);
  assert.deepEqual([far.remoteId, far.isInitiator], [a.identity.peerId, false]);
  assert.equal(Buffer.from(far.remotePayload).toString(), "knock");
  assert.deepEqual([a.endpoint.links.size, b.endpoint.links.size], [1, 1]);
  await link.close(CLOSE.success, "done");
  await b.closed(1);
  assert.deepEqual([a.endpoint.links.size, a.endpoint.counters.linksClosed], [0, 1]);
  assert.equal(a.endpoint.counters.closed.get(CLOSE.success), 1);
});

check("addresses are what is advertised, or what is bound", async (bench) => {
  const [a, b] = await pair(bench, {}, { advertise: ["example.org:7"] });
  assert.deepEqual([a.endpoint.addresses, b.endpoint.addresses], [["node:1"], ["example.org:7"]]);
});

check("networks do not mix", async (bench) => {
  const [a, b] = await pair(bench, {}, { network: UniqueId.from("orders") });
  await assertRefused(a.dial(b), CLOSE.differentNetwork, "peer");
  assert.equal(a.endpoint.counters.refused.get(CLOSE.differentNetwork), 1);
  assert.equal(b.links.length, 0);
});

for (const [title, ours, theirs] of [
  ["another secret", [LONG], [ROTATED]],
  ["no secret, where one is needed", [], [LONG]],
  ["a secret, where none is needed", [LONG], []],
] as const) {
  check(`${title}: refused, and the operator hears of it once`, async (bench) => {
    const [a, b] = await pair(bench, { secrets: ours }, { secrets: theirs });
    await assertRefused(a.dial(b), CLOSE.invalidProof, "peer");
    await assertRefused(a.dial(b), CLOSE.invalidProof, "peer");
    assert.equal(a.warnings.length, 1);
    assert.equal(b.endpoint.links.size, 0);
    assert(!JSON.stringify([...a.warnings, ...b.warnings]).includes(LONG));
  });
}

check("secrets rotate one node at a time", async (bench) => {
  // Old everywhere; both accepted, old shown; both accepted, new shown; new everywhere.
  const steps = [[LONG], [LONG, ROTATED], [ROTATED, LONG], [ROTATED]];
  for (const [i, secrets] of steps.entries()) {
    for (const others of steps.slice(Math.max(0, i - 1), i + 2)) {
      const [a, b] = await pair(bench, { secrets }, { secrets: others });
      const link = await a.dial(b);
      assert.equal(await echo(link, "still one network"), "still one network");
    }
  }
  const [first, last] = await pair(bench, { secrets: [LONG] }, { secrets: [ROTATED] });
  await assertRefused(first.dial(last), CLOSE.invalidProof, "peer");
});

check("a handler refuses with its own code, by what the hello says", async (bench) => {
  const refuse: Partial<ProtocolHandler> = {
    accept: ({ payload }, stream) => {
      assert.equal(stream.exportKey("x", payload, 8).length, 8);
      if (payload.length === 0) throw new DecodeError("an empty knock");
      return { refuse: CLOSE.groupNotFound, reason: `no ${Buffer.from(payload)}` };
    },
  };
  const [a, b] = await pair(bench, {}, { handler: refuse });
  await assertRefused(a.dial(b), CLOSE.groupNotFound, "peer");
  await assertRefused(a.dial(b, ""), CLOSE.protocolViolation, "peer");
  assert.equal(a.endpoint.counters.refused.get(CLOSE.groupNotFound), 1);
});

check("no common version is refused with the range", async (bench) => {
  const [a, b] = await pair(bench, {}, { handler: { versionMin: 2, versionMax: 3 } });
  await assertRefused(a.dial(b), CLOSE.versionMismatch, "peer");
  await assertRefused(b.dial(a), CLOSE.versionMismatch, "peer");
});

check("the highest common version and the common features are used", async (bench) => {
  const [a, b] = await pair(
    bench,
    { handler: { versionMax: 4, features: 0b0110 } },
    { handler: { versionMin: 2, versionMax: 7, features: 0b1100 } },
  );
  const link = await a.dial(b);
  assert.deepEqual([link.version, link.features], [4, 0b0100]);
  link.destroy();
});

check("oneself, nobody and an unspoken protocol are dial errors", async (bench) => {
  const [a, b] = await pair(bench);
  const failure = (name: string) => (error: unknown) => error instanceof DialError && error.failure === name;
  await assert.rejects(a.dial(a), failure("self"));
  const nobody = { id: undefined, addresses: ["nobody:1"] };
  await assert.rejects(a.endpoint.dial(nobody, CHAT, { signal: never() }), failure("unreachable"));
  const c = new Chat(bench);
  c.endpoint.handle(OTHER, { ...ACCEPT_ALL, onLink: (link) => c.serve(link) });
  await c.endpoint.listen();
  const unspoken = c.endpoint.dial(b.peer(), OTHER, { signal: never() });
  await assert.rejects(unspoken, failure("alpn-refused"));
});

const ACCEPT_ALL = {
  frameBytesMax: 64,
  versionMin: 1,
  versionMax: 1,
  features: 0,
  accept: () => ({ payload: new Uint8Array(0) }),
} as const;

check("protocols go to their handlers", async (bench) => {
  const seen: string[] = [];
  const b = new Chat(bench);
  const a = new Chat(bench);
  for (const chat of [a, b]) {
    chat.endpoint.handle(OTHER, {
      ...ACCEPT_ALL,
      onLink: (link) => {
        seen.push(link.protocol);
        chat.serve(link);
      },
    });
    await chat.endpoint.listen();
  }
  const link = await a.endpoint.dial(b.peer(), OTHER, { signal: never() });
  assert.equal(await echo(link, "x"), "x");
  assert.deepEqual(seen, [OTHER]);
  assert.throws(() => a.endpoint.handle("late", { ...ACCEPT_ALL, onLink: () => {} }), /before they are offered/);
});

check("garbage closes that link alone", async (bench) => {
  const [a, b] = await pair(bench);
  const good = await a.dial(b);
  const signal = never();
  const stranger = bench.makeTransport(newIdentity());
  const garbage = [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    encodeFrame(KIND, Buffer.from("no hello came before")),
    encodeFrame(WIRE_KIND.hello, Buffer.alloc(64, 0xff)),
  ];
  for (const bytes of garbage) {
    const connection = await stranger.dial(b.peer(), CHAT, { signal });
    const gone = new Promise<void>((resolve) => {
      const end = (): void => resolve();
      connection.start({ onData: () => {}, onEnd: () => connection.end(), onDrain: () => {}, onClose: end });
    });
    connection.write(bytes);
    await gone;
  }
  const { refused } = b.endpoint.counters;
  // Other people's protocols look like frames of another version.
  assert.deepEqual([refused.get(CLOSE.versionMismatch), refused.get(CLOSE.protocolViolation)], [1, 2]);
  assert.equal(await echo(good, "unharmed"), "unharmed");
  await stranger.close();
});

check("a peer that never says hello is given up, and another address is tried", async (bench) => {
  const mute = bench.makeTransport(newIdentity());
  await mute.listen([CHAT], () => {});
  const [a, b] = await pair(bench);
  const before = bench.env.clock.monotonicUs();
  const addresses = [...mute.localAddresses, ...b.endpoint.addresses];
  const link = await a.endpoint.dial({ id: undefined, addresses }, CHAT, { signal: never() });
  assert.equal(link.remoteId, b.identity.peerId);
  assert.equal(bench.env.clock.monotonicUs() - before, 5_000_000, "virtual time: the deadline of one address");
  assert.equal(a.endpoint.counters.refused.get(CLOSE.handshakeTimeout), 1);
  await mute.close();
});

check("an abort ends the dial with its reason, at any step", async (bench) => {
  const mute = bench.makeTransport(newIdentity());
  await mute.listen([CHAT], () => {});
  const [a] = await pair(bench);
  for (const addresses of [["mute:1"], mute.localAddresses]) {
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const dialling = a.endpoint.dial({ id: undefined, addresses }, CHAT, { signal: controller.signal });
    bench.env.after(100, () => controller.abort(reason));
    await assert.rejects(dialling, (error) => error === reason);
  }
  await mute.close();
});

check("close says goodbye on all links, and ends handshakes", async (bench) => {
  const mute = bench.makeTransport(newIdentity());
  await mute.listen([CHAT], () => {});
  const [a, b] = await pair(bench);
  const ours = await a.dial(b);
  const answers: string[] = [];
  ours.start({ onFrame: (_kind, payload) => answers.push(Buffer.from(payload).toString()), onClose: () => {} });
  b.serve(await b.dial(a));
  const dialling = a.endpoint.dial({ id: undefined, addresses: mute.localAddresses }, CHAT, { signal: never() });
  const failed = assert.rejects(dialling, (error) => error instanceof DialError && error.failure === "unreachable");
  // One that has connected, and says nothing: a handshake that runs on our side.
  await mute.dial(a.peer(), CHAT, { signal: never() });
  ours.send(KIND, Buffer.from("last words"));
  await new Promise<void>((resolve) => void bench.env.after(50, resolve));
  const closing = a.endpoint.close();
  assert.equal(a.endpoint.close(), closing, "idempotent");
  await closing;
  await failed;
  await b.closed(2);
  const expected = { code: CLOSE.gracefulShutdown, reason: "the node shuts down", by: "peer" };
  assert.deepEqual(b.closes, [expected, expected]);
  assert.deepEqual(answers, ["last words"]);
  assert.equal(a.endpoint.links.size, 0);
  await assert.rejects(a.dial(b), (error) => error instanceof DialError && error.failure === "unreachable");
  await assert.rejects(b.dial(a), (error) => error instanceof DialError && error.failure === "unreachable");
  await mute.close();
});

check("close ends in time though a peer does not answer", async (bench) => {
  const [a, b] = await pair(bench);
  a.serve(await a.dial(b));
  bench.network.halfOpen("node:1", "node:2");
  const before = bench.env.clock.monotonicUs();
  await a.endpoint.close();
  assert.equal(bench.env.clock.monotonicUs() - before, 2_000_000, "virtual time: the deadline of a close");
});

check("a handler that throws is a bug of ours: it is reported, and only that link ends", async (bench) => {
  const bug = new Error("a bug");
  const broken = (): never => {
    throw bug;
  };
  const [a, b] = await pair(bench, {}, { handler: { onLink: broken } });
  a.serve(await a.dial(b));
  await a.closed(1);
  assert.deepEqual(b.bugs.splice(0), [bug]);
  const [c, d] = await pair(bench, {}, { handler: { accept: broken } });
  await assert.rejects(c.dial(d), (error) => error instanceof DialError && error.failure === "handshake-failed");
  assert.deepEqual(d.bugs.splice(0), [bug]);
});

test("over TLS: frames, a wrong secret, and a close that says goodbye", async () => {
  const env = realEnv();
  const makeTransport = (identity: Identity): Transport => tlsTransport({ env, identity, listen: undefined });
  const bench: Bench = { env, network: new MemoryNetwork(), chats: [], makeTransport };
  const [a, b] = await pair(bench, { secrets: [LONG] });
  const c = new Chat(bench, { secrets: [ROTATED] });
  // Whoever refuses leaves its reason the time to arrive.
  for (let i = 0; i < 20; i++) await assertRefused(c.dial(b), CLOSE.invalidProof, "peer");
  const link = await a.dial(b);
  a.serve(link);
  assert.equal(await echo(await a.dial(b), "x"), "x");
  await Promise.all(bench.chats.map(({ endpoint }) => endpoint.close()));
  await a.closed(1);
  for (const { code } of [...a.closes, ...b.closes]) assert.equal(code, CLOSE.gracefulShutdown);
});
