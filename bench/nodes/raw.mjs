// The peer of every network bench: node:tls and nothing else, TLS 1.3, both ends with an Ed25519 certificate, no resumption.
import { constants } from "node:crypto";
import { connect, createSecureContext, createServer } from "node:tls";
import { built, medianOf, nowUs, turn } from "./measure.mjs";

const ECHO = "bench/echo";
const SINK = "bench/sink";
const HELLO = "bench/hello";
const MODES = { [ECHO]: echo, [SINK]: sink, [HELLO]: hello };

/** A key and a certificate as ours are: larger or smaller ones would be measured too. No session is resumed, as with ours. */
async function credentials() {
  const [{ Identity }, { realEnv }, { makeCredentials }] = await Promise.all([
    built("identity/index.js"),
    built("env/index.js"),
    built("transport/tls/certificate.js"),
  ]);
  const env = realEnv();
  const { key, cert } = makeCredentials(Identity.fromSeed(env.random.bytes(32)));
  return { key, cert, minVersion: "TLSv1.3", sigalgs: "ed25519", secureOptions: constants.SSL_OP_NO_TICKET };
}

export class RawServer {
  #server;
  #port;
  #sockets = new Set();

  async start() {
    const protocols = { ALPNProtocols: Object.keys(MODES), requestCert: true, rejectUnauthorized: false };
    this.#server = createServer({ ...(await credentials()), ...protocols });
    this.#server.on("secureConnection", (socket) => {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      MODES[socket.alpnProtocol]?.(socket);
    });
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.#port = this.#server.address().port;
  }

  port() {
    return this.#port;
  }

  /** Ends all connections too. When that began. */
  close() {
    const beganUs = nowUs();
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    return beganUs;
  }
}

function echo(socket) {
  socket.on("data", (bytes) => socket.write(bytes));
}

/** Four bytes say how many will come; a byte goes back when all are here. */
function sink(socket) {
  let left;
  socket.on("data", (bytes) => {
    left = left === undefined ? bytes.readUInt32BE(0) + 4 - bytes.length : left - bytes.length;
    if (left === 0) socket.write(Buffer.alloc(1));
  });
}

function hello(socket) {
  socket.write(Buffer.alloc(1));
}

export class RawClient {
  #context;
  #echo;

  async start() {
    this.#context = createSecureContext(await credentials());
  }

  /** Median round trip of `bytes` there and back, in microseconds. */
  async pingPong(port, { bytes, durationMs }) {
    this.#echo ??= await this.#open(port, ECHO);
    const socket = this.#echo;
    const message = Buffer.alloc(bytes, 1);
    let left = 0;
    let done;
    socket.removeAllListeners("data");
    socket.on("data", (chunk) => {
      left -= chunk.length;
      if (left === 0) done();
    });
    const once = () =>
      new Promise((resolve) => {
        done = resolve;
        left = bytes;
        socket.write(message);
      });
    return medianOf(once, { durationMs });
  }

  /** Messages per second, until the other side has all. Those of one turn are corked. */
  async stream(port, { bytes, count, perTurn }) {
    const socket = await this.#open(port, SINK);
    const message = Buffer.alloc(bytes, 1);
    const total = Buffer.alloc(4);
    total.writeUInt32BE(bytes * count);
    const received = new Promise((resolve) => socket.once("data", resolve));
    const began = performance.now();
    socket.write(total);
    for (let sent = 0; sent < count; ) {
      socket.cork();
      let hasRoom = true;
      for (const end = Math.min(count, sent + perTurn); sent < end; sent++) hasRoom = socket.write(message);
      socket.uncork();
      if (hasRoom || socket.writableLength === 0) await turn();
      else await new Promise((resolve) => socket.once("drain", resolve));
    }
    await received;
    const ms = performance.now() - began;
    socket.destroy();
    return (count / ms) * 1000;
  }

  /** Median time of a connection, up to the first byte from the other side, in microseconds. */
  async connect(port, { count }) {
    const once = async () => {
      const socket = await this.#open(port, HELLO);
      await new Promise((resolve) => socket.once("data", resolve));
      socket.destroy();
    };
    return medianOf(once, { count, durationMs: 10_000 });
  }

  /** Milliseconds until there is a connection to each of these. */
  async mesh(ports) {
    const began = performance.now();
    const sockets = await Promise.all(ports.map((port) => this.#open(port, ECHO)));
    const ms = performance.now() - began;
    for (const socket of sockets) socket.destroy();
    return ms;
  }

  /** Talks to the first; once that closes or is silent for so long, asks the second. Tells when it had its answer (`answered`). */
  async watch(ports, { silenceMs }) {
    const first = await this.#open(ports[0], ECHO);
    const ping = setInterval(() => first.write("ping"), 5);
    let silence;
    this.answer = new Promise((resolve) => {
      const turnAway = async () => {
        clearInterval(ping);
        clearTimeout(silence);
        const second = await this.#open(ports[1], ECHO);
        second.once("data", () => {
          resolve(nowUs());
          second.destroy();
        });
        second.write("ping");
      };
      const onSilence = () => first.destroy();
      silence = setTimeout(onSilence, silenceMs);
      first.on("data", () => silence.refresh());
      first.once("close", turnAway);
    });
    await new Promise((resolve) => first.once("data", resolve));
  }

  answered() {
    return this.answer;
  }

  #open(port, protocol) {
    return new Promise((resolve, reject) => {
      const socket = connect({
        port,
        host: "127.0.0.1",
        secureContext: this.#context,
        ALPNProtocols: [protocol],
        rejectUnauthorized: false,
      });
      socket.setNoDelay(true);
      socket.once("error", reject);
      socket.once("secureConnect", () => {
        socket.off("error", reject);
        socket.on("error", () => {});
        resolve(socket);
      });
    });
  }
}
