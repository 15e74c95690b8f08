import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { LIMITS } from "../../src/env/index.ts";
import { decodeHello as decodeBondHello, encodeHello as encodeBondHello } from "../../src/groups/bonds/frames.ts";
import type { MemberStatus } from "../../src/groups/bonds/status.ts";
import { hash, hashBytes, Identity, Secret, UniqueId } from "../../src/identity/index.ts";
import type { IncarnationId, StoreId } from "../../src/storage/index.ts";
import { EXPORTER_SECRET_BYTES, KeyExporter } from "../../src/transport/exporter.ts";
import { type Credentials, makeCredentials } from "../../src/transport/tls/certificate.ts";
import { decodeClose, decodeHello, encodeHello } from "../../src/wire/hello.ts";
import { encodeFrame, type Frame, FrameDecoder, type Hello, KIND } from "../../src/wire/index.ts";
import { GROUP, MACHINE, NETWORK, SECRET } from "./protocol.ts";

export const DISCOVERY = "mosaik/discovery/1";
/** Not the victim's own address, so that limits of one address meet the attackers alone. */
const FROM = "127.0.0.66";

const open = new Set<Socket>();

/** What a test left behind. */
export function endAll(): void {
  for (const socket of open) socket.destroy();
  open.clear();
}

export function tcp(port: number): Socket {
  return keep(connectTcp({ host: "127.0.0.1", port, localAddress: FROM }));
}

export function tls(port: number, options: ConnectionOptions): TLSSocket {
  const socket = tcp(port);
  return keep(connectTls({ socket, rejectUnauthorized: false, ...options }));
}

function keep<S extends Socket>(socket: S): S {
  socket.on("error", () => {});
  open.add(socket);
  socket.once("close", () => open.delete(socket));
  return socket;
}

/** Resolves when it is closed, whoever closed it. What comes before is thrown away. */
export function closed(socket: Socket): Promise<unknown> {
  socket.resume();
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once("close", resolve));
}

export function identityOf(number: number): Identity {
  return Identity.fromSeed(hashBytes(`attacker ${number}`));
}

const known = new Map<number, Credentials>();

/** A key and certificate as they should be. */
export function credentials(number = 0): Credentials {
  const made = known.get(number) ?? makeCredentials(identityOf(number));
  known.set(number, made);
  return made;
}

export async function p256(): Promise<Credentials> {
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

/** A peer whose certificate is good: TLS is over, and nothing said yet. */
export async function peer(port: number, number = 0, protocol = DISCOVERY): Promise<TLSSocket> {
  const socket = tls(port, { ...credentials(number), ALPNProtocols: [protocol] });
  await once(socket, "secureConnect");
  return socket;
}

/** A hello as a frame. With a secret, the right proof of it on this connection. */
export function hello(socket: TLSSocket, change: Partial<Hello> = {}, secret?: string, number = 0): Uint8Array {
  const network = UniqueId.from(NETWORK);
  let proof = new Uint8Array(32);
  if (secret !== undefined) {
    const shared = socket.exportKeyingMaterial(EXPORTER_SECRET_BYTES, "EXPORTER-mosaik-connection", Buffer.alloc(0));
    const exported = new KeyExporter(shared).export("mosaik network", UniqueId.toBytes(network), 32);
    proof = new Uint8Array(new Secret(secret).prove(identityOf(number).peerId, exported));
  }
  const plain = { versionMin: 1, versionMax: 1, network, features: 0, proof, payload: new Uint8Array(0) };
  return encodeFrame(KIND.hello, encodeHello({ ...plain, ...change }));
}

/** The code of the close frame that ends the conversation; undefined if there is none. */
export async function closeCode(socket: Socket): Promise<number | undefined> {
  let code: number | undefined;
  onFrames(socket, ({ kind, payload }) => {
    if (kind === KIND.close) code = decodeClose(payload).code;
  });
  socket.once("end", () => socket.end());
  await closed(socket);
  return code;
}

/** Frames as they come, into `onFrame`. */
export function onFrames(socket: Socket, onFrame: (frame: Frame) => void): void {
  const decoder = new FrameDecoder(LIMITS.groupFrameBytesMax);
  socket.on("data", (bytes: Buffer) => {
    decoder.push(new Uint8Array(bytes));
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) onFrame(frame);
  });
}

/**
 * Somebody who knows the secret, bonded with a member as a reader of its incarnation. From here on it reads nothing.
 *
 * @returns the connection, and the incarnation
 */
export async function insider(
  port: number,
  number: number,
): Promise<{ readonly socket: TLSSocket; readonly incarnation: IncarnationId }> {
  // Twice: the first answer tells which incarnation to pretend to be in.
  const first = await bond(port, number, undefined);
  first.socket.destroy();
  const { incarnation } = first.status;
  if (incarnation === undefined) throw new Error("the victim is in an incarnation");
  const { socket } = await bond(port, number, incarnation);
  socket.removeAllListeners("data").pause();
  return { socket, incarnation };
}

async function bond(
  port: number,
  number: number,
  incarnation: IncarnationId | undefined,
): Promise<{ readonly socket: TLSSocket; readonly status: MemberStatus }> {
  const socket = await peer(port, number, "mosaik/group/1");
  const status: MemberStatus = {
    storeId: hash(`store ${number}`) as StoreId,
    incarnation,
    role: incarnation === undefined ? "free" : "reader",
    isOpen: incarnation !== undefined,
    isEligible: false,
    term: 0,
    leader: undefined,
    isServing: false,
    isLeaving: false,
    isReluctant: false,
    isFull: false,
    index: 0,
    left: [],
    last: { index: 0, term: 0 },
    origins: [],
    distance: 1,
    position: 0,
  };
  const machine = { name: MACHINE, version: 1, codec: "msgpack/1" };
  const group = UniqueId.derive(UniqueId.from(NETWORK), UniqueId.toBytes(hash(GROUP)));
  const payload = encodeBondHello({
    group,
    proof: new Uint8Array(0),
    machine,
    openings: { count: 1, ids: ["0".repeat(32)] },
    status,
  });
  const answer = new Promise<MemberStatus>((resolve, reject) => {
    onFrames(socket, ({ kind, payload: bytes }) => {
      if (kind === KIND.hello) resolve(decodeBondHello(decodeHello(bytes).payload).status);
      else if (kind === KIND.close) reject(new Error(`refused: ${JSON.stringify(decodeClose(bytes))}`));
    });
  });
  socket.write(hello(socket, { payload }, SECRET, number));
  return { socket, status: await answer };
}

/** Many of them, `width` at a time, until the time is over. How many there were. */
export async function flood(
  durationMs: number,
  width: number,
  one: (number: number) => Promise<unknown>,
): Promise<number> {
  const endMs = performance.now() + durationMs;
  let count = 0;
  const again = async (): Promise<void> => {
    while (performance.now() < endMs) await one(count++);
  };
  await Promise.all(Array.from({ length: width }, again));
  return count;
}

/** Sends these, one after the other and again, as fast as they are taken. How many were. */
export async function pour(socket: TLSSocket, frames: readonly Uint8Array[], durationMs: number): Promise<number> {
  const end = AbortSignal.timeout(durationMs);
  let sent = 0;
  while (!end.aborted && !socket.destroyed) {
    const isTaken = socket.write(frames[sent++ % frames.length] as Uint8Array);
    if (!isTaken) await once(socket, "drain", { signal: end }).catch(() => {});
  }
  return sent;
}
