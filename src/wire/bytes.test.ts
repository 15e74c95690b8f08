import { deepEqual, equal, notEqual, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AssertionError } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import { ByteReader, DecodeError } from "./byte-reader.ts";
import { ByteWriter, varintBytes } from "./byte-writer.ts";

/** One field: how it is written, read, and what value it has. */
interface Field {
  readonly value: unknown;
  write(writer: ByteWriter): void;
  read(reader: ByteReader): unknown;
}

const unsigned = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(300),
  fc.integer({ min: 0, max: 52 }).map((bits) => 2 ** bits),
);
const binary = fc.uint8Array({ maxLength: 400 });

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.nat(255).map((value) => ({ value, write: (w: ByteWriter) => w.u8(value), read: (r: ByteReader) => r.u8() })),
  fc
    .nat(0xffffffff)
    .map((value) => ({ value, write: (w: ByteWriter) => w.u32(value), read: (r: ByteReader) => r.u32() })),
  fc.boolean().map((value) => ({ value, write: (w: ByteWriter) => w.bool(value), read: (r: ByteReader) => r.bool() })),
  unsigned.map((value) => ({ value, write: (w: ByteWriter) => w.varint(value), read: (r: ByteReader) => r.varint() })),
  binary.map((value) => ({ value, write: (w: ByteWriter) => w.bytes(value), read: (r: ByteReader) => r.bytes(400) })),
  binary.map((value) => ({
    value,
    write: (w: ByteWriter) => w.bytes(value),
    read: (r: ByteReader) => r.bytesCopy(400),
  })),
  binary.map((value) => ({
    value,
    write: (w: ByteWriter) => w.fixed(value),
    read: (r: ByteReader) => r.fixed(value.length),
  })),
  fc
    .string({ unit: "binary", maxLength: 90 })
    .map((value) => ({ value, write: (w: ByteWriter) => w.text(value), read: (r: ByteReader) => r.text(400) })),
  fc
    .string()
    .map((text) => UniqueId.from(text))
    .map((value) => ({ value, write: (w: ByteWriter) => w.id(value), read: (r: ByteReader) => r.id() })),
);

describe("ByteWriter and ByteReader", () => {
  it("bring back any sequence of fields", () => {
    fc.assert(
      fc.property(fc.array(fc.array(field)), (messages) => {
        const writer = new ByteWriter();
        const written = messages.map((fields) => {
          for (const { write } of fields) write(writer);
          return writer.finish();
        });
        // All are read after all were written: a message that was handed over does not change.
        for (const [index, fields] of messages.entries()) {
          const reader = new ByteReader(written[index] as Uint8Array);
          for (const { value, read } of fields) deepEqual(read(reader), value);
          reader.end();
        }
      }),
    );
  });

  it("copy what a reader keeps, unless the message is its own and little else", () => {
    const message = new Uint8Array(10_000).fill(7);
    const own = (bytes: Uint8Array, length: number, isOwn: boolean) => new ByteReader(bytes, 0, isOwn).own(length);
    equal(own(message, 9_000, true).buffer, message.buffer);
    for (const copy of [
      own(message, 9_000, false),
      own(message, 4_999, true),
      own(message.slice(0, 4_000), 4_000, true),
      own(message.subarray(0, 4_500), 4_500, true),
    ]) {
      notEqual(copy.buffer, message.buffer);
      deepEqual(copy, new Uint8Array(copy.length).fill(7));
    }
    throws(() => own(message, 10_001, true), DecodeError);
  });

  it("make a value or a DecodeError of any bytes, and never look beyond them", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.array(field, { minLength: 1, maxLength: 8 }),
        (bytes, fields) => {
          // The bytes lie within others, as frames lie within chunks.
          const around = new Uint8Array(bytes.length + 64).fill(0xff);
          around.set(bytes, 32);
          const reader = new ByteReader(around.subarray(32, 32 + bytes.length));
          try {
            for (const { read } of fields) read(reader);
            ok(reader.remaining >= 0);
          } catch (error) {
            ok(error instanceof DecodeError, String(error));
          }
        },
      ),
    );
  });

  it("write numbers in one form, and read no other", () => {
    fc.assert(
      fc.property(unsigned, (value) => {
        const bytes = new ByteWriter().varint(value).finish();
        equal(bytes.length, varintBytes(value));
        const longer = Uint8Array.from([...bytes.subarray(0, -1), (bytes.at(-1) as number) | 0x80, 0]);
        throws(() => new ByteReader(longer).varint(), DecodeError);
      }),
    );
  });

  const refused: [string, number[], (reader: ByteReader) => unknown][] = [
    ["a number beyond 2^53", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10], (r) => r.varint()],
    ["a number that never ends", new Array(40).fill(0xff), (r) => r.varint()],
    ["a number above its limit", [101], (r) => r.varint(100)],
    ["a length above its limit", [4, 1, 2, 3, 4], (r) => r.bytes(3)],
    ["a length above what is there", [4, 1, 2, 3], (r) => r.bytes(100)],
    ["a huge length", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], (r) => r.bytes(Number.MAX_SAFE_INTEGER)],
    ["more items than bytes", [3, 0, 0, 0, 0, 0], (r) => r.count(1000, 2)],
    ["half an id", new Array(31).fill(7), (r) => r.id()],
    ["text that is not UTF-8", [2, 0xc3, 0x28], (r) => r.text(10)],
    ["a surrogate in UTF-8", [3, 0xed, 0xa0, 0x80], (r) => r.text(10)],
    ["a boolean of 2", [2], (r) => r.bool()],
    ["half a number", [1, 2, 3], (r) => r.u32()],
    ["nothing", [], (r) => r.u8()],
    ["bytes at the end", [1], (r) => r.end()],
  ];
  for (const [name, bytes, read] of refused) {
    it(`refuse ${name}`, () => {
      throws(() => read(new ByteReader(Uint8Array.from(bytes))), DecodeError);
    });
  }

  it("take limits as inclusive", () => {
    equal(new ByteReader(Uint8Array.of(100)).varint(100), 100);
    equal(new ByteReader(Uint8Array.of(3, 1, 2, 3)).bytes(3).length, 3);
    equal(new ByteReader(Uint8Array.of(2, 0, 0, 0, 0)).count(2, 2), 2);
  });

  it("call a wrong value of our own a bug", () => {
    for (const value of [-1, 1.5, 2 ** 53, Number.NaN]) throws(() => new ByteWriter().varint(value), AssertionError);
    throws(() => new ByteWriter().u8(256), AssertionError);
    throws(() => new ByteWriter().id("abc" as UniqueId), AssertionError);
  });

  it("read views of the message, and copies where one is asked for", () => {
    const message = Uint8Array.of(1, 7, 1, 8);
    const reader = new ByteReader(message);
    const view = reader.bytes(1);
    const copy = reader.bytesCopy(1);
    message.fill(9);
    deepEqual([view[0], copy[0]], [9, 8]);
  });
});
