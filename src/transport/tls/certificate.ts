import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  webcrypto,
  type X509Certificate,
} from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Env } from "../../env/index.ts";
import { ID_BYTES, type Identity, type PeerId, UniqueId } from "../../identity/index.ts";

// RFC 8410: the fixed DER before the 32 bytes of a private (PKCS #8) or public (SPKI) Ed25519 key.
const PRIVATE_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** A key and its certificate, as PEM. */
export interface Credentials {
  readonly key: string;
  readonly cert: string;
}

/** TLS 1.3 with our own certificate, for both roles. */
export function makeSecureContext(credentials: Credentials): SecureContext {
  return createSecureContext({
    ...credentials,
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    sigalgs: "ed25519",
    // With this OpenSSL hands out references into a session cache, which Node keeps empty: nothing is ever resumed.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
}

/** The certificate only carries the key: its names and dates mean nothing, and nobody checks them, so it is the same at each start. */
export async function makeCredentials(env: Env, identity: Identity): Promise<Credentials> {
  const pkcs8 = Buffer.concat([PRIVATE_PREFIX, identity.exportSeed()]);
  const privateKey = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const cert = await env.compute(() => selfSign(pkcs8, spki));
  return { key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(), cert };
}

async function selfSign(pkcs8: Uint8Array, spki: Uint8Array): Promise<string> {
  // Loaded when used: who only simulates does not pay for it.
  await import("reflect-metadata");
  const { X509CertificateGenerator } = await import("@peculiar/x509");
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: "01",
      name: "CN=mosaik",
      notBefore: new Date(Date.UTC(2020, 0, 1)),
      // RFC 5280, 4.1.2.5: no well-defined end.
      notAfter: new Date(Date.UTC(9999, 11, 31, 23, 59, 59)),
      signingAlgorithm: "Ed25519",
      keys: {
        privateKey: await webcrypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]),
        publicKey: await webcrypto.subtle.importKey("spki", spki, "Ed25519", true, ["verify"]),
      },
    },
    webcrypto,
  );
  return certificate.toString("pem");
}

/** The peer that this certificate's key belongs to, or undefined if the key is not Ed25519. TLS has proved that the peer holds it. */
export function peerIdOf(certificate: X509Certificate): PeerId | undefined {
  const key = publicKeyOf(certificate);
  if (key?.asymmetricKeyType !== "ed25519") return undefined;
  const spki = key.export({ format: "der", type: "spki" });
  const isPlain = spki.length === PUBLIC_PREFIX.length + ID_BYTES && spki.indexOf(PUBLIC_PREFIX) === 0;
  return isPlain ? (UniqueId.fromBytes(spki.subarray(PUBLIC_PREFIX.length)) as PeerId) : undefined;
}

function publicKeyOf(certificate: X509Certificate): KeyObject | undefined {
  try {
    return certificate.publicKey;
  } catch {
    return undefined; // an algorithm that OpenSSL does not know
  }
}
