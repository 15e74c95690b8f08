import { strict as assert } from "node:assert";
import type { Env } from "../env/index.ts";
import { Identity } from "../identity/index.ts";
import type { StreamHandlers } from "../wire/index.ts";
import type { Address, Connection, Protocol, Transport } from "./types.ts";

/** What a transport's test file provides, fresh for each test. */
export interface TransportBench {
  readonly env: Env;
  /** A transport that may listen on an address of its own, or on this one. */
  make(identity: Identity, listen?: Address): Transport;
  /** Where nobody listens. */
  nobody(): Promise<Address>;
  /** Where somebody takes connections, and never says a word. */
  mute(): Promise<Address>;
  /** Runs the test, in whatever time this bench has. */
  run(story: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

export const PROTOCOL: Protocol = "mosaik/test/1";
export const OTHER_PROTOCOL: Protocol = "mosaik/other/1";
export const never = (): AbortSignal => new AbortController().signal;

let seeds = 0;
export function newIdentity(): Identity {
  const seed = new Uint8Array(32);
  new DataView(seed.buffer).setUint32(0, ++seeds);
  return Identity.fromSeed(seed);
}

/** One node of a test: a transport that listens, and what came in. */
export class Node {
  readonly identity: Identity;
  readonly transport: Transport;
  readonly #incoming: Connection[] = [];
  #waiting: ((connection: Connection) => void)[] = [];
  incomingCount = 0;

  constructor(bench: TransportBench, listen?: Address, identity = newIdentity()) {
    this.identity = identity;
    this.transport = bench.make(identity, listen);
  }

  static async listening(bench: TransportBench, listen?: Address): Promise<Node> {
    const node = new Node(bench, listen);
    await node.listen();
    return node;
  }

  async listen(protocols: readonly Protocol[] = [PROTOCOL, OTHER_PROTOCOL]): Promise<void> {
    await this.transport.listen(protocols, (connection) => {
      this.incomingCount++;
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#incoming.push(connection);
      else waiting(connection);
    });
  }

  get address(): Address {
    const [address] = this.transport.localAddresses;
    assert(address !== undefined, "it listens");
    return address;
  }

  /** The next incoming connection. */
  next(): Promise<Connection> {
    const connection = this.#incoming.shift();
    if (connection !== undefined) return Promise.resolve(connection);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  dial(to: Node, protocol = PROTOCOL, signal = never()): Promise<Connection> {
    return this.transport.dial({ id: to.identity.peerId, addresses: [to.address] }, protocol, { signal });
  }
}

/** Two nodes and a connection from the first to the second. */
export async function connect(bench: TransportBench): Promise<{ a: Node; b: Node; near: Connection; far: Connection }> {
  const a = await Node.listening(bench);
  const b = await Node.listening(bench);
  const near = await a.dial(b);
  const far = await b.next();
  return { a, b, near, far };
}

/** Reads a connection, checks the order of its events, and wakes who waits. */
export class Reader implements StreamHandlers {
  readonly connection: Connection;
  readonly chunks: Uint8Array[] = [];
  length = 0;
  hasEnded = false;
  drains = 0;
  closes: (Error | undefined)[] = [];
  #isStarting = true;
  #wakers: (() => void)[] = [];
  readonly #onDrained: () => void;

  constructor(connection: Connection, onDrained: () => void = () => {}) {
    this.connection = connection;
    this.#onDrained = onDrained;
    connection.start(this);
    this.#isStarting = false;
  }

  onData(bytes: Uint8Array): void {
    this.#check();
    assert(!this.hasEnded, "no bytes after the end");
    assert(bytes.length > 0, "no empty chunk");
    this.chunks.push(this.connection.areBytesLent ? Buffer.from(bytes) : bytes);
    this.length += bytes.length;
    this.#wake();
  }

  onEnd(): void {
    this.#check();
    assert(!this.hasEnded, "one end");
    this.hasEnded = true;
    this.#wake();
  }

  onDrain(): void {
    this.#check();
    this.drains++;
    this.#onDrained();
    this.#wake();
  }

  onClose(cause: Error | undefined): void {
    this.#check();
    this.closes.push(cause);
    this.#wake();
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  get text(): string {
    return Buffer.from(this.bytes).toString();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#wakers.push(resolve));
  }

  ended(): Promise<void> {
    return this.until(() => this.hasEnded);
  }

  closed(): Promise<void> {
    return this.until(() => this.closes.length > 0);
  }

  /**
   * The peer is gone without a word. How that looks is the operating system's choice: an end, or a close with a cause. After an end
   * our own end closes it, which may find a reset.
   */
  async over(): Promise<void> {
    await this.until(() => this.hasEnded || this.closes.length > 0);
    if (this.closes.length > 0) assert(this.closes[0] instanceof Error, "no close without an end has no cause");
    else this.connection.end();
    await this.closed();
  }

  #check(): void {
    assert(!this.#isStarting, "no handler is called from within start");
    assert.equal(this.closes.length, 0, "nothing comes after the close, and the close comes once");
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }
}

/** Writes a known sequence, as fast as the connection takes it. */
export class Writer {
  readonly reader: Reader;
  readonly #total: number;
  readonly #sizes: () => number;
  sent = 0;

  constructor(connection: Connection, total: number, sizes: () => number) {
    this.#total = total;
    this.#sizes = sizes;
    this.reader = new Reader(connection, () => this.#write());
    this.#write();
  }

  get isDone(): boolean {
    return this.sent === this.#total;
  }

  #write(): void {
    const { connection } = this.reader;
    while (!this.isDone) {
      const length = Math.min(this.#sizes(), this.#total - this.sent);
      const bytes = sequence(this.sent, length);
      this.sent += length;
      if (!connection.write(bytes)) return;
    }
    connection.end();
  }
}

const PERIOD = 65_521;
const PATTERN = Uint8Array.from({ length: PERIOD }, (_, i) => (i * 167 + (i >> 8) * 13) & 0xff);

/** `length` bytes of one endless sequence, from `start`. */
export function sequence(start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length; ) {
    const part = PATTERN.subarray((start + filled) % PERIOD).subarray(0, length - filled);
    bytes.set(part, filled);
    filled += part.length;
  }
  return bytes;
}

/** Integers in [1, max], the same at each run (xorshift32). */
export function sizesUpTo(max: number, seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) % max) + 1;
  };
}

/** Lets other things happen: so many round trips on a connection of their own. */
export async function passTime(from: Node, to: Node, rounds: number): Promise<void> {
  const near = await from.dial(to);
  const far = new Reader(await to.next());
  const here = new Reader(near);
  for (let i = 1; i <= rounds; i++) {
    near.write(Uint8Array.of(i));
    await far.until(() => far.length === i);
    far.connection.write(Uint8Array.of(i));
    await here.until(() => here.length === i);
  }
  near.destroy();
}
