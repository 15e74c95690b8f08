import { Buffer } from "node:buffer";
import { LIMITS } from "../env/index.ts";
import { DecodeError } from "./bytes.ts";
import { packValue, registerExtension, unpackValue } from "./msgpack.ts";
import { checkPlainData, EXTENSION, MarkedMap, MarkedText, notEncodable } from "./plain-data.ts";
import { scanValue } from "./scan.ts";

/** Values to bytes and back. Deterministic: equal values that were built alike give equal bytes. */
export interface Codec<T> {
  /** Compared between peers: the same name, the same bytes. */
  readonly name: string;
  /** @throws whatever the value lacks; the caller's call fails with it */
  encode(value: T): Uint8Array;
  /** @throws DecodeError, or anything: bytes of a peer make no sense, and its link is closed */
  decode(bytes: Uint8Array): T;
}

registerExtension({
  Class: Date,
  type: EXTENSION.date,
  pack: (date: Date) => {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeDoubleBE(date.getTime());
    return bytes;
  },
  unpack: (bytes) => new Date(Buffer.from(bytes.buffer, bytes.byteOffset, 8).readDoubleBE()),
});
registerExtension({
  Class: MarkedMap,
  type: EXTENSION.map,
  write: (map) => map.items,
  read: (items) => mapOf(items as unknown[]),
});
registerExtension({
  Class: MarkedText,
  type: EXTENSION.text,
  write: (text) => text.utf8,
  read: (utf8) => Buffer.from(utf8 as Uint8Array).toString(),
});

/**
 * The default codec: MessagePack of plain data. What it encodes comes back the same, in a copy of its own:
 *
 * - null, `undefined` (in fields, items and alone), booleans, texts, numbers (not NaN, not -0), bigint of 64 bits (signed or unsigned);
 * - arrays without holes, plain objects, `Map`, `Date`, `Uint8Array`, nested at most `LIMITS.valueDepthMax` (64) levels,
 *   with at most `LIMITS.valueItemsMax` (131,072) items and fields in all.
 *
 * All else is refused: Set, functions, symbols, class instances, cycles, a key `__proto__`. Two leniencies: a `Buffer` comes back as
 * `Uint8Array`, and an object without prototype as a plain one. Only own, enumerable fields with text keys are data.
 *
 * Deterministic up to the order of keys, which is the order of insertion (integer-like keys first, as everywhere in JavaScript).
 *
 * @throws encode: `not-encodable`, with the value in `details.rejected`; decode: `DecodeError`, before anything was allocated
 */
export const messagePack: Codec<unknown> = {
  name: "msgpack/1",
  encode(value) {
    const bytes = packValue(checkPlainData(value));
    // An item takes a byte at least, so short ones need no count.
    if (bytes.length > LIMITS.valueItemsMax) checkItems(bytes, value);
    return ownBytes(bytes);
  },
  decode(bytes) {
    scanValue(bytes);
    try {
      return unpackValue(bytes);
    } catch (cause) {
      throw new DecodeError("a value that cannot be decoded", { cause });
    }
  },
};

/** Encoded values share a buffer with later ones. That saves an allocation, unless a small value would keep a large buffer alive. */
const SHARED_BUFFER_BYTES = 8 * 1024;

function ownBytes(bytes: Uint8Array): Uint8Array {
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const isFrugal = bytes.buffer.byteLength <= Math.max(SHARED_BUFFER_BYTES, 2 * bytes.length);
  return isFrugal ? view : view.slice();
}

/** @throws `not-encodable` */
function checkItems(bytes: Uint8Array, value: unknown): void {
  try {
    scanValue(bytes);
  } catch (cause) {
    throw notEncodable(value, `a value with more than ${LIMITS.valueItemsMax} items cannot be encoded`, cause);
  }
}

function mapOf(items: readonly unknown[]): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  for (let index = 0; index < items.length; index += 2) map.set(items[index], items[index + 1]);
  return map;
}
