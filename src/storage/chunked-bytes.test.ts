import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ChunkedBytes } from "./chunked-bytes.ts";

const chunks = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 12 });

test("bytes in chunks read as if they were one piece, wherever a range begins and ends", () => {
  fc.assert(
    fc.property(chunks, fc.nat(120), fc.nat(120), (pieces, from, to) => {
      const whole = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
      const bytes = ChunkedBytes.of(...pieces);
      assert.equal(bytes.length, whole.length);
      assert.deepEqual(bytes.slice(from, to), whole.slice(from, to));
    }),
  );
});

test("neither the chunk that was given nor a slice is the copy that is kept", () => {
  const given = Uint8Array.of(1, 2, 3);
  const bytes = ChunkedBytes.of(given);
  given.fill(9);
  bytes.slice(0, 3).fill(9);
  assert.deepEqual(bytes.slice(0, 3), Uint8Array.of(1, 2, 3));
});
