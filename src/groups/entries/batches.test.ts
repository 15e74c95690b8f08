import { deepEqual, equal, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../../env/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../../wire/index.ts";
import { batchOf, commandsOf } from "../testing.ts";
import { encodeBatch, readBatch, writeBatch } from "./batches.ts";

const arbitraryBatches = fc.array(fc.array(fc.uint8Array({ maxLength: 3_000, size: "max" }), { minLength: 1 }));

describe("batches", () => {
  it("lie side by side, and none touches another", () => {
    fc.assert(
      fc.property(arbitraryBatches, (all) => {
        const kept = all.map(batchOf);
        deepEqual(kept.map(commandsOf), all);
      }),
    );
  });

  it("come back from the middle of a message", () => {
    fc.assert(
      fc.property(arbitraryBatches, (all) => {
        const writer = new ByteWriter().u8(7);
        for (const batch of all) writeBatch(writer, batchOf(batch));
        const reader = new ByteReader(writer.u8(9).finish());
        reader.u8();
        deepEqual(
          all.map(() => commandsOf(readBatch(reader))),
          all,
        );
        equal(reader.u8(), 9);
      }),
    );
  });

  it("above the limit are none, and one that fails leaves nothing in the next", () => {
    const large = new Uint8Array(LIMITS.batchBytesMax / 2);
    equal(
      encodeBatch([large, large], (writer, bytes) => writer.fixed(bytes)),
      undefined,
    );
    throws(
      () =>
        encodeBatch([1, 2], (writer, number) => {
          writer.u8(number);
          if (number === 2) throw new RangeError("no");
        }),
      RangeError,
    );
    deepEqual(commandsOf(batchOf([Uint8Array.of(5)])), [Uint8Array.of(5)]);
  });

  it("one may be made while another is: a getter of a command sends a command", () => {
    const inner: unknown[] = [];
    const outer = encodeBatch([1, 2], (writer, number) => {
      writer.u8(number);
      inner.push(commandsOf(batchOf([Uint8Array.of(10 * number)])));
    });
    deepEqual(outer && commandsOf(outer), [Uint8Array.of(1), Uint8Array.of(2)]);
    deepEqual(inner, [[Uint8Array.of(10)], [Uint8Array.of(20)]]);
  });

  it("need a command, and the bytes that they speak of", () => {
    for (const wrong of [[0], [1], [1, 2, 9], [2, 1, 9]]) {
      throws(() => readBatch(new ByteReader(Uint8Array.from(wrong))), DecodeError);
    }
  });
});
