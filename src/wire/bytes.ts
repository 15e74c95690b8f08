import { Buffer, isUtf8 } from "node:buffer";
import { assert } from "../env/index.ts";
import { ID_BYTES, type UniqueId } from "../identity/index.ts";
import { copyBytes } from "./copies.ts";
import { CLOSE } from "./types.ts";

/** Bytes from outside that make no sense. An expected refusal, never a bug: the link they came by closes with `closeCode`. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  /** One of `CLOSE`. */
  readonly closeCode: number;
  /** @param message - for people; holds no byte of the input */
  constructor(message: string, options: { readonly closeCode?: number; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.closeCode = options.closeCode ?? CLOSE.protocolViolation;
  }
}

const INITIAL_BYTES = 256;
const BITS_29 = 0x20000000;
/** The longest text that is made of single characters. */
const CHARACTERS_MAX = 8;

/** The bytes that `varint` writes for this value. */
export function varintBytes(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
}

/**
 * Builds a message in one growing buffer. Reusable: `finish` hands the bytes over and begins anew.
 *
 * All integers are unsigned, fixed ones big-endian. A variable one is LEB128 in its shortest form. Values outside their range are
 * bugs of the caller (assertion).
 */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = INITIAL_BYTES) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(16, initialBytes));
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
    this.#buffer = Buffer.allocUnsafeSlow(this.#buffer.length);
    return written;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/**
 * Takes a message apart. Nothing is read beyond its end, and no length is believed before it was compared with what is there.
 *
 * `bytes`, `fixed` and `rest` are views: they keep the whole message (and the chunk that it came in) alive. What is retained for long
 * is taken with `bytesCopy`.
 *
 * @throws DecodeError from every method
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  /** The same bytes, made for texts and ids alone: most messages have none, and a `Buffer` costs more than reading them. */
  #buffer: Buffer | undefined;
  #position = 0;

  /** @param position - where to begin */
  constructor(bytes: Uint8Array, position = 0) {
    this.#bytes = bytes;
    this.#position = position;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#position;
  }

  /** What is read, whole. */
  get source(): Uint8Array {
    return this.#bytes;
  }

  u8(): number {
    const value = this.#bytes[this.#position];
    if (value === undefined) throw new DecodeError("the message ends early");
    this.#position += 1;
    return value;
  }

  u16(): number {
    return this.u8() * 0x100 + this.u8();
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  u64(): bigint {
    const start = this.#take(8);
    return this.#asBuffer().readBigUInt64BE(start);
  }

  float64(): number {
    const start = this.#take(8);
    return this.#asBuffer().readDoubleBE(start);
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw new DecodeError("neither true nor false");
    return value === 1;
  }

  /** @param max - the largest value that makes sense here */
  varint(max: number = Number.MAX_SAFE_INTEGER): number {
    const first = this.u8();
    const value = first < 0x80 ? first : this.#longVarint(first & 0x7f);
    if (value > max) throw new DecodeError(`${value} is above its limit of ${max}`);
    return value;
  }

  /** A number of items that follow, of at least `itemBytesMin` bytes each, so that an array of it may be allocated. */
  count(max: number, itemBytesMin = 1): number {
    const count = this.varint(max);
    if (count * itemBytesMin > this.remaining) throw new DecodeError("more items than bytes");
    return count;
  }

  bytes(bytesMax: number): Uint8Array {
    return this.fixed(this.varint(bytesMax));
  }

  bytesCopy(bytesMax: number): Uint8Array {
    return this.bytes(bytesMax).slice();
  }

  /** @param bytesMax - in UTF-8. Bytes that are no UTF-8 are refused. */
  text(bytesMax: number): string {
    return this.utf8(this.varint(bytesMax));
  }

  /** A text of so many bytes. Bytes that are no UTF-8 are refused. */
  utf8(length: number): string {
    const start = this.#take(length);
    const buffer = this.#asBuffer();
    if (!isUtf8(buffer.subarray(start, start + length))) throw new DecodeError("text that is not UTF-8");
    return buffer.toString("utf8", start, start + length);
  }

  /** The next byte, which stays to be read; 0 at the end. */
  peek(): number {
    return this.#bytes[this.#position] ?? 0;
  }

  /** Reads this ASCII text, if just that comes next; else false, and nothing is read. */
  skipAscii(text: string): boolean {
    const { length } = text;
    const bytes = this.#bytes;
    const start = this.#position;
    for (let index = 0; index < length; index++) {
      if (bytes[start + index] !== text.charCodeAt(index)) return false;
    }
    this.#position = start + length;
    return true;
  }

  /** A short text of so many bytes, if it is ASCII; else undefined, and nothing is read. */
  ascii(length: number): string | undefined {
    const bytes = this.#bytes;
    const start = this.#position;
    const end = start + length;
    for (let at = start; at < end; at++) if (!((bytes[at] as number) < 0x80)) return undefined;
    this.#position = end;
    // Put together from its characters, a longer one would be a tree of strings.
    if (length > CHARACTERS_MAX) return this.#asBuffer().toString("latin1", start, end);
    let text = "";
    for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at] as number);
    return text;
  }

  id(): UniqueId {
    const start = this.#take(ID_BYTES);
    return this.#asBuffer().toString("hex", start, start + ID_BYTES) as UniqueId;
  }

  fixed(length: number): Uint8Array {
    const start = this.#take(length);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, length);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.fixed(this.remaining);
  }

  /** Refuses what is left over. */
  end(): void {
    if (this.remaining > 0) throw new DecodeError("bytes after the end of the message");
  }

  /** Refuses a part that does not end where it was said to. */
  endAt(position: number): void {
    if (this.#position !== position) throw new DecodeError("a part of another length than was said");
  }

  #take(length: number): number {
    const start = this.#position;
    if (length > this.#bytes.length - start) throw new DecodeError("the message ends early");
    this.#position = start + length;
    return start;
  }

  #asBuffer(): Buffer {
    this.#buffer ??= Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    return this.#buffer;
  }

  #longVarint(low: number): number {
    let value = low;
    for (let scale = 0x80; scale <= 0x2000000000000; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte >= 0x80) continue;
      if (byte === 0 || value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    throw new DecodeError("a number that is too long or not in its shortest form");
  }
}
