import { badOption, checkName } from "../env/index.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { readValue } from "./value-reader.ts";
import { writeValue } from "./value-writer.ts";

/** Values to bytes and back. Deterministic: equal values that were built alike give equal bytes. */
export interface Codec<T> {
  /** Compared between peers: the same name, the same bytes. */
  readonly name: string;
  /** @throws whatever the value lacks; the caller's call fails with it */
  encode(value: T): Uint8Array;
  /** @throws DecodeError, or anything: bytes of a peer make no sense, and its link is closed */
  decode(bytes: Uint8Array): T;
}

/** A codec for values among others in one message: none needs a buffer of its own. */
export interface InlineCodec<T> {
  readonly name: string;
  /** Appends it. @throws as `Codec.encode`; the writer is as it was */
  write(writer: ByteWriter, value: T): void;
  /** Reads one of so many bytes. @throws as `Codec.decode` */
  read(reader: ByteReader, bytes: number): T;
}

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
 * @throws encode: `not-encodable`, with the value in `details.rejected`; decode: `DecodeError`
 */
export const messagePack: Codec<unknown> = {
  name: "msgpack/1",
  encode(value) {
    // A getter of the value may encode as well, and then needs a writer of its own.
    const writer = idle ?? new ByteWriter(WRITER_BYTES);
    idle = undefined;
    try {
      writeValue(writer, value);
      return writer.finish();
    } finally {
      idle = writer;
    }
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const value = readValue(reader);
    reader.end();
    return value;
  },
};

/** Values of half as many bytes are copied when they are done; larger ones take the buffer with them. */
const WRITER_BYTES = 8 * 1024;
let idle: ByteWriter | undefined;

/** As it is within a message. */
export function inline<T>(codec: Codec<T>): InlineCodec<T> {
  if (codec === (messagePack as Codec<unknown>)) return inlineMessagePack as InlineCodec<T>;
  return {
    name: codec.name,
    write: (writer, value) => void writer.fixed(codec.encode(value)),
    // What it makes of them may be a view: nobody else's, then.
    read: (reader, bytes) => codec.decode(reader.own(bytes)),
  };
}

/** `messagePack`, within a message. */
export const inlineMessagePack: InlineCodec<unknown> = {
  name: messagePack.name,
  write: writeValue,
  read(reader, bytes) {
    const end = reader.position + bytes;
    const value = readValue(reader);
    reader.endAt(end);
    return value;
  },
};

/** A codec that somebody gave. @throws `bad-option` */
export function checkCodec(option: string, codec: Codec<unknown> | Codec<never>): void {
  if (typeof codec !== "object" || codec === null) throw badOption(option, "must be a codec");
  checkName(`${option}.name`, codec.name);
  if (typeof codec.encode !== "function") throw badOption(`${option}.encode`, "must be a function");
  if (typeof codec.decode !== "function") throw badOption(`${option}.decode`, "must be a function");
}
