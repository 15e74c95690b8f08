import { deepEqual, equal } from "node:assert/strict";
import { it } from "node:test";
import { LIMITS } from "../../env/index.ts";
import { Chunker } from "./chunker.ts";

it("pieces come out as they went in, in chunks of about one size", () => {
  const chunker = new Chunker();
  const pieces = Array.from({ length: 40 }, (_, i) => new Uint8Array(20_000 + i).fill(i));
  const chunks = [...pieces.map((piece) => chunker.add(piece)), chunker.end()].filter((chunk) => chunk !== undefined);
  deepEqual(Buffer.concat(chunks), Buffer.concat(pieces));
  for (const { length } of chunks.slice(0, -1))
    equal(length >= LIMITS.snapshotChunkBytes && length < LIMITS.snapshotChunkBytes + 20_040, true);
  equal(chunks.length, 3);
  equal(chunker.end(), undefined);
});
