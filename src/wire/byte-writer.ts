import { Buffer } from "node:buffer";
import { assert } from "../env/index.ts";
import { ID_BYTES, type UniqueId } from "../identity/index.ts";
import { copyBytes } from "./copies.ts";

const INITIAL_BYTES = 256;
const BITS_29 = 0x20000000;

/** The bytes that `varint` writes for this value. */
export function varintBytes(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
}

/** A buffer of at least so many bytes, whatever they hold, that nobody else uses. */
export type Allocate = (bytesMin: number) => Buffer;

const allocateAnew: Allocate = (bytes) => Buffer.allocUnsafeSlow(bytes);

/**
 * Builds a message in one growing buffer. Reusable: `finish` hands the bytes over and begins anew.
 *
 * All integers are unsigned, fixed ones big-endian. A variable one is LEB128 in its shortest form. Values outside their range are
 * bugs of the caller (assertion).
 */
export class ByteWriter {
  readonly #allocate: Allocate;
  #buffer: Buffer;
  #length = 0;

  /** @param allocate - where its buffers come from. Default: new ones */
  constructor(initialBytes = INITIAL_BYTES, allocate = allocateAnew) {
    this.#allocate = allocate;
    this.#buffer = allocate(Math.max(16, initialBytes));
  }

  /** Bytes written since the last `finish` or `reset`. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    assert(value >= 0 && value <= 0xff && Number.isInteger(value), "an unsigned byte");
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  u16(value: number): this {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16BE(value, this.#length);
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32BE(value, this.#length);
    return this;
  }

  /** Four bytes that were written already get another value: a length, known after what it is of. @param at - where they begin */
  patchU32(at: number, value: number): this {
    assert(at >= 0 && at + 4 <= this.#length, "what was written");
    this.#buffer.writeUInt32BE(value, at);
    return this;
  }

  u64(value: bigint): this {
    this.#reserve(8);
    this.#length = this.#buffer.writeBigUInt64BE(value, this.#length);
    return this;
  }

  float64(value: number): this {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleBE(value, this.#length);
    return this;
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** @param value - an integer in [0, 2^53) */
  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, "an unsigned safe integer");
    this.#reserve(8);
    const buffer = this.#buffer;
    let position = this.#length;
    let rest = value;
    while (rest >= BITS_29) {
      buffer[position++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      buffer[position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[position++] = rest;
    this.#length = position;
    return this;
  }

  /** Length, then the bytes. */
  bytes(value: Uint8Array): this {
    return this.varint(value.length).fixed(value);
  }

  /** Length in bytes, then the text in UTF-8. */
  text(value: string): this {
    const length = Buffer.byteLength(value);
    return this.varint(length).utf8(value, length);
  }

  /** Bytes start..end of these, alone. */
  range(bytes: Uint8Array, start: number, end: number): this {
    this.#reserve(end - start);
    copyBytes(bytes, start, end, this.#buffer, this.#length);
    this.#length += end - start;
    return this;
  }

  /** All that another writer holds. */
  append(other: ByteWriter): this {
    return this.range(other.#buffer, 0, other.#length);
  }

  /** All that was written, to this place of a larger buffer. */
  copyTo(target: Uint8Array, at: number): void {
    copyBytes(this.#buffer, 0, this.#length, target, at);
  }

  /** The text alone. @param bytes - its length in UTF-8 */
  utf8(value: string, bytes: number): this {
    this.#reserve(bytes);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
    return this;
  }

  /** The text alone, if it is ASCII; else false, and nothing is written. For short ones: a call of the platform costs more than a few characters. */
  ascii(value: string): boolean {
    const { length } = value;
    this.#reserve(length);
    const buffer = this.#buffer;
    const start = this.#length;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) return false;
      buffer[start + index] = code;
    }
    this.#length = start + length;
    return true;
  }

  /** 32 bytes. */
  id(value: UniqueId): this {
    this.#reserve(ID_BYTES);
    const written = this.#buffer.write(value, this.#length, "hex");
    assert(written === ID_BYTES && value.length === 2 * ID_BYTES, "an id");
    this.#length += ID_BYTES;
    return this;
  }

  /** The bytes alone: the reader knows how many. */
  fixed(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  reset(): this {
    return this.truncate(0);
  }

  /** Takes back what was written after the first `length` bytes. */
  truncate(length: number): this {
    this.#length = Math.min(this.#length, length);
    return this;
  }

  /** What was written, without a copy: valid until the next write. */
  view(): Uint8Array {
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset, this.#length);
  }

  /** What was written; the caller's own from now on. The writer is empty again. */
  finish(): Uint8Array {
    const written = this.view();
    this.#length = 0;
    // A well-filled buffer is given away. Copying is cheaper than to keep much more memory alive than is used.
    if (written.length * 2 < this.#buffer.length) return written.slice();
    // The next message may be as long as this one. Much more than it needs would be garbage by the gigabyte for who writes long ones.
    const ahead = written.length + (written.length >>> 3);
    this.#buffer = this.#allocate(Math.min(this.#buffer.length, ahead));
    return written;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const larger = this.#allocate(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
