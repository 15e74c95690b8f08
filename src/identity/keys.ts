import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { inspect } from "node:util";
import { ID_BYTES, type PeerId, UniqueId } from "./ids.ts";

// RFC 8410: the fixed DER before the 32 bytes of a private (PKCS #8) or public (SPKI) Ed25519 key.
const PRIVATE_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
export const SIGNATURE_BYTES = 64;

/** A peer's own key pair. It prints as its public id; the secret leaves only by `exportSeed`. */
export class Identity {
  readonly peerId: PeerId;
  readonly #seed: Uint8Array;
  readonly #privateKey: KeyObject;

  private constructor(seed: Uint8Array) {
    this.#seed = Uint8Array.from(seed);
    this.#privateKey = createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, seed]), format: "der", type: "pkcs8" });
    const spki = createPublicKey(this.#privateKey).export({ format: "der", type: "spki" });
    this.peerId = UniqueId.fromBytes(spki.subarray(PUBLIC_PREFIX.length)) as PeerId;
  }

  /** @param seed - the 32 bytes of an Ed25519 secret key (RFC 8032, section 5.1.5) */
  static fromSeed(seed: Uint8Array): Identity {
    if (seed.length !== ID_BYTES) throw new RangeError(`a seed has ${ID_BYTES} bytes, not ${seed.length}`);
    return new Identity(seed);
  }

  /** Ed25519 over the bytes: 64 bytes, the same each time (RFC 8032). */
  sign(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, bytes, this.#privateKey));
  }

  /** For the key file and the transport's certificate, and for nothing else. */
  exportSeed(): Uint8Array {
    return Uint8Array.from(this.#seed);
  }

  toJSON(): string {
    return this.toString();
  }

  toString(): string {
    return `Identity(${UniqueId.short(this.peerId)})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** False for a wrong signature, and for an id that is no curve point. Never throws. */
export function verifySignature(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  try {
    const key = keys.get(peer) ?? parsePublicKey(peer);
    const isValid = verify(null, bytes, key, signature);
    if (isValid) remember(peer, key);
    return isValid;
  } catch {
    return false;
  }
}

/**
 * Parsing a key costs nearly as much as verifying with it, and peers sign more than once. Only keys that have signed something are here,
 * in order of use: names that somebody made up push none out.
 */
const keys = new Map<PeerId, KeyObject>();
const KEYS_MAX = 1_024;

function remember(peer: PeerId, key: KeyObject): void {
  keys.delete(peer);
  keys.set(peer, key);
  if (keys.size <= KEYS_MAX) return;
  const [oldest] = keys.keys();
  if (oldest !== undefined) keys.delete(oldest);
}

/** @throws for an id that is no key */
function parsePublicKey(peer: PeerId): KeyObject {
  const spki = Buffer.concat([PUBLIC_PREFIX, UniqueId.toBytes(peer)]);
  return createPublicKey({ key: spki, format: "der", type: "spki" });
}
