import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MosaikError } from "../../env/index.ts";
import { DecodeError, messagePack } from "../../wire/index.ts";
import { fromPlainChunks, PlainIntake, plainChunks } from "./plain-chunks.ts";

function copy(state: object): { copy: object; pieces: Uint8Array[] } {
  const pieces = [...plainChunks(state)].map((chunk) => messagePack.encode(chunk));
  return { copy: fromPlainChunks(pieces.map((piece) => messagePack.decode(piece))), pieces };
}

describe("a plain state in pieces", () => {
  it("comes back equal, with its order, however nested", () => {
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.constant(undefined), fc.boolean());
    const name = fc.string({ minLength: 1 }).filter((text) => text !== "__proto__");
    const { node } = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        leaf,
        fc.array(tie("node"), { maxLength: 40 }),
        fc.dictionary(name, tie("node"), { maxKeys: 40 }),
        fc.array(fc.tuple(leaf, tie("node")), { maxLength: 40 }).map((items) => new Map(items)),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(name, node), (drawn) => {
        const state = structuredClone(drawn);
        fc.pre(!hasNegativeZero(state));
        const again = copy(state);
        deepEqual(again.copy, state);
        deepEqual(copy(again.copy).pieces, again.pieces);
      }),
      { numRuns: 200 },
    );
  });

  it("is made as its pieces come, and is itself what an intake gives back", () => {
    const intake = new PlainIntake();
    for (const piece of plainChunks({ list: [1, 2], table: new Map([["a", { b: null }]]) })) {
      throws(() => intake.take(), DecodeError);
      intake.add(piece);
    }
    const state = fromPlainChunks(intake);
    equal(state, intake.take());
    deepEqual(state, { list: [1, 2], table: new Map([["a", { b: null }]]) });
    deepEqual([...intake], [...plainChunks(state)]);
  });

  it("has small pieces, though it be large and lopsided", () => {
    const items = new Map(Array.from({ length: 5_000 }, (_, i) => [`key ${i}`, { at: i, tags: ["a", "b"] }]));
    const list = Array.from({ length: 3_000 }, (_, i) => i);
    const { copy: again, pieces } = copy({
      empty: {},
      items,
      nested: { deep: [list, items] },
      text: "x".repeat(50_000),
    });
    deepEqual(again, { empty: {}, items, nested: { deep: [list, items] }, text: "x".repeat(50_000) });
    const others = pieces.filter(({ length }) => length < 50_000);
    equal(pieces.length - others.length, 1);
    ok(others.every(({ length }) => length < 16_000));
  });

  it("that is none is refused by name", () => {
    for (const state of [{ a: new Set() }, new (class Thing {})(), { f: () => 1 }, { deep: [Number.NaN] }]) {
      throws(
        () => copy(state),
        (error) => MosaikError.is(error, "not-encodable"),
      );
    }
    throws(() => copy({ a: new Array(5) }), /holes/);
    throws(() => copy({ a: JSON.parse('{"__proto__":1}') as object }), /__proto__/);
  });

  it("pieces that do not fit each other are refused", () => {
    const open = [0, 0];
    const rows: readonly (readonly unknown[])[] = [
      [],
      [5],
      [open],
      [[1, [1]]],
      [open, [2], [2]],
      [open, [2], open, [2]],
      [[0, 7], [2]],
      [open, [9], [2]],
      [open, [1, ["a"]], [2]],
      [open, [1, [1, 2]], [2]],
      [open, [1, ["__proto__", {}]], [2]],
      [open, [0, 0, "__proto__"], [2], [2]],
    ];
    for (const row of rows) throws(() => fromPlainChunks(row), DecodeError);
  });
});

function hasNegativeZero(value: unknown): boolean {
  if (typeof value === "number") return Object.is(value, -0);
  if (value instanceof Map) return [...value].some((item) => item.some(hasNegativeZero));
  return typeof value === "object" && value !== null && Object.values(value).some(hasNegativeZero);
}
