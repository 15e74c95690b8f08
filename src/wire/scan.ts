import { Buffer, isUtf8 } from "node:buffer";
import { LIMITS } from "../env/index.ts";
import { DecodeError } from "./bytes.ts";
import { EXTENSION } from "./plain-data.ts";

const DATE_MS_MAX = 8.64e15;
/** Up to here a look at each byte is faster than a call of `isUtf8`. */
const SHORT_TEXT_BYTES = 24;
const PROTO = [...Buffer.from("__proto__")];

/**
 * Walks over MessagePack before anything is made of it: one value, nothing after it, only what `messagePack` writes, in its shortest
 * form; each length compared with the bytes that are left; no deeper than `LIMITS.valueDepthMax`, and no more than
 * `LIMITS.valueItemsMax` items. What passes, decodes. One thing it lets through: a key that comes twice, of which the last counts, on
 * every replica alike; `messagePack` never writes one.
 *
 * @throws DecodeError
 */
export function scanValue(bytes: Uint8Array): void {
  const scanner = new Scanner(bytes);
  scanner.value(0);
  if (scanner.remaining > 0) throw new DecodeError("bytes after the end of the value");
}

type Kind = "bytes" | "text" | "array" | "record" | "integer";

/** A number that follows the token: a length, or the value itself. Outside its range the same value has a shorter form. */
interface Form {
  readonly kind: Kind;
  readonly width: 1 | 2 | 4;
  readonly min: number;
  readonly max: number;
}

const form = (kind: Kind, width: 1 | 2 | 4, min: number, max = 2 ** (8 * width) - 1): Form => ({
  kind,
  width,
  min,
  max,
});

/** By token, less 0xc0. Signed integers are negative, hence between the sign bit and what fewer bytes could hold. */
const FORMS: readonly (Form | undefined)[] = Object.assign(new Array<Form | undefined>(0x20).fill(undefined), {
  4: form("bytes", 1, 0),
  5: form("bytes", 2, 0x100),
  6: form("bytes", 4, 0x10000),
  12: form("integer", 1, 0x80),
  13: form("integer", 2, 0x100),
  14: form("integer", 4, 0x10000),
  16: form("integer", 1, 0x80, 0xdf),
  17: form("integer", 2, 0x8000, 0xff7f),
  18: form("integer", 4, 0x80000000, 0xffff7fff),
  25: form("text", 1, 0x20),
  26: form("text", 2, 0x100),
  27: form("text", 4, 0x10000),
  28: form("array", 2, 0x10),
  29: form("array", 4, 0x10000),
  30: form("record", 2, 0x10),
  31: form("record", 4, 0x10000),
});

class Scanner {
  readonly #bytes: Uint8Array;
  #position = 0;
  #items = 0;
  #view: DataView | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  value(depth: number): void {
    const token = this.#uint(1);
    if (token < 0x80 || token >= 0xe0) return; // small integers
    if (token < 0x90) this.#record(token - 0x80, depth);
    else if (token < 0xa0) this.#array(token - 0x90, depth);
    else if (token < 0xc0) this.#text(token - 0xa0);
    else this.#long(token, depth);
  }

  #long(token: number, depth: number): void {
    const form = FORMS[token - 0xc0];
    if (form === undefined) {
      this.#special(token, depth);
      return;
    }
    const number = this.#number(form);
    switch (form.kind) {
      case "integer":
        break;
      case "bytes":
        this.#skip(number);
        break;
      case "text":
        this.#text(number);
        break;
      case "array":
        this.#array(number, depth);
        break;
      case "record":
        this.#record(number, depth);
        break;
      default:
        form.kind satisfies never;
    }
  }

  #special(token: number, depth: number): void {
    switch (token) {
      case 0xc0: // null
      case 0xc2: // false
      case 0xc3: // true
        break;
      case 0xcb:
        this.#float();
        break;
      case 0xcf: // a bigint that does not fit the signed form
        if (this.#uint(1) < 0x80) throw new DecodeError("a bigint that is not in its only form");
        this.#skip(7);
        break;
      case 0xd3:
        this.#skip(8);
        break;
      case 0xd4:
        this.#marker(depth);
        break;
      case 0xd7:
        this.#date();
        break;
      default:
        throw new DecodeError(`a value of an unknown type (${token})`);
    }
  }

  #float(): void {
    const value = this.#float64();
    const isInteger32 = value >>> 0 === value || value >> 0 === value; // -0 as well
    if (isInteger32 || Number.isNaN(value)) throw new DecodeError("a number that is not in its only form");
  }

  #date(): void {
    if (this.#uint(1) !== EXTENSION.date) throw new DecodeError("an unknown extension");
    const timeMs = this.#float64();
    if (!Number.isInteger(timeMs) || Math.abs(timeMs) > DATE_MS_MAX || Object.is(timeMs, -0)) {
      throw new DecodeError("an invalid date");
    }
  }

  #marker(depth: number): void {
    const type = this.#uint(1);
    if (this.#uint(1) !== 0) throw new DecodeError("an unknown extension");
    if (type === EXTENSION.map) this.#map(depth);
    else if (type === EXTENSION.text) this.#markedText();
    else if (type !== EXTENSION.undefined) throw new DecodeError("an unknown extension");
  }

  #map(depth: number): void {
    const items = this.#lengthOf("array", 0x90, 0x0f);
    if (items % 2 !== 0) throw new DecodeError("a map with a key and no value");
    this.#array(items, depth);
  }

  #markedText(): void {
    const length = this.#lengthOf("bytes", 0, -1);
    const start = this.#position;
    this.#skip(length);
    if (!this.#hasByteOrderMark(start, length) || !this.#isUtf8(start)) {
      throw new DecodeError("a text with a mark that it does not need");
    }
  }

  #array(count: number, depth: number): void {
    this.#enter(count, depth);
    for (let index = 0; index < count; index += 1) this.value(depth + 1);
  }

  #record(count: number, depth: number): void {
    this.#enter(count * 2, depth);
    for (let index = 0; index < count; index += 1) {
      this.#key();
      this.value(depth + 1);
    }
  }

  #enter(items: number, depth: number): void {
    if (depth >= LIMITS.valueDepthMax) throw new DecodeError(`more than ${LIMITS.valueDepthMax} levels`);
    if (items > this.remaining) throw new DecodeError("more items than bytes");
    this.#items += items;
    if (this.#items > LIMITS.valueItemsMax) throw new DecodeError(`more than ${LIMITS.valueItemsMax} items`);
  }

  #key(): void {
    const length = this.#lengthOf("text", 0xa0, 0x1f);
    const start = this.#position;
    this.#text(length);
    if (length === PROTO.length && PROTO.every((byte, index) => this.#bytes[start + index] === byte)) {
      throw new DecodeError("a key `__proto__`");
    }
  }

  #text(length: number): void {
    const start = this.#position;
    this.#skip(length);
    if (length <= SHORT_TEXT_BYTES) {
      let index = start;
      while (index < this.#position && (this.#bytes[index] as number) < 0x80) index += 1;
      if (index === this.#position) return;
    }
    if (this.#hasByteOrderMark(start, length)) throw new DecodeError("a byte order mark without its mark");
    if (!this.#isUtf8(start)) throw new DecodeError("text that is not UTF-8");
  }

  /** From `start` to where we are. */
  #isUtf8(start: number): boolean {
    return isUtf8(this.#bytes.subarray(start, this.#position));
  }

  #hasByteOrderMark(start: number, length: number): boolean {
    const bytes = this.#bytes;
    return length >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
  }

  /** Token and length of something that must be of this kind. Short ones have their length in the token. */
  #lengthOf(kind: Kind, shortToken: number, shortMax: number): number {
    const token = this.#uint(1);
    if (token >= shortToken && token <= shortToken + shortMax) return token - shortToken;
    const form = FORMS[token - 0xc0];
    if (form?.kind !== kind) throw new DecodeError(`something else where ${kind} must be`);
    return this.#number(form);
  }

  #number({ width, min, max }: Form): number {
    const value = this.#uint(width);
    if (value < min || value > max) throw new DecodeError("a number or length that is not in its shortest form");
    return value;
  }

  #skip(length: number): void {
    if (length > this.remaining) throw new DecodeError("the value ends early");
    this.#position += length;
  }

  #float64(): number {
    this.#view ??= new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    const at = this.#position;
    this.#skip(8);
    return this.#view.getFloat64(at);
  }

  /** Big-endian. */
  #uint(width: 1 | 2 | 4): number {
    const at = this.#position;
    this.#skip(width);
    let value = this.#bytes[at] as number;
    for (let index = at + 1; index < at + width; index += 1) value = value * 0x100 + (this.#bytes[index] as number);
    return value;
  }
}
