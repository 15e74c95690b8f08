import { constants, type KeyObject, type X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { ID_BYTES, type Identity, type PeerId, UniqueId } from "../../identity/index.ts";

// RFC 8410: the fixed DER before the 32 bytes of a private (PKCS #8) or public (SPKI) Ed25519 key.
const PRIVATE_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/**
 * What comes before the key in what is signed of a certificate (RFC 5280, section 4.1.2; RFC 8410): version 3, number 1, Ed25519, from and to CN=mosaik,
 * from 2020 on without end.
 */
const TO_SIGN_PREFIX = Buffer.from(
  [
    "308183", // 131 bytes, with the key
    "a003020102",
    "020101",
    "300506032b6570",
    "3011310f300d060355040313066d6f7361696b",
    // 4.1.2.5: the year 9999 stands for no well-defined end.
    "3020170d3230303130313030303030305a180f39393939313233313233353935395a",
    "3011310f300d060355040313066d6f7361696b",
  ].join(""),
  "hex",
);
const CERTIFICATE_PREFIX = Buffer.from("3081d0", "hex");
const SIGNATURE_PREFIX = Buffer.from("300506032b6570034100", "hex");

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
export function makeCredentials(identity: Identity): Credentials {
  const pkcs8 = Buffer.concat([PRIVATE_PREFIX, identity.exportSeed()]);
  const toSign = Buffer.concat([TO_SIGN_PREFIX, PUBLIC_PREFIX, UniqueId.toBytes(identity.peerId)]);
  const certificate = Buffer.concat([CERTIFICATE_PREFIX, toSign, SIGNATURE_PREFIX, identity.sign(toSign)]);
  return { key: pemOf("PRIVATE KEY", pkcs8), cert: pemOf("CERTIFICATE", certificate) };
}

/** RFC 7468. */
function pemOf(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
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
