import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { type Env, LIMITS, type Timer } from "../env/index.ts";
import { hashBytes, type PeerId, UniqueId } from "../identity/index.ts";
import {
  type AcceptLinkOptions,
  acceptLink,
  HandshakeError,
  type InitiateLinkOptions,
  initiateLink,
} from "./handshake.ts";
import { encodeHello } from "./hello.ts";
import type { ByteStream, StreamHandlers } from "./stream.ts";
import type { Link, LinkClose, LinkHandlers } from "./types.ts";

interface Waiting {
  readonly dueUs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Virtual time for the tests of this folder: nothing happens but in `advance`. */
export class FakeWorld implements Env {
  readonly timers = new Set<Waiting>();
  #nowUs = 0;
  #order = 0;

  readonly clock = { wallMs: () => Math.floor(this.#nowUs / 1000), monotonicUs: () => this.#nowUs };
  readonly random = { uint32: () => 0, below: () => 0, bytes: (length: number) => new Uint8Array(length) };

  after(delayMs: number, callback: () => void): Timer {
    const waiting = { dueUs: this.#nowUs + delayMs * 1000, order: this.#order++, callback };
    this.timers.add(waiting);
    return { cancel: () => void this.timers.delete(waiting) };
  }

  compute<T>(job: () => Promise<T>): Promise<T> {
    return job();
  }

  /** Runs all that is due until then, one timer a turn. */
  async advance(ms = 0): Promise<void> {
    const untilUs = this.#nowUs + ms * 1000;
    await turn();
    for (let next = this.#nextDue(untilUs); next !== undefined; next = this.#nextDue(untilUs)) {
      this.timers.delete(next);
      this.#nowUs = Math.max(this.#nowUs, next.dueUs);
      next.callback();
      await turn();
    }
    this.#nowUs = untilUs;
  }

  #nextDue(untilUs: number): Waiting | undefined {
    const due = [...this.timers].filter((waiting) => waiting.dueUs <= untilUs);
    return due.sort((a, b) => a.dueUs - b.dueUs || a.order - b.order)[0];
  }
}

/** All that follows from what happened, microtasks and ticks, without a timer or I/O. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One end of a connection in memory. `peer` is the other. */
export class FakeStream implements ByteStream {
  readonly world: FakeWorld;
  readonly remoteId: PeerId;
  readonly remoteAddress = "memory:1";
  /** All that was written here, as it was cut. */
  readonly writes: Uint8Array[] = [];
  /** Bytes of which `onData` gets at most this many at a time. */
  chunkBytesMax = Number.POSITIVE_INFINITY;
  highWaterBytes = 64 * 1024;
  /** Swallows what it writes, as a cable that was pulled out. */
  isCut = false;
  readonly areBytesLent: boolean;
  isPaused = false;
  isDestroyed = false;
  peer: FakeStream = this;
  #handlers: StreamHandlers | undefined;
  #inbox: Uint8Array[] = [];
  #hasEnded = false;
  #isClosed = false;
  #isEndTold = false;
  #isPumpDue = false;
  #isDrainDue = false;

  constructor(world: FakeWorld, remoteId: PeerId, areBytesLent: boolean) {
    this.world = world;
    this.remoteId = remoteId;
    this.areBytesLent = areBytesLent;
  }

  get bufferedBytes(): number {
    return this.peer.#inbox.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  exportKey(label: string, context: Uint8Array, length: number): Uint8Array {
    return hashBytes(label, context).subarray(0, length);
  }

  start(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    this.#schedule();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#hasEnded || this.isDestroyed) return true;
    this.writes.push(bytes);
    if (this.isCut) return true;
    this.peer.#inbox.push(bytes);
    this.peer.#schedule();
    this.#isDrainDue = this.bufferedBytes >= this.highWaterBytes;
    return !this.#isDrainDue;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#schedule();
  }

  end(): void {
    this.#hasEnded = true;
    this.#schedule();
    this.peer.#schedule();
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.world.after(0, () => this.#close(undefined));
    if (!this.isCut) this.world.after(0, () => this.peer.#close(new Error("connection reset")));
  }

  #schedule(): void {
    if (this.#isPumpDue || this.#handlers === undefined) return;
    this.#isPumpDue = true;
    this.world.after(0, () => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.isPaused || this.#isClosed || this.isDestroyed) return;
    const chunk = this.#inbox.shift();
    if (chunk !== undefined) {
      const taken = Uint8Array.from(chunk.subarray(0, this.chunkBytesMax));
      if (taken.length < chunk.length) this.#inbox.unshift(chunk.subarray(taken.length));
      this.#handlers?.onData(taken);
      if (this.areBytesLent) taken.fill(0xdb);
      this.peer.#drain();
      this.#schedule();
      return;
    }
    if (!this.peer.#hasEnded || this.peer.isCut) return;
    if (!this.#isEndTold) {
      this.#isEndTold = true;
      this.#handlers?.onEnd();
    }
    if (!this.#hasEnded) return;
    this.#close(undefined);
    this.peer.#schedule();
  }

  #drain(): void {
    if (!this.#isDrainDue || this.bufferedBytes > 0) return;
    this.#isDrainDue = false;
    this.#handlers?.onDrain();
  }

  #close(cause: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.isDestroyed = true;
    this.#handlers?.onClose(cause);
  }
}

export const ADA = UniqueId.from("ada") as PeerId;
export const BOB = UniqueId.from("bob") as PeerId;

/** Ada's end, which lends what comes, and Bob's end. */
export function streamPair(world: FakeWorld): [FakeStream, FakeStream] {
  const ada = new FakeStream(world, BOB, true);
  const bob = new FakeStream(world, ADA, false);
  ada.peer = bob;
  bob.peer = ada;
  return [ada, bob];
}

export const NETWORK = UniqueId.from("test");
export const PROOF = Uint8Array.of(1, 2, 3);
export const DATA = 16;
/** One that is accepted. */
export const HELLO = encodeHello({
  versionMin: 1,
  versionMax: 2,
  network: NETWORK,
  features: 0,
  proof: PROOF,
  payload: new Uint8Array(20),
});

export type Overrides = Partial<InitiateLinkOptions & AcceptLinkOptions>;

/** Two ends, and what happened at each. */
export class Bench {
  readonly world = new FakeWorld();
  readonly ada: FakeStream;
  readonly bob: FakeStream;
  readonly bugs: unknown[] = [];

  constructor() {
    [this.ada, this.bob] = streamPair(this.world);
  }

  options(overrides: Overrides): InitiateLinkOptions & AcceptLinkOptions {
    return {
      env: this.world,
      protocol: "test/1",
      frameBytesMax: 1024 * 1024,
      hello: { versionMin: 1, versionMax: 2, network: NETWORK, features: 0b101 },
      proofs: { prove: () => PROOF, verify: (_stream, proof) => Buffer.compare(proof, PROOF) === 0 },
      payload: text("from ada"),
      accept: () => ({ payload: text("from bob") }),
      onBug: (cause) => this.bugs.push(cause),
      ...overrides,
    };
  }

  initiate(overrides: Overrides = {}): Promise<Link> {
    return initiateLink(this.ada, this.options(overrides));
  }

  accept(overrides: Overrides = {}): Promise<Link> {
    return acceptLink(this.bob, this.options(overrides));
  }

  /** Runs both handshakes. How each side ended. */
  async refusal(ada: Overrides, bob: Overrides): Promise<{ ada: LinkClose; bob: LinkClose }> {
    const both = Promise.allSettled([this.initiate(ada), this.accept(bob)]);
    await this.world.advance(LIMITS.handshakeTimeoutMs + LIMITS.closeTimeoutMs);
    const [left, right] = await both;
    equal(this.world.timers.size, 0);
    return { ada: closeOf(left), bob: closeOf(right) };
  }

  async open(ada: Overrides = {}, bob: Overrides = {}): Promise<[Recorder, Recorder]> {
    const both = Promise.all([
      this.initiate(ada).then((link) => new Recorder(link)),
      this.accept(bob).then((link) => new Recorder(link)),
    ]);
    await this.world.advance();
    return both;
  }

  /** All is over: no timer, no stream. */
  assertQuiet(): void {
    equal(this.world.timers.size, 0);
    deepEqual([this.ada.isDestroyed, this.bob.isDestroyed], [true, true]);
  }
}

/** Starts a link, and writes down what it says. */
export class Recorder {
  readonly link: Link;
  readonly log: string[] = [];
  /** Throws, pauses and the like, at the frame with this text. */
  readonly at = new Map<string, () => void>();

  constructor(link: Link, more: Partial<LinkHandlers> = {}) {
    this.link = link;
    link.start({
      onFrame: (kind, payload) => {
        const said = Buffer.from(payload).toString();
        this.log.push(said.length > 40 ? `${kind}: ${said.length} bytes` : said);
        this.at.get(said)?.();
      },
      onDrain: () => this.log.push("drain"),
      onClose: (close) => this.log.push(`closed ${close.code} by ${close.by}`),
      ...more,
    });
  }
}

export function closeOf(result: PromiseSettledResult<Link>): LinkClose {
  ok(result.status === "rejected", "no link");
  ok(result.reason instanceof HandshakeError, String(result.reason));
  return result.reason.close;
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function kindsWritten(stream: FakeStream): number[] {
  const bytes = Buffer.concat(stream.writes);
  const kinds: number[] = [];
  for (let offset = 0; offset < bytes.length; offset += 4 + bytes.readUInt32BE(offset))
    kinds.push(bytes[offset + 5] ?? -1);
  return kinds;
}

describe("the stream pair of these tests", () => {
  it("delivers all bytes, then the end, then closes both sides", async () => {
    const world = new FakeWorld();
    const [ada, bob] = streamPair(world);
    const log: string[] = [];
    const listen = (name: string): StreamHandlers => ({
      onData: (bytes) => log.push(`${name} got ${bytes.length}`),
      onEnd: () => log.push(`${name} end`),
      onDrain: () => log.push(`${name} drain`),
      onClose: (cause) => log.push(`${name} closed ${cause?.message}`),
    });
    ada.start(listen("ada"));
    bob.start(listen("bob"));
    bob.chunkBytesMax = 2;

    ada.write(new Uint8Array(3));
    ada.end();
    await world.advance();
    deepEqual(log, ["bob got 2", "bob got 1", "bob end"]);
    bob.end();
    await world.advance();
    deepEqual(log.slice(3).sort(), ["ada closed undefined", "ada end", "bob closed undefined"]);
    equal(world.timers.size, 0);
  });
});
