import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { realEnv } from "../../src/env/index.ts";
import { hashBytes, Identity, Secret, UniqueId } from "../../src/identity/index.ts";
import { type Credentials, makeCredentials } from "../../src/transport/tls/certificate.ts";
import { decodeClose, encodeHello } from "../../src/wire/hello.ts";
import { encodeFrame, type Frame, FrameDecoder, type Hello, KIND } from "../../src/wire/index.ts";
import { NETWORK } from "./protocol.ts";

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

const known = new Map<number, Promise<Credentials>>();

/** A key and certificate as they should be. */
export function credentials(number = 0): Promise<Credentials> {
  const made = known.get(number) ?? makeCredentials(realEnv(), identityOf(number));
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
  const socket = tls(port, { ...(await credentials(number)), ALPNProtocols: [protocol] });
  await once(socket, "secureConnect");
  return socket;
}

/** A hello as a frame. With a secret, the right proof of it on this connection. */
export function hello(socket: TLSSocket, change: Partial<Hello> = {}, secret?: string, number = 0): Uint8Array {
  const network = UniqueId.from(NETWORK);
  let proof = new Uint8Array(32);
  if (secret !== undefined) {
    const exported = socket.exportKeyingMaterial(32, "mosaik network", Buffer.from(UniqueId.toBytes(network)));
    proof = new Uint8Array(new Secret(secret).prove(identityOf(number).peerId, exported));
  }
  const plain = { versionMin: 1, versionMax: 1, network, features: 0, proof, payload: new Uint8Array(0) };
  return encodeFrame(KIND.hello, encodeHello({ ...plain, ...change }));
}

/** The code of the close frame that ends the conversation; undefined if there is none. */
export async function closeCode(socket: Socket): Promise<number | undefined> {
  const decoder = new FrameDecoder(1_000_000);
  let code: number | undefined;
  socket.on("data", (bytes: Buffer) => {
    decoder.push(new Uint8Array(bytes));
    for (let frame: Frame | undefined = decoder.next(); frame !== undefined; frame = decoder.next()) {
      if (frame.kind === KIND.close) code = decodeClose(frame.payload).code;
    }
  });
  socket.once("end", () => socket.end());
  await closed(socket);
  return code;
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
