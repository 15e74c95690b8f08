import { timingSafeEqual } from "node:crypto";
import { inspect } from "node:util";
import { blake3 } from "@noble/hashes/blake3.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { type PeerId, UniqueId } from "./ids.ts";

/** A shared secret. It proves itself, and prints as stars. */
export class Secret {
  readonly #key: Uint8Array;

  constructor(text: string) {
    this.#key = blake3(utf8ToBytes(text), { context: utf8ToBytes("mosaik 2026 shared secret") });
  }

  /**
   * What `prover` shows to its peer on one connection: a keyed hash of the TLS exporter's bytes and the prover's id. So it cannot be
   * replayed on another connection, nor reflected to its maker.
   *
   * @param exported - key material that both ends of the connection share (RFC 5705), 32 bytes
   */
  prove(prover: PeerId, exported: Uint8Array): Uint8Array {
    return blake3(Buffer.concat([exported, UniqueId.toBytes(prover)]), { key: this.#key });
  }

  /** Compares in constant time. */
  verify(prover: PeerId, exported: Uint8Array, proof: Uint8Array): boolean {
    return proof.length === 32 && timingSafeEqual(proof, this.prove(prover, exported));
  }

  toJSON(): string {
    return this.toString();
  }

  toString(): string {
    return "Secret(****)";
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
