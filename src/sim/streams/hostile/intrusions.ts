import { LIMITS } from "../../../env/index.ts";
import { FRAME } from "../../../streams/index.ts";
import { DialError } from "../../../transport/index.ts";
import { ByteWriter, CLOSE, encodeFrame, HandshakeError, KIND, messagePack } from "../../../wire/index.ts";
import type { ParcelStream } from "../plan.ts";
import { streamIdOf } from "../stage.ts";
import { checkIsolation } from "./isolation.ts";
import type { HostileLine } from "./line.ts";
import { checkLoad } from "./load.ts";
import type { HostilePeer } from "./peer.ts";
import { nested, oddCriteria } from "./words.ts";

const CODEC = messagePack.name;

/** What it asks for, and whether anybody may let it in with that. */
interface Request {
  readonly what: string;
  readonly payload: Uint8Array;
  readonly isRefused: boolean;
}

/** How it gets on with a producer that let it in. */
type Conduct = (line: HostileLine, staysMs: number) => Promise<void>;

const CONDUCTS: Readonly<Record<string, Conduct>> = {
  "reads and parts": async (line, staysMs) => {
    await line.sleep(staysMs);
    await line.part();
  },
  "stops reading": async (line, staysMs) => {
    line.link.pause();
    await line.sleep(staysMs);
  },
  "half-closes": async (line) => line.connection.end(),
  "speaks though it should listen": async (line, staysMs) => {
    const { random } = line;
    await line.sleep(random.below(staysMs));
    line.breaks();
    for (let i = random.between(1, 5); i > 0; i--) {
      const kind = random.pick([FRAME.accept, FRAME.values, random.between(18, 255)]);
      line.link.send(kind, random.bytes(random.pick([0, 1, 60_000])));
    }
  },
  "says hello again": async (line) => {
    line.breaks();
    line.connection.write(encodeFrame(KIND.hello, new Uint8Array(line.random.below(50))));
  },
  "sends no frames": async (line) => {
    line.strains();
    line.connection.write(line.random.bytes(line.random.between(6, 5_000)));
  },
  "pings without end": async (line) => {
    const ping = encodeFrame(KIND.ping, new Uint8Array(0));
    for (let i = 0; i < 20 && line.isOpen; i++) {
      for (let j = 0; j < 50; j++) line.connection.write(ping);
      await line.sleep(line.random.below(20));
    }
    await line.part();
  },
};

/** What it does as a consumer: it dials honest producers, and asks for what nobody would. */
export class Intrusions {
  readonly #peer: HostilePeer;
  readonly #streams: readonly ParcelStream[];
  /** Where it must not stay, since a consumer may hold up all others there. */
  readonly #lent = new Set<HostileLine>();

  constructor(peer: HostilePeer) {
    this.#peer = peer;
    this.#streams = peer.stage.plan.streams;
  }

  async run(): Promise<void> {
    const { random, stage, sleep } = this.#peer;
    while (!stage.isOver) {
      await sleep(random.between(20, 500));
      if (stage.isOver) return;
      checkIsolation(this.#peer.honest, stage.plan.isStormy);
      checkLoad(this.#peer.honest, stage.plan);
      const count = random.chance(1, 8) ? random.between(5, 20) : 1;
      for (let i = 0; i < count; i++) this.#peer.spawn(() => this.#intrude(count > 1));
    }
  }

  yield(): void {
    for (const { connection } of this.#lent) connection.destroy();
    this.#lent.clear();
  }

  /** @param isBurst - opens links only to drop them, at some step */
  async #intrude(isBurst: boolean): Promise<void> {
    const { random, stage, honest, sleep } = this.#peer;
    if (honest.length === 0) return;
    const target = random.pick(honest);
    const stream = random.pick(this.#streams);
    const request = random.chance(1, 2) ? this.#plausible(stream) : this.#drawRequest(stream);
    const connection = await this.#peer.connect(target).catch((cause: unknown) => {
      if (cause instanceof DialError) return undefined;
      throw cause;
    });
    if (connection === undefined) return;
    if (isBurst && random.chance(1, 2)) return connection.destroy();
    const conduct = random.pick(Object.keys(CONDUCTS).sort());
    const line = await this.#ask(connection, request, conduct);
    if (line === undefined) return;
    if (isBurst) {
      await sleep(random.below(50));
      return connection.destroy();
    }
    const mayHoldUp = stream.lagging === "wait" || stage.plan.maxConsumers !== undefined;
    if (mayHoldUp && stage.isHealed) return connection.destroy();
    if (mayHoldUp) this.#lent.add(line);
    const staysMs = random.between(1, mayHoldUp ? 2_000 : 20_000);
    await (CONDUCTS[conduct] as Conduct)(line, staysMs);
    if (!mayHoldUp) return;
    await sleep(staysMs);
    connection.destroy();
    this.#lent.delete(line);
  }

  async #ask(
    connection: Parameters<HostilePeer["ask"]>[0],
    { what, payload, isRefused }: Request,
    conduct: string,
  ): Promise<HostileLine | undefined> {
    try {
      const line = await this.#peer.ask(connection, payload, { conduct: `${what}, ${conduct}` });
      if (isRefused) this.#peer.fail("stream-put-out", `was let in with ${what}`);
      return line;
    } catch (cause) {
      if (!(cause instanceof HandshakeError)) throw cause;
      const { by, code, reason } = cause.close;
      if (by === "peer" && !REFUSALS.includes(code))
        this.#peer.fail("stream-put-out", `was refused with ${code} (${reason}) for ${what}`);
      return undefined;
    }
  }

  #plausible({ definition }: ParcelStream): Request {
    const { random } = this.#peer;
    const criteria = random.chance(1, 3) ? undefined : oddCriteria(random);
    return { what: "odd criteria", payload: this.#opening(definition.name, CODEC, criteria), isRefused: false };
  }

  #drawRequest({ definition: { name } }: ParcelStream): Request {
    const { random } = this.#peer;
    const requests: readonly (() => Request)[] = [
      () => ({ what: "garbage", payload: random.bytes(random.below(300)), isRefused: true }),
      () => this.#refused("another stream", this.#opening(`${name}s`, CODEC, undefined)),
      () =>
        this.#refused("another codec", this.#opening(name, random.pick(["", "msgpack/2", "x".repeat(256)]), undefined)),
      () => this.#refused("a long codec", this.#opening(name, "x".repeat(257), undefined)),
      () =>
        this.#refused(
          "huge criteria",
          this.#opening(name, CODEC, messagePack.encode("x".repeat(random.pick([4_096, 12_000])))),
        ),
      () => this.#refused("deep criteria", this.#opening(name, CODEC, nested(random.pick([65, 4_000])))),
      () =>
        this.#refused(
          "criteria that are none",
          this.#opening(name, CODEC, random.pick([new Uint8Array(0), Uint8Array.of(0xc1), Uint8Array.of(1, 1)])),
        ),
      () => this.#refused("more than is due", Uint8Array.from([...this.#opening(name, CODEC, undefined), 0])),
      () => ({
        what: "the largest criteria",
        payload: this.#opening(name, CODEC, messagePack.encode("x".repeat(LIMITS.streamCriteriaBytesMax - 3))),
        isRefused: false,
      }),
    ];
    return random.pick(requests)();
  }

  #refused(what: string, payload: Uint8Array): Request {
    return { what, payload, isRefused: true };
  }

  #opening(stream: string, codec: string, criteria: Uint8Array | undefined): Uint8Array {
    const writer = new ByteWriter(256)
      .id(streamIdOf(this.#peer.node, stream))
      .text(codec)
      .bool(criteria !== undefined);
    if (criteria !== undefined) writer.bytes(criteria);
    return writer.finish();
  }
}

/** What a producer may say to somebody who asks. */
const REFUSALS: readonly number[] = [
  CLOSE.protocolViolation,
  CLOSE.unknownPeer,
  CLOSE.streamNotFound,
  CLOSE.streamMismatch,
  CLOSE.streamNoCapacity,
  CLOSE.gracefulShutdown,
  CLOSE.handshakeTimeout,
];
