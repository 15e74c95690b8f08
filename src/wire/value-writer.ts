import { Buffer } from "node:buffer";
import { LIMITS, mosaikError } from "../env/index.ts";
import type { ByteWriter } from "./byte-writer.ts";
import {
  ARRAY,
  BYTE_ORDER_MARK,
  BYTES,
  EXTENSION,
  type LengthForms,
  RECORD,
  SHORT_TEXT_LENGTH,
  TEXT,
  TOKEN,
} from "./value-forms.ts";

const INT64_MIN = -(2n ** 63n);
const INT64_END = 2n ** 63n;
const UINT64_END = 2n ** 64n;

/**
 * Appends plain data as MessagePack; see `messagePack` for what it takes. Each part is looked at once, so what was checked is what is written.
 *
 * @throws `not-encodable`; the writer is as it was
 */
export function writeValue(writer: ByteWriter, value: unknown): void {
  const start = writer.length;
  try {
    new ValueWriter(writer).value(value, 0);
  } catch (cause) {
    writer.truncate(start);
    if (!(cause instanceof Refused)) throw cause;
    throw mosaikError("not-encodable", `${cause.message} cannot be encoded${cause.reason}`, {
      outcome: "not-applied",
      hidden: { rejected: [value] },
    });
  }
}

/** Says what stands in the way, without a key or a value: these are the caller's secrets. */
class Refused extends Error {
  readonly reason: string;
  constructor(what: string, reason = ": it would not come back the same") {
    super(what);
    this.reason = reason;
  }
}

class ValueWriter {
  readonly #writer: ByteWriter;
  #items = 0;

  constructor(writer: ByteWriter) {
    this.#writer = writer;
  }

  value(value: unknown, depth: number): void {
    switch (typeof value) {
      case "string":
        this.#text(value);
        break;
      case "number":
        this.#number(value);
        break;
      case "boolean":
        this.#writer.u8(value ? TOKEN.true : TOKEN.false);
        break;
      case "undefined":
        this.#marker(EXTENSION.undefined);
        break;
      case "bigint":
        this.#bigint(value);
        break;
      case "object":
        if (value === null) this.#writer.u8(TOKEN.null);
        else this.#object(value, depth);
        break;
      default:
        throw new Refused(`a ${typeof value}`);
    }
  }

  #number(value: number): void {
    const writer = this.#writer;
    if (value >>> 0 === value && !Object.is(value, -0)) {
      if (value < 0x80) writer.u8(value);
      else if (value < 0x100) writer.u8(TOKEN.uint8).u8(value);
      else if (value < 0x10000) writer.u8(TOKEN.uint16).u16(value);
      else writer.u8(TOKEN.uint32).u32(value);
    } else if (value >> 0 === value && value < 0) {
      if (value >= -0x20) writer.u8(0x100 + value);
      else if (value >= -0x80) writer.u8(TOKEN.int8).u8(0x100 + value);
      else if (value >= -0x8000) writer.u8(TOKEN.int16).u16(0x10000 + value);
      else writer.u8(TOKEN.int32).u32(value >>> 0);
    } else {
      if (Number.isNaN(value)) throw new Refused("NaN");
      if (value === 0) throw new Refused("-0");
      writer.u8(TOKEN.float64).float64(value);
    }
  }

  #bigint(value: bigint): void {
    if (value < INT64_MIN || value >= UINT64_END) throw new Refused("a bigint of more than 64 bits");
    this.#writer.u8(value < INT64_END ? TOKEN.int64 : TOKEN.uint64).u64(BigInt.asUintN(64, value));
  }

  #object(value: object, depth: number): void {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) this.#record(value as Record<string, unknown>, depth);
    else if (prototype === Array.prototype) this.#array(value as unknown[], depth);
    else if (value instanceof Uint8Array) this.#bytes(value);
    else if (prototype === Date.prototype) this.#date(value as Date);
    else if (prototype === Map.prototype) this.#map(value as Map<unknown, unknown>, depth);
    else throw new Refused(`an object of class ${className(prototype)}`);
  }

  #record(record: Record<string, unknown>, depth: number): void {
    const keys = Object.keys(record);
    this.#enter(2 * keys.length, depth);
    this.#length(RECORD, keys.length);
    for (const key of keys) {
      if (key === "__proto__") throw new Refused("a key `__proto__`");
      if (key.charCodeAt(0) === BYTE_ORDER_MARK) throw new Refused("a key that begins with a byte order mark");
      this.#text(key, "a key");
      this.value(record[key], depth + 1);
    }
  }

  #array(array: unknown[], depth: number): void {
    const { length } = array;
    this.#enter(length, depth);
    this.#length(ARRAY, length);
    for (let index = 0; index < length; index += 1) {
      const item = array[index];
      if (item === undefined && !(index in array)) throw new Refused("an array with holes");
      this.value(item, depth + 1);
    }
  }

  #map(map: ReadonlyMap<unknown, unknown>, depth: number): void {
    const items = [...map].flat(1);
    this.#enter(items.length, depth);
    this.#marker(EXTENSION.map);
    this.#length(ARRAY, items.length);
    for (const item of items) this.value(item, depth + 1);
  }

  #date(date: Date): void {
    const timeMs = date.getTime();
    if (Number.isNaN(timeMs)) throw new Refused("an invalid date");
    this.#writer.u8(TOKEN.fixext8).u8(EXTENSION.date).float64(timeMs);
  }

  #bytes(bytes: Uint8Array): void {
    this.#length(BYTES, bytes.length);
    this.#writer.fixed(bytes);
  }

  #text(text: string, what = "a text"): void {
    const writer = this.#writer;
    if (text.length <= SHORT_TEXT_LENGTH) {
      const start = writer.length;
      this.#length(TEXT, text.length);
      if (writer.ascii(text)) return;
      writer.truncate(start);
    }
    if (!isWellFormed(text)) throw new Refused(`${what} with half a surrogate pair`);
    const length = Buffer.byteLength(text);
    if (text.charCodeAt(0) === BYTE_ORDER_MARK) {
      this.#marker(EXTENSION.text);
      this.#length(BYTES, length);
    } else {
      this.#length(TEXT, length);
    }
    writer.utf8(text, length);
  }

  #marker(type: number): void {
    this.#writer.u8(TOKEN.fixext1).u8(type).u8(0);
  }

  #length({ token, short, in1, in2, in4 }: LengthForms, length: number): void {
    const writer = this.#writer;
    if (length <= short) writer.u8(token + length);
    else if (length < 0x100 && in1 !== 0) writer.u8(in1).u8(length);
    else if (length < 0x10000) writer.u8(in2).u16(length);
    else writer.u8(in4).u32(length);
  }

  #enter(items: number, depth: number): void {
    if (depth >= LIMITS.valueDepthMax) throw new Refused(`a cycle, or more than ${LIMITS.valueDepthMax} levels,`);
    this.#items += items;
    if (this.#items > LIMITS.valueItemsMax)
      throw new Refused(`a value with more than ${LIMITS.valueItemsMax} items`, "");
  }
}

function className(prototype: unknown): string {
  const name: unknown = (prototype as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === "string" && name !== "" ? name : "unknown";
}

/** ES2024, which Node has since 20; TypeScript's library for our target does not know it. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
