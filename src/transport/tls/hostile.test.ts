import { strict as assert } from "node:assert";
import { webcrypto, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
} from "node:tls";
import { MosaikError, realEnv } from "../../env/index.ts";
import type { Identity } from "../../identity/index.ts";
import type { TransportLimits } from "../admission.ts";
import { never, newIdentity, PROTOCOL } from "../conformance-kit.ts";
import { type Address, type Connection, DialError, type DialFailure, type Transport } from "../types.ts";
import { type Credentials, makeCredentials, peerIdOf } from "./certificate.ts";
import { tlsTransport } from "./transport.ts";

const env = realEnv();
const cleanups: (() => unknown)[] = [];
after(() => Promise.all(cleanups.map((cleanup) => cleanup())));

interface Victim {
  readonly identity: Identity;
  readonly transport: Transport;
  readonly incoming: Connection[];
  readonly port: number;
  readonly address: Address;
}

async function victim(limits: Partial<TransportLimits> = {}, listen = "127.0.0.1:0"): Promise<Victim> {
  const identity = newIdentity();
  const transport = tlsTransport({ env, identity, listen, limits });
  cleanups.push(() => transport.close());
  const incoming: Connection[] = [];
  await transport.listen([PROTOCOL], (connection) => incoming.push(connection));
  const address = transport.localAddresses.at(-1) ?? "";
  return { identity, transport, incoming, address, port: Number(address.split(":").at(-1)) };
}

/** A good client, from this address, gets through and is answered. */
async function assertServes(target: Victim, from = "127.0.0.1"): Promise<void> {
  const client = tlsTransport({ env, identity: newIdentity(), listen: `${from}:0` });
  const before = target.incoming.length;
  const peer = { id: target.identity.peerId, addresses: [`127.0.0.1:${target.port}`] };
  const near = await client.dial(peer, PROTOCOL, { signal: never() });
  const answer = new Promise<string>((resolve, reject) => {
    const onData = (bytes: Uint8Array): void => resolve(Buffer.from(bytes).toString());
    near.start({ onData, onEnd: () => reject(new Error("ended")), onDrain: () => {}, onClose: reject });
  });
  near.write(Buffer.from("ping"));
  await until(() => target.incoming.length > before);
  const far = target.incoming.at(-1);
  assert(far !== undefined);
  far.start({ onData: (bytes) => void far.write(bytes), onEnd: () => far.end(), onDrain: () => {}, onClose: () => {} });
  assert.equal(await answer, "ping");
  assert(far.remoteAddress.startsWith(`${from}:`), "an outgoing connection carries the address that we listen on");
  await client.close();
}

function tcp(target: Victim, localAddress = "127.0.0.1"): Socket {
  const socket = connectTcp({ host: "127.0.0.1", port: target.port, localAddress });
  socket.on("error", () => {});
  socket.resume();
  cleanups.push(() => socket.destroy());
  return socket;
}

function tlsClient(target: Victim, options: ConnectionOptions): TLSSocket {
  const socket = connectTls({ host: "127.0.0.1", port: target.port, rejectUnauthorized: false, ...options });
  socket.on("error", () => {});
  socket.resume();
  cleanups.push(() => socket.destroy());
  return socket;
}

const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));
/** Across two ends of a socket there is no event to await. The runner's timeout is the deadline. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
const goodCredentials = (): Credentials => makeCredentials(newIdentity());

async function p256Credentials(): Promise<Credentials> {
  await import("reflect-metadata");
  const { X509CertificateGenerator } = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    { serialNumber: "01", name: "CN=p256", signingAlgorithm: algorithm, keys },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    cert: certificate.toString("pem"),
  };
}

const hostileClients: readonly (readonly [title: string, attack: (target: Victim) => Promise<Socket>])[] = [
  [
    "garbage on plain TCP",
    async (target) => {
      const socket = tcp(target);
      socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
      return socket;
    },
  ],
  [
    "a connection that ends at once",
    async (target) => {
      const socket = tcp(target);
      socket.end();
      return socket;
    },
  ],
  [
    "TLS 1.2",
    async (target) => tlsClient(target, { ...goodCredentials(), ALPNProtocols: [PROTOCOL], maxVersion: "TLSv1.2" }),
  ],
  ["no ALPN", async (target) => tlsClient(target, goodCredentials())],
  [
    "another protocol",
    async (target) => tlsClient(target, { ...goodCredentials(), ALPNProtocols: ["h2", "http/1.1"] }),
  ],
  ["no certificate", async (target) => tlsClient(target, { ALPNProtocols: [PROTOCOL] })],
  [
    "a P-256 certificate",
    async (target) => tlsClient(target, { ...(await p256Credentials()), ALPNProtocols: [PROTOCOL] }),
  ],
  [
    "our own key",
    async (target) => tlsClient(target, { ...makeCredentials(target.identity), ALPNProtocols: [PROTOCOL] }),
  ],
];

for (const [title, attack] of hostileClients) {
  test(`refused, and a good client served beside it: ${title}`, async () => {
    const target = await victim();
    await closed(await attack(target));
    await until(() => target.transport.counters.handshakesFailed > 0);
    assert.equal(target.transport.counters.handshakesFailed, 1);
    assert.equal(target.transport.counters.handshakesTimedOut, 0, "found out, not waited for");
    assert.equal(target.incoming.length, 0, "it never got here");
    assert.equal(target.transport.counters.accepted, 0);
    await assertServes(target);
  });
}

test("a handshake that never ends is cut off at the deadline", async () => {
  const target = await victim({ handshakeTimeoutMs: 60 });
  const silent = tcp(target);
  const halfway = tcp(target);
  // The first bytes of a TLS record that never comes.
  halfway.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
  await Promise.all([closed(silent), closed(halfway)]);
  await until(() => target.transport.counters.handshakesFailed === 2);
  assert.equal(target.transport.counters.handshakesTimedOut, 2);
  await assertServes(target);
});

test("the limit of one address leaves the others alone, and is given back", async () => {
  const target = await victim({ connectionsPerAddressMax: 3 });
  const idle = [tcp(target), tcp(target), tcp(target)];
  await Promise.all(idle.map((socket) => once(socket, "connect")));
  await closed(tcp(target));
  assert.equal(target.transport.counters.overLimit, 1);
  await assertServes(target, "127.0.0.2");
  for (const socket of idle) socket.destroy();
  await until(() => target.transport.counters.handshakesFailed === 3);
  await assertServes(target);
});

test("handshakes in progress are bounded for one address, and in all", async () => {
  const target = await victim({ handshakesPerAddressMax: 2, handshakesInProgressMax: 4 });
  const hold = async (from: string): Promise<Socket> => {
    const socket = tcp(target, from);
    await once(socket, "connect");
    return socket;
  };
  await hold("127.0.0.1");
  await hold("127.0.0.1");
  await closed(tcp(target));
  await assertServes(target, "127.0.0.2");
  await hold("127.0.0.3");
  await hold("127.0.0.3");
  await closed(tcp(target, "127.0.0.4"));
  assert.equal(target.transport.counters.overLimit, 2);
});

test("connections in all are bounded", async () => {
  const target = await victim({ connectionsMax: 1 });
  const client = tlsTransport({ env, identity: newIdentity(), listen: undefined });
  const peer = { id: undefined, addresses: [target.address] };
  const first = await client.dial(peer, PROTOCOL, { signal: never() });
  await assert.rejects(
    client.dial(peer, PROTOCOL, { signal: never() }),
    isDialError("handshake-failed", "unreachable"),
  );
  first.destroy();
  await client.close();
});

test("a certificate has an id only if its key is Ed25519", async () => {
  const identity = newIdentity();
  assert.equal(peerIdOf(new X509Certificate(makeCredentials(identity).cert)), identity.peerId);
  assert.equal(peerIdOf(new X509Certificate((await p256Credentials()).cert)), undefined);
});

test("nothing is resumed", async () => {
  const target = await victim();
  const options = { ...goodCredentials(), ALPNProtocols: [PROTOCOL] };
  const first = tlsClient(target, options);
  const sessions: Buffer[] = [];
  first.on("session", (session: Buffer) => sessions.push(session));
  await once(first, "secureConnect");
  await until(() => target.incoming.length > 0);
  target.incoming[0]?.write(Buffer.from("x"));
  await once(first, "data");
  const [session] = sessions;
  const second = tlsClient(target, { ...options, ...(session === undefined ? {} : { session }) });
  await once(second, "secureConnect");
  assert.equal(second.isSessionReused(), false);
});

function isDialError(...failures: readonly DialFailure[]): (error: unknown) => true {
  return (error) => {
    assert(error instanceof DialError, String(error));
    assert(failures.includes(error.failure), `${error.failure}: ${error.message}`);
    return true;
  };
}

async function listenOn(server: Server): Promise<Address> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  const bound = server.address();
  return `127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
}

const hostileServers: readonly (readonly [
  title: string,
  failure: DialFailure,
  make: (keep: (socket: Socket) => void) => Promise<Server>,
])[] = [
  ["garbage", "handshake-failed", async (keep) => createServer((socket) => keep(socket.end("SSH-2.0-x\r\n")))],
  ["a close at once", "handshake-failed", async () => createServer((socket) => socket.destroy())],
  [
    "TLS 1.2",
    "handshake-failed",
    async (keep) => {
      const options = { ...goodCredentials(), maxVersion: "TLSv1.2", ALPNProtocols: [PROTOCOL] } as const;
      return createTlsServer(options, keep);
    },
  ],
  ["no ALPN", "alpn-refused", async (keep) => createTlsServer(goodCredentials(), keep)],
  [
    "another protocol",
    "alpn-refused",
    async (keep) => createTlsServer({ ...goodCredentials(), ALPNProtocols: ["h2"] }, keep),
  ],
  [
    "a P-256 certificate",
    "handshake-failed",
    async (keep) => createTlsServer({ ...(await p256Credentials()), ALPNProtocols: [PROTOCOL] }, keep),
  ],
];

for (const [title, failure, make] of hostileServers) {
  test(`a dial meets ${title}: ${failure}`, async () => {
    const keep = (socket: Socket): void => {
      socket.on("error", () => {});
      cleanups.push(() => socket.destroy());
    };
    const address = await listenOn(await make(keep));
    const client = tlsTransport({ env, identity: newIdentity(), listen: undefined });
    const dialling = client.dial({ id: undefined, addresses: [address] }, PROTOCOL, { signal: never() });
    await assert.rejects(dialling, isDialError(failure));
    await client.close();
  });
}

test("a dial to somebody who takes the connection and says nothing ends at the deadline", async () => {
  const address = await listenOn(createServer((socket) => void socket.on("error", () => {})));
  const limits = { handshakeTimeoutMs: 60 };
  const client = tlsTransport({ env, identity: newIdentity(), listen: undefined, limits });
  const dialling = client.dial({ id: undefined, addresses: [address] }, PROTOCOL, { signal: never() });
  await assert.rejects(dialling, isDialError("handshake-failed"));
  await client.close();
});

test("names are resolved, and what does not resolve is unreachable", async () => {
  const target = await victim();
  const client = tlsTransport({ env, identity: newIdentity(), listen: undefined });
  const dial = (address: string): Promise<Connection> =>
    client.dial({ id: undefined, addresses: [address] }, PROTOCOL, { signal: never() });
  const near = await dial(`localhost:${target.port}`);
  assert.equal(near.remoteId, target.identity.peerId);
  await assert.rejects(dial("no-such-host.invalid:1"), isDialError("unreachable"));
  await client.close();
});

test("listen refuses what cannot be, by name", async () => {
  const isBadListen = (error: unknown): boolean =>
    MosaikError.is(error, "bad-option") && error.details.option === "listen";
  for (const listen of ["", "nonsense", "host:99999", "[1.2.3.4]:1", "a b:1"]) {
    assert.throws(() => tlsTransport({ env, identity: newIdentity(), listen }), isBadListen, listen);
  }
  for (const listen of ["192.0.2.77:0", "no-such-host.invalid:0"]) {
    const transport = tlsTransport({ env, identity: newIdentity(), listen });
    await assert.rejects(
      transport.listen([PROTOCOL], () => {}),
      isBadListen,
      listen,
    );
    await transport.close();
  }
});

test("all interfaces are advertised, loopback last, and each can be dialled", async () => {
  const target = await victim({}, "0.0.0.0:0");
  const addresses = target.transport.localAddresses;
  assert(addresses.length >= 1);
  assert.equal(addresses.at(-1), `127.0.0.1:${target.port}`);
  assert(!addresses.includes(`0.0.0.0:${target.port}`));
  const client = tlsTransport({ env, identity: newIdentity(), listen: undefined });
  for (const address of addresses) {
    const peer = { id: target.identity.peerId, addresses: [address] };
    assert.equal((await client.dial(peer, PROTOCOL, { signal: never() })).remoteAddress, address);
  }
  await client.close();
});
