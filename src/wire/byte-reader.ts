import { Buffer, isUtf8 } from "node:buffer";
import { ID_BYTES, type UniqueId } from "../identity/index.ts";
import { copyOf } from "./copies.ts";
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

/** The longest text that is made of single characters. */
const CHARACTERS_MAX = 8;
/** To copy less is little work. */
const OWN_BYTES_MIN = 4 * 1024;

/**
 * Takes a message apart. Nothing is read beyond its end, and no length is believed before it was compared with what is there.
 *
 * `bytes`, `fixed` and `rest` are views: they keep the whole message (and the chunk that it came in) alive. What is retained for long
 * is taken with `bytesCopy` or `own`.
 *
 * @throws DecodeError from every method
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  /** The same bytes, made for texts and ids alone: most messages have none, and a `Buffer` costs more than reading them. */
  #buffer: Buffer | undefined;
  #position = 0;
  readonly #isOwn: boolean;

  /**
   * @param position - where to begin
   * @param isOwn - nobody else has the bytes: see `own`
   */
  constructor(bytes: Uint8Array, position = 0, isOwn = false) {
    this.#bytes = bytes;
    this.#position = position;
    this.#isOwn = isOwn;
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

  /** For a reader who keeps it, and may change it: a copy. Most of a message that is nobody else's is not copied. */
  own(length: number): Uint8Array {
    const part = this.fixed(length);
    const isMost = length >= OWN_BYTES_MIN && length * 2 >= this.#bytes.buffer.byteLength;
    return this.#isOwn && isMost ? part : copyOf(part);
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
