import { LIMITS } from "../env/index.ts";
import { type ByteReader, DecodeError } from "./byte-reader.ts";
import { ARRAY, BYTES, EXTENSION, type LengthForms, RECORD, SHORT_TEXT_LENGTH, TEXT, TOKEN } from "./value-forms.ts";

const DATE_MS_MAX = 8.64e15;
const INT64_END = 2n ** 63n;

/**
 * The same few keys and names come again and again: finding one costs half of what making it does, and a field is set faster by a text that V8 has seen as
 * a key. By length and first byte; the latest takes the place.
 */
const KEYS_MAX = 256;
const recentKeys: (string | undefined)[] = new Array(KEYS_MAX).fill(undefined);

/**
 * Reads one value, checking all the way: only what `messagePack` writes, in its shortest form; each length compared with the bytes that are left;
 * no deeper than `LIMITS.valueDepthMax`, and no more than `LIMITS.valueItemsMax` items. An array has its places at once, at most one for each byte that is left;
 * beyond that memory is bounded by what was read. One thing it lets through: a key that comes twice, of which the last counts, on every replica alike; `messagePack`
 * never writes one.
 *
 * Byte strings are copies, or the reader's own (`ByteReader.own`); what follows the value is the caller's to read, or to refuse.
 *
 * @throws DecodeError
 */
export function readValue(reader: ByteReader): unknown {
  return new ValueReader(reader).value(0);
}

/**
 * Reads `[name]` or `[name, input]`, as `readValue` does, but without the array around them; names that come again and again are not made anew.
 *
 * @throws DecodeError
 */
export function readNamed(reader: ByteReader): { readonly name: string; readonly input: unknown } {
  return new ValueReader(reader).named();
}

class ValueReader {
  readonly #reader: ByteReader;
  #items = 0;

  constructor(reader: ByteReader) {
    this.#reader = reader;
  }

  value(depth: number): unknown {
    const token = this.#reader.u8();
    if (token < 0x80) return token;
    if (token >= 0xe0) return token - 0x100;
    if (token < 0x90) return this.#record(token - 0x80, depth);
    if (token < 0xa0) return this.#array(token - 0x90, depth);
    if (token < 0xc0) return this.#text(token - 0xa0);
    return this.#long(token, depth);
  }

  named(): { readonly name: string; readonly input: unknown } {
    const count = this.#lengthOf(ARRAY, this.#reader.u8());
    if (count < 1 || count > 2) throw new DecodeError("neither [name] nor [name, input]");
    this.#enter(count, 0);
    // Tokens above these are of long texts, of texts with a mark, and of what is none.
    const name = this.#reader.peek() <= TEXT.token + TEXT.short ? this.#recentText() : this.value(1);
    if (typeof name !== "string") throw new DecodeError("a name that is no text");
    return { name, input: count === 2 ? this.value(1) : undefined };
  }

  #long(token: number, depth: number): unknown {
    switch (token) {
      case TEXT.in1:
      case TEXT.in2:
      case TEXT.in4:
        return this.#text(this.#lengthOf(TEXT, token));
      case BYTES.in1:
      case BYTES.in2:
      case BYTES.in4:
        return this.#bytes(this.#lengthOf(BYTES, token));
      case ARRAY.in2:
      case ARRAY.in4:
        return this.#array(this.#lengthOf(ARRAY, token), depth);
      case RECORD.in2:
      case RECORD.in4:
        return this.#record(this.#lengthOf(RECORD, token), depth);
      case TOKEN.fixext1:
        return this.#marked(depth);
      case TOKEN.fixext8:
        return this.#date();
      default:
        return this.#scalar(token);
    }
  }

  #scalar(token: number): unknown {
    const reader = this.#reader;
    switch (token) {
      case TOKEN.null:
        return null;
      case TOKEN.false:
        return false;
      case TOKEN.true:
        return true;
      case TOKEN.uint8:
        return within(reader.u8(), 0x80, 0xff);
      case TOKEN.uint16:
        return within(reader.u16(), 0x100, 0xffff);
      case TOKEN.uint32:
        return within(reader.u32(), 0x10000, 0xffffffff);
      case TOKEN.int8:
        return within(reader.u8() - 0x100, -0x80, -0x21);
      case TOKEN.int16:
        return within(reader.u16() - 0x10000, -0x8000, -0x81);
      case TOKEN.int32:
        return within(reader.u32() - 0x100000000, -0x80000000, -0x8001);
      case TOKEN.float64:
        return this.#float();
      case TOKEN.int64:
        return BigInt.asIntN(64, reader.u64());
      case TOKEN.uint64:
        return this.#longBigint();
      default:
        throw new DecodeError(`a value of an unknown type (${token})`);
    }
  }

  #float(): number {
    const value = this.#reader.float64();
    const isInteger32 = value >>> 0 === value || value >> 0 === value; // -0 as well
    if (isInteger32 || Number.isNaN(value)) throw new DecodeError("a number that is not in its only form");
    return value;
  }

  /** One that does not fit the signed form. */
  #longBigint(): bigint {
    const value = this.#reader.u64();
    if (value < INT64_END) throw new DecodeError("a bigint that is not in its only form");
    return value;
  }

  #date(): Date {
    if (this.#reader.u8() !== EXTENSION.date) throw new DecodeError("an unknown extension");
    const timeMs = this.#reader.float64();
    if (!Number.isInteger(timeMs) || Math.abs(timeMs) > DATE_MS_MAX || Object.is(timeMs, -0)) {
      throw new DecodeError("an invalid date");
    }
    return new Date(timeMs);
  }

  #marked(depth: number): unknown {
    const type = this.#reader.u8();
    if (this.#reader.u8() !== 0) throw new DecodeError("an unknown extension");
    if (type === EXTENSION.undefined) return undefined;
    if (type === EXTENSION.map) return this.#map(depth);
    if (type === EXTENSION.text) return this.#markedText();
    throw new DecodeError("an unknown extension");
  }

  #map(depth: number): Map<unknown, unknown> {
    const items = this.#array(this.#lengthOf(ARRAY, this.#reader.u8()), depth);
    if (items.length % 2 !== 0) throw new DecodeError("a map with a key and no value");
    const map = new Map<unknown, unknown>();
    for (let index = 0; index < items.length; index += 2) map.set(items[index], items[index + 1]);
    return map;
  }

  #markedText(): string {
    const text = this.#reader.utf8(this.#lengthOf(BYTES, this.#reader.u8()));
    if (!hasMark(text)) throw new DecodeError("a text with a mark that it does not need");
    return text;
  }

  #array(count: number, depth: number): unknown[] {
    this.#enter(count, depth);
    // Of its size from the start: an empty one grows to 17 places with its first item.
    const array: unknown[] = new Array(count);
    for (let index = 0; index < count; index += 1) array[index] = this.value(depth + 1);
    return array;
  }

  #record(count: number, depth: number): Record<string, unknown> {
    this.#enter(count * 2, depth);
    const record: Record<string, unknown> = {};
    for (let index = 0; index < count; index += 1) {
      const key = this.#key();
      record[key] = this.value(depth + 1);
    }
    return record;
  }

  #key(): string {
    const key = this.#recentText();
    if (key === "__proto__") throw new DecodeError("a key `__proto__`");
    return key;
  }

  #recentText(): string {
    const length = this.#lengthOf(TEXT, this.#reader.u8());
    const slot = (length * 31 + this.#reader.peek()) % KEYS_MAX;
    const recent = recentKeys[slot];
    if (recent?.length === length && this.#reader.skipAscii(recent)) return recent;
    const text = this.#text(length);
    if (text.length === length && length <= SHORT_TEXT_LENGTH) recentKeys[slot] = text;
    return text;
  }

  #enter(items: number, depth: number): void {
    if (depth >= LIMITS.valueDepthMax) throw new DecodeError(`more than ${LIMITS.valueDepthMax} levels`);
    if (items > this.#reader.remaining) throw new DecodeError("more items than bytes");
    this.#items += items;
    if (this.#items > LIMITS.valueItemsMax) throw new DecodeError(`more than ${LIMITS.valueItemsMax} items`);
  }

  #bytes(length: number): Uint8Array {
    return this.#reader.own(length);
  }

  #text(length: number): string {
    const ascii = length <= SHORT_TEXT_LENGTH ? this.#reader.ascii(length) : undefined;
    if (ascii !== undefined) return ascii;
    const text = this.#reader.utf8(length);
    if (hasMark(text)) throw new DecodeError("a byte order mark without its mark");
    return text;
  }

  /** By its token, which was read. Short ones have their length in it. */
  #lengthOf({ what, token, short, in1, in2, in4 }: LengthForms, read: number): number {
    if (read >= token && read <= token + short) return read - token;
    if (read === in1 && in1 !== 0) return within(this.#reader.u8(), short + 1, 0xff);
    if (read === in2) return within(this.#reader.u16(), in1 === 0 ? short + 1 : 0x100, 0xffff);
    if (read === in4) return within(this.#reader.u32(), 0x10000, 0xffffffff);
    throw new DecodeError(`something else where ${what} must be`);
  }
}

/** Outside this range the same number has a shorter form. */
function within(value: number, min: number, max: number): number {
  if (value < min || value > max) throw new DecodeError("a number or length that is not in its shortest form");
  return value;
}

function hasMark(text: string): boolean {
  return text.charCodeAt(0) === 0xfeff;
}
