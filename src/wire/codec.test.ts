import { deepStrictEqual, equal, notEqual, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Packr } from "msgpackr/pack";
import { LIMITS, MosaikError } from "../env/index.ts";
import { ByteReader, DecodeError } from "./byte-reader.ts";
import { messagePack } from "./codec.ts";
import { readNamed } from "./value-reader.ts";

const { encode, decode } = messagePack;

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme", minLength: 10, maxLength: 200, size: "max" }),
  fc.string({ unit: "binary", maxLength: 90, size: "max" }).map((rest) => `\ufeff${rest}`),
);
const number = fc.oneof(
  fc.double({ noNaN: true }).filter((value) => !Object.is(value, -0)),
  fc.maxSafeInteger(),
  fc.integer({ min: -70_000, max: 70_000 }),
  fc.constantFrom(-33, -32, -129, -128, -32_769, -32_768, 127, 128, 2 ** 31, 2 ** 32, -(2 ** 31), -(2 ** 31) - 1),
);
const bigint = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.constantFrom(2n ** 63n, 2n ** 63n - 1n, 0n),
);
const key = text.filter((name) => name !== "__proto__" && !name.startsWith("\ufeff"));

const leaf = fc.oneof(
  fc.constantFrom(null, undefined, true, false),
  number,
  bigint,
  text,
  fc.date({ noInvalidDate: true }),
  fc.uint8Array(),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie("value")),
    fc.dictionary(key, tie("value"), { noNullPrototype: true }),
    fc.array(fc.tuple(leaf, tie("value"))).map((entries) => new Map(entries)),
  ),
}));

const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
const ends = fc.option(fc.record({ cut: fc.nat(), more: fc.uint8Array({ maxLength: 3 }) }), { freq: 1 });

/** Bytes of values, with some changed, and in half of them some cut off or put in at the end. */
const damaged = fc.record({ good: value, changes, ends }).map(({ good, changes, ends }) => {
  const bytes = encode(good);
  const { cut = bytes.length, more = new Uint8Array(0) } = ends ?? {};
  const copy = new Uint8Array(Buffer.concat([bytes.subarray(0, cut % (2 * bytes.length + 2)), more]));
  for (const [at, byte] of changes) if (copy.length > 0) copy[at % copy.length] = byte;
  return copy;
});

describe("messagePack", () => {
  it("brings back what it takes, in a copy", () => {
    fc.assert(
      fc.property(value, (sent) => {
        const got = decode(encode(sent));
        deepStrictEqual(got, sent);
        if (typeof sent === "object" && sent !== null) notEqual(got, sent);
      }),
      { numRuns: 300 },
    );
  });

  it("writes the same bytes for the value and its copy, and leaves the value as it is", () => {
    fc.assert(
      fc.property(value, (sent) => {
        const bytes = encode(sent);
        deepStrictEqual(encode(sent), bytes);
        deepStrictEqual(encode(decode(bytes)), bytes);
      }),
    );
  });

  it("makes a value or a DecodeError of any bytes; and no other bytes stand for that value", () => {
    let values = 0;
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), damaged), (bytes) => {
        let got: unknown;
        try {
          got = decode(bytes);
        } catch (error) {
          ok(error instanceof DecodeError, String(error));
          return;
        }
        values += 1;
        if (!hasOrderOfItsOwn(got)) deepStrictEqual(encode(got), bytes);
      }),
      { numRuns: 1_000 },
    );
    ok(values > 50, `only ${values} were values`);
  });

  it("hands over bytes that later calls do not touch", () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 2 }), (values) => {
        const encoded = values.map(encode);
        const copies = encoded.map((bytes) => bytes.slice());
        for (const other of values) encode([other, other]);
        deepStrictEqual(encoded, copies);
      }),
      { numRuns: 50 },
    );
  });

  it("keeps no large buffer alive for a small value", () => {
    encode("x".repeat(1_000_000));
    ok(encode("small").buffer.byteLength <= 8 * 1024);
  });

  it("decodes bytes in the middle of others, and leaves no mark on them", () => {
    const bytes = encode({ name: "ada", data: Uint8Array.of(1, 2) });
    const around = new Uint8Array(bytes.length + 20).fill(0xc1);
    around.set(bytes, 7);
    const view = around.subarray(7, 7 + bytes.length);
    const got = decode(view) as { data: Uint8Array };
    deepStrictEqual(
      Object.getOwnPropertyNames(view).filter((name) => Number.isNaN(Number(name))),
      [],
    );
    around.fill(0);
    deepStrictEqual(got, { name: "ada", data: Uint8Array.of(1, 2) });
  });

  it("takes a Buffer for its bytes, and an object without prototype for a plain one", () => {
    deepStrictEqual(decode(encode(Buffer.from("ab"))), Uint8Array.of(97, 98));
    deepStrictEqual(decode(encode(Object.assign(Object.create(null), { a: 1 }))), { a: 1 });
  });

  const cycle: unknown[] = [];
  cycle.push(cycle);
  const refused: [string, unknown][] = [
    ["-0", -0],
    ["NaN", Number.NaN],
    ["a Set", new Set([1])],
    ["a RegExp", /x/],
    ["a function", () => 1],
    ["a symbol", Symbol("x")],
    ["an array with a hole", Object.assign(new Array(3), { 0: 1, 2: 1 })],
    ["an instance of a class", new (class Order {})()],
    ["a subclass of Date", new (class extends Date {})(0)],
    ["a subclass of Map", new (class extends Map {})()],
    ["a subclass of Array", new (class extends Array {})()],
    ["an error", new Error("x")],
    ["a promise", Promise.resolve()],
    ["a boxed number", Object(1)],
    ["another typed array", new Float64Array(1)],
    ["an invalid date", new Date(Number.NaN)],
    ["a bigint of 65 bits", 2n ** 64n],
    ["a negative bigint of 65 bits", -(2n ** 63n) - 1n],
    ["half a surrogate pair", "a\ud800"],
    ["half a surrogate pair in a key", { "\udc00": 1 }],
    ["a byte order mark in a key", { "\ufeffa": 1 }],
    ["a key __proto__", JSON.parse('{"__proto__":{"isAdmin":true}}')],
    ["a cycle", cycle],
    ["too many levels", nested(LIMITS.valueDepthMax + 1)],
  ];
  for (const [name, bad] of refused) {
    it(`refuses ${name}, alone and within others, and gives it back`, () => {
      for (const whole of [bad, [bad], { field: bad }, new Map([["key", bad]])]) {
        throws(
          () => encode(whole),
          (error) => {
            ok(MosaikError.is(error, "not-encodable"), String(error));
            equal(error.outcome, "not-applied");
            equal(error.details.rejected[0], whole);
            ok(!JSON.stringify(error.details).includes("rejected"));
            return true;
          },
        );
      }
      deepStrictEqual(decode(encode("still well")), "still well");
    });
  }

  it("goes as deep as the limit, and no deeper, in both directions", () => {
    const deepest = nested(LIMITS.valueDepthMax);
    deepStrictEqual(decode(encode(deepest)), deepest);
    const levels = (count: number) => Uint8Array.from([...new Array(count).fill(0x91), 0xc0]);
    ok(Array.isArray(decode(levels(LIMITS.valueDepthMax))));
    throws(() => decode(levels(LIMITS.valueDepthMax + 1)), DecodeError);
    throws(() => decode(new Uint8Array(1_000_000).fill(0x91)), DecodeError);
    throws(() => decode(new Uint8Array(1_000_000).fill(0x81)), DecodeError);
    throws(() => decode(Uint8Array.from(new Array(400).fill([0xd4, 2, 0, 0x92]).flat())), DecodeError);
  });

  it("takes as many items as the limit, at all levels together, and no more, in both directions", () => {
    const half = LIMITS.valueItemsMax / 2;
    const most = [new Array(half - 1).fill(1), new Map([[1, new Array(half - 3).fill(2)]])];
    deepStrictEqual(decode(encode(most)), most);
    throws(() => encode([...most, 1]), { code: "not-encodable", outcome: "not-applied" });
    const header = (count: number): number[] => [0xdd, 0, (count >> 16) & 0xff, (count >> 8) & 0xff, count & 0xff];
    const empty = (count: number): Uint8Array =>
      Uint8Array.from([...header(count), ...new Array(count).fill([0xc4, 0]).flat()]);
    ok(Array.isArray(decode(empty(LIMITS.valueItemsMax))));
    throws(() => decode(empty(LIMITS.valueItemsMax + 1)), DecodeError);
    const fields = Object.fromEntries(Array.from({ length: half + 1 }, (_, index) => [`k${index}`, 0]));
    throws(() => encode(fields), { code: "not-encodable" });
  });

  const hostile: [string, number[]][] = [
    ["nothing", []],
    ["an array of 4 billion items", [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ["an object of 4 billion fields", [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ["4 billion bytes", [0xc6, 0xff, 0xff, 0xff, 0xff]],
    ["a text of 4 billion bytes", [0xdb, 0xff, 0xff, 0xff, 0xff]],
    ["arrays within arrays that share the bytes", [0xdc, 0, 20, ...new Array(20).fill([0xdc, 0, 20]).flat()]],
    ["a record definition", [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1]],
    ["a record of two bytes", [0xd5, 0x72, 0x40, 0x00, 0x91, 0xa1, 0x61, 1]],
    ["the unused token", [0xc1]],
    ["an unknown extension", [0xd4, 9, 0]],
    ["a long extension", [0xc7, 1, 0x42, 1]],
    ["msgpackr's reference", [0xd6, 0x70, 0, 0, 0, 1]],
    ["a marker that marks nothing", [0xd4, 2, 0]],
    ["a map of a number", [0xd4, 2, 0, 5]],
    ["a map with an odd item", [0xd4, 2, 0, 0x91, 1]],
    ["a marked text without a mark", [0xd4, 3, 0, 0xc4, 1, 0x61]],
    ["a key __proto__", [0x81, 0xa9, ...Buffer.from("__proto__"), 0x80]],
    ["a key that is a number", [0x81, 1, 1]],
    ["text that is not UTF-8", [0xa2, 0xc3, 0x28]],
    ["a surrogate in UTF-8", [0xa3, 0xed, 0xa0, 0x80]],
    ["-0", [0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0]],
    ["NaN", [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]],
    ["a float of half the width", [0xca, 0x3f, 0xc0, 0, 0]],
    ["an integer as float", [0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]],
    ["an integer in too many bytes", [0xcd, 0, 5]],
    ["a negative integer in too many bytes", [0xd1, 0xff, 0xff]],
    ["a positive integer in signed form", [0xd0, 5]],
    ["a length in too many bytes", [0xd9, 1, 0x61]],
    ["a bigint in the wrong form", [0xcf, 0, 0, 0, 0, 0, 0, 0, 5]],
    ["a date out of range", [0xd7, 1, 0x7f, 0xe0, 0, 0, 0, 0, 0, 0]],
    ["two values", [1, 2]],
  ];
  for (const [name, bytes] of hostile) {
    it(`refuses to decode ${name}`, () => {
      throws(() => decode(Uint8Array.from(bytes)), DecodeError);
      deepStrictEqual(decode(encode("still well")), "still well");
    });
  }

  it("pollutes no prototype", () => {
    const got = decode(encode({ constructor: { prototype: { polluted: 1 } }, hasOwnProperty: 1, toJSON: 2 }));
    deepStrictEqual(got, { constructor: { prototype: { polluted: 1 } }, hasOwnProperty: 1, toJSON: 2 });
    equal(Reflect.get({}, "polluted"), undefined);
  });

  it("writes what others write, and reads what they read, but for our marks", () => {
    const others = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false, copyBuffers: true });
    const { plain } = fc.letrec<{ plain: unknown }>((tie) => ({
      plain: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, true, false),
        number,
        bigint,
        text.filter((some) => !some.startsWith("\ufeff")),
        fc.uint8Array(),
        fc.array(tie("plain"), { maxLength: 40 }),
        fc.dictionary(key, tie("plain"), { noNullPrototype: true, maxKeys: 40 }),
      ),
    }));
    fc.assert(
      fc.property(plain, (sent) => {
        const bytes = Buffer.from(others.pack(sent));
        deepStrictEqual(Buffer.from(encode(sent)), bytes);
        deepStrictEqual(decode(bytes), sent);
      }),
      { numRuns: 300 },
    );
  });

  it("reads nothing twice: what a getter says when it is written is what was checked", () => {
    let calls = 0;
    const shifty = {
      get field() {
        return calls++ === 0 ? 1 : () => {};
      },
    };
    deepStrictEqual(decode(encode(shifty)), { field: 1 });
    // Encoding within encoding is no use, and does no harm.
    const nosy = {
      get field() {
        return encode([1, 2, 3]).length;
      },
    };
    deepStrictEqual(decode(encode([nosy, "after"])), [{ field: 4 }, "after"]);
  });
});

describe("readNamed", () => {
  /** As `readValue` would have it. */
  const expected = (bytes: Uint8Array): { name: string; input: unknown } | undefined => {
    const [name, input, ...more] = arrayIn(bytes);
    return typeof name === "string" && more.length === 0 ? { name, input } : undefined;
  };
  const arrayIn = (bytes: Uint8Array): unknown[] => {
    try {
      const array = decode(bytes);
      return Array.isArray(array) && array.length <= 2 ? array : [];
    } catch (error) {
      if (error instanceof DecodeError) return [];
      throw error;
    }
  };
  const read = (bytes: Uint8Array): { name: string; input: unknown } | undefined => {
    const reader = new ByteReader(bytes);
    try {
      const named = readNamed(reader);
      reader.end();
      return named;
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  };
  const pair = fc.oneof(
    fc.tuple(text),
    fc.tuple(text, value),
    fc.tuple(fc.constantFrom("add", "set", "__proto__"), value),
  );

  it("reads a name and its input as the array of both", () => {
    fc.assert(
      fc.property(pair, (sent) => {
        deepStrictEqual(read(encode(sent)), { name: sent[0], input: sent[1] });
      }),
      { numRuns: 300 },
    );
  });

  it("refuses what is none, and reads what is one in spite of damage", () => {
    const damagedPair = fc.tuple(pair, fc.nat(), fc.nat(255)).map(([good, at, byte]) => {
      const bytes = Uint8Array.from(encode(good));
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(damagedPair, damaged), (bytes) => deepStrictEqual(read(bytes), expected(bytes))),
      { numRuns: 2_000 },
    );
  });
});

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/** JavaScript sorts integer-like keys to the front, and the last of equal keys counts: such values may have been written otherwise. */
function hasOrderOfItsOwn(value: unknown): boolean {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return false;
  if (value instanceof Map || Array.isArray(value)) return value instanceof Map || value.some(hasOrderOfItsOwn);
  return Object.keys(value).some((key) => /^\d+$/.test(key)) || Object.values(value).some(hasOrderOfItsOwn);
}
