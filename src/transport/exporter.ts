import { blake3 } from "@noble/hashes/blake3.js";
import { assert } from "../env/index.ts";

export const EXPORTER_SECRET_BYTES = 32;

/**
 * Key material of one connection, from a secret that both its ends have.
 *
 * Derived by keyed BLAKE3 (its extendable output) rather than asked of TLS each time, so that it can be had when the socket is gone
 * already, and is made alike in all transports.
 */
export class KeyExporter {
  readonly #secret: Uint8Array;

  /** @param secret - 32 bytes, known to both ends and to nobody else */
  constructor(secret: Uint8Array) {
    assert(secret.length === EXPORTER_SECRET_BYTES, "a secret of 32 bytes");
    this.#secret = Uint8Array.from(secret);
  }

  export(label: string, context: Uint8Array, length: number): Uint8Array {
    const name = Buffer.from(label);
    // The length first, so that no other label and context give the same bytes.
    const nameLength = Buffer.alloc(4);
    nameLength.writeUInt32BE(name.length);
    return blake3(Buffer.concat([nameLength, name, context]), { key: this.#secret, dkLen: length });
  }
}
