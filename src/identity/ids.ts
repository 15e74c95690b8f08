import { blake3 } from "@noble/hashes/blake3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

/** 64 lower-case hex digits. A string, so `===`, `Map` keys and JSON work; `UniqueId.short` gives the ten digits that people read. */
export type UniqueId = string & { readonly "~id": true };
/** The Ed25519 public key of a peer. */
export type PeerId = UniqueId & { readonly "~peer": true };

export const ID_BYTES = 32;
const HEX_64 = /^[0-9a-fA-F]{64}$/;

export const UniqueId = {
  /** 64 hex digits decode; any other text is hashed (BLAKE3 of its UTF-8). */
  from(text: string): UniqueId {
    return (HEX_64.test(text) ? text.toLowerCase() : bytesToHex(blake3(utf8ToBytes(text)))) as UniqueId;
  },
  /** The first ten digits, for logs and labels. */
  short(id: UniqueId): string {
    return id.slice(0, 10);
  },
  /** True for 64 lower-case hex digits. */
  is(text: unknown): text is UniqueId {
    return typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
  },
  /** `blake3(id ‖ part ‖ …)`; texts are appended as UTF-8. */
  derive(id: UniqueId, ...parts: readonly (string | Uint8Array)[]): UniqueId {
    return hash(UniqueId.toBytes(id), ...parts);
  },
  toBytes(id: UniqueId): Uint8Array {
    return hexToBytes(id);
  },
  /** @param bytes - exactly 32 */
  fromBytes(bytes: Uint8Array): UniqueId {
    if (bytes.length !== ID_BYTES) throw new RangeError(`an id has ${ID_BYTES} bytes, not ${bytes.length}`);
    return bytesToHex(bytes) as UniqueId;
  },
} as const;

/** BLAKE3 of the parts, one after the other. */
export function hashBytes(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  return blake3(concatBytes(...parts.map((part) => (typeof part === "string" ? utf8ToBytes(part) : part))));
}

export function hash(...parts: readonly (string | Uint8Array)[]): UniqueId {
  return bytesToHex(hashBytes(...parts)) as UniqueId;
}
