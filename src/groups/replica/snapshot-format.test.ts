import { deepEqual, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { incarnation, peer } from "../../../test/groups/kit.ts";
import { LIMITS } from "../../env/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { ChunkList } from "../machine/index.ts";
import { SessionTable } from "../sessions/sessions.ts";
import { encodeSnapshot, type ReplicaFacts, SnapshotDecoder } from "./snapshot-format.ts";

const facts: ReplicaFacts = {
  incarnation: incarnation("ada"),
  position: 12,
  timeMs: 34,
  openIndex: 3,
  establishedIndex: 4,
  origins: [{ incarnation: incarnation("bob"), last: { index: 300, term: 2 }, position: 7 }],
  agreed: { format: 1, version: 2, commands: ["add", "sub"] },
  machine: { name: "counter", version: 2 },
};

function sessions(): SessionTable {
  const table = new SessionTable();
  for (const [index, key] of [5, 9, 11].entries()) table.begin(key, `${index}`.padStart(32, "0"), peer("ada"));
  table.admit(9, 1);
  return table;
}

const encode = (chunks: readonly unknown[]): Uint8Array =>
  Buffer.concat([...encodeSnapshot(facts, sessions(), chunks)]);

describe("a snapshot's data", () => {
  it("comes back as it was, however it is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null))),
        fc.integer({ min: 1, max: 64 }),
        (chunks, size) => {
          fc.pre(!chunks.some((chunk) => Object.is(chunk, -0)));
          const data = encode(chunks);
          const decoder = new SnapshotDecoder(new ChunkList());
          for (let at = 0; at < data.length; at += size) decoder.push(data.subarray(at, at + size));
          const { sessions: table, chunks: decoded, ...rest } = decoder.end();
          deepEqual(rest, facts);
          deepEqual([...decoded], chunks);
          deepEqual([...table.open], [...sessions().open]);
          deepEqual(Buffer.concat([...encodeSnapshot(rest, table, decoded)]), data);
        },
      ),
    );
  });

  it("is kept apart from the buffers that it comes in, which their owner uses again", () => {
    const data = encode(["x".repeat(1_000), "y"]);
    const decoder = new SnapshotDecoder(new ChunkList());
    const piece = Buffer.alloc(48);
    for (let at = 0; at < data.length; at += piece.length) {
      const bytes = piece.subarray(0, piece.write(Buffer.from(data.subarray(at)).toString("latin1"), "latin1"));
      decoder.push(bytes);
      piece.fill(0xff);
    }
    const { sessions: table, chunks } = decoder.end();
    deepEqual([...table.open], [...sessions().open]);
    deepEqual([...chunks], ["x".repeat(1_000), "y"]);
  });

  it("that is damaged, short or out of order is refused", () => {
    const data = encode([1, "two", { three: 3 }]);
    const decode = (bytes: Uint8Array): void => {
      const decoder = new SnapshotDecoder(new ChunkList());
      decoder.push(bytes);
      decoder.end();
    };
    for (let length = 0; length < data.length; length++) throws(() => decode(data.subarray(0, length)), DecodeError);
    throws(() => decode(Buffer.concat([data, data])), DecodeError);
    const parts = [...encodeSnapshot(facts, sessions(), [1])] as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
    const [first, table, chunk, end] = parts;
    for (const wrong of [
      [table, first, chunk, end],
      [first, chunk, table, end],
      [first, table, end],
      [first, table, chunk, chunk, end],
    ]) {
      throws(() => decode(Buffer.concat(wrong)), DecodeError);
    }
    throws(() => decode(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 1)), DecodeError);
  });

  it("holds no chunk that could not be read again", () => {
    throws(() => encode([new Uint8Array(LIMITS.snapshotPartBytesMax)]), RangeError);
  });
});
