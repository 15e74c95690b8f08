import { equal, notEqual } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32c } from "./crc32c.ts";

test("known answers of RFC 3720, and the check value of the catalogue of CRCs", () => {
  const rows: readonly [bytes: Uint8Array, expected: number][] = [
    [Buffer.from("123456789"), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    [new Uint8Array(0), 0],
  ];
  for (const [bytes, expected] of rows) equal(crc32c(bytes), expected);
});

test("a sum in two parts is the sum of the whole, wherever it is cut and starts", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(20), (bytes, cut, from) => {
      const middle = Math.min(cut, bytes.length);
      equal(crc32c(bytes, middle, bytes.length, crc32c(bytes, 0, middle)), crc32c(bytes));
      const start = Math.min(from, bytes.length);
      equal(crc32c(bytes, start), crc32c(bytes.slice(start)));
    }),
  );
});

test("one flipped bit changes the sum", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.nat(), (bytes, where) => {
      const flipped = Uint8Array.from(bytes);
      const at = where % (bytes.length * 8);
      flipped[at >> 3] = (flipped[at >> 3] ?? 0) ^ (1 << (at & 7));
      notEqual(crc32c(flipped), crc32c(bytes));
    }),
  );
});
