// Ours: links over the TLS transport, with hello, frames and keep-alive, and nothing above them.
import { built, medianOf, turn } from "./measure.mjs";

const [{ Identity, UniqueId }, { realEnv, silentLogger }, { createEndpoint, tlsTransport }] = await Promise.all([
  built("identity/index.js"),
  built("env/index.js"),
  built("transport/index.js"),
]);

const PROTOCOL = "mosaik/bench/1";
const NETWORK = UniqueId.from("bench");
const KIND = { echo: 16, data: 17, count: 18 };
const NOTHING = new Uint8Array(0);
const never = new AbortController().signal;

class Node {
  constructor() {
    const env = realEnv();
    const identity = Identity.fromSeed(env.random.bytes(32));
    this.endpoint = createEndpoint({
      env,
      logger: silentLogger,
      selfId: identity.peerId,
      transport: tlsTransport({ env, identity, listen: "127.0.0.1:0" }),
      network: NETWORK,
      secrets: [],
      onBug: (cause) => {
        throw cause;
      },
    });
    this.endpoint.handle(PROTOCOL, {
      frameBytesMax: 1024 * 1024,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: () => ({ payload: NOTHING }),
      onLink: (link) => this.onLink(link),
    });
  }

  onLink(link) {
    link.destroy();
  }
}

export class LinkServer extends Node {
  async start() {
    await this.endpoint.listen();
  }

  address() {
    return this.endpoint.addresses[0];
  }

  onLink(link) {
    let frames = 0;
    link.start({
      onFrame(kind, payload) {
        if (kind === KIND.data) frames++;
        else if (kind === KIND.echo) link.send(kind, payload);
        else link.send(KIND.count, Buffer.from(String(frames)));
      },
      onClose() {},
    });
  }
}

export class LinkClient extends Node {
  #echo;
  #done;

  async pingPong(address, { bytes, durationMs }) {
    this.#echo ??= await this.#open(address, { onFrame: () => this.#done() });
    const link = this.#echo;
    const message = new Uint8Array(bytes).fill(1);
    const once = () =>
      new Promise((resolve) => {
        this.#done = resolve;
        link.send(KIND.echo, message);
      });
    return medianOf(once, { durationMs });
  }

  /** Frames per second, until the other side has all; and how many it had. */
  async stream(address, { bytes, count, perTurn }) {
    let onCount;
    let onDrain;
    const received = new Promise((resolve) => {
      onCount = resolve;
    });
    const link = await this.#open(address, {
      onFrame: (_kind, payload) => onCount(Number(Buffer.from(payload).toString())),
      onDrain: () => onDrain?.(),
    });
    const message = new Uint8Array(bytes).fill(1);
    const began = performance.now();
    for (let sent = 0; sent < count; ) {
      let hasRoom = true;
      for (const end = Math.min(count, sent + perTurn); sent < end && hasRoom; sent++)
        hasRoom = link.send(KIND.data, message);
      if (hasRoom) await turn();
      else
        await new Promise((resolve) => {
          onDrain = resolve;
        });
    }
    link.send(KIND.count, NOTHING);
    const frames = await received;
    const ms = performance.now() - began;
    link.destroy();
    return { perSecond: (count / ms) * 1000, frames };
  }

  async connect(address, { count }) {
    const once = async () => {
      const link = await this.#open(address, { onFrame() {} });
      link.destroy();
    };
    return medianOf(once, { count, durationMs: 10_000 });
  }

  async #open(address, handlers) {
    const link = await this.endpoint.dial({ id: undefined, addresses: [address] }, PROTOCOL, { signal: never });
    link.start({ onClose() {}, ...handlers });
    return link;
  }
}
