import { deepEqual, equal } from "node:assert/strict";
import { it } from "node:test";
import { copyOf } from "./copies.ts";

it("copies are alike, and nobody else's bytes, whatever their length", () => {
  const lengths = [0, 1, 64, 65, 100, 1023, 1024, 1025, 5000, ...Array.from({ length: 200 }, (_, i) => 60 + i * 5)];
  const sources = lengths.map((length, n) => new Uint8Array(length).fill(n));
  const copies = sources.map(copyOf);
  for (const source of sources) source.fill(255);
  for (const [n, copy] of copies.entries()) {
    deepEqual(copy, new Uint8Array(lengths[n] as number).fill(n));
    equal(copy.byteOffset % 8, 0);
    copy.fill(254);
  }
  for (const copy of copies)
    equal(
      copy.every((byte) => byte === 254),
      true,
    );
});
