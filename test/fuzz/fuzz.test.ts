import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { DecodeError } from "../../src/wire/index.ts";
import { fuzz } from "./fuzz.ts";
import type { Target } from "./target.ts";
import { TARGETS } from "./targets.ts";

const INPUTS = 20_000;

test("every decoder gives a value or refuses, whatever comes", (t) => {
  const report = fuzz(TARGETS, INPUTS, 1);
  deepEqual(report.failures, []);
  for (const [name, { accepted, refused }] of Object.entries(report.decoders)) {
    ok(accepted > 0, `${name} accepts what is valid`);
    // Any bytes are a program for the reader, but not any program fits its bytes.
    ok(refused > 0, `${name} refuses what is damaged`);
  }
  t.diagnostic(JSON.stringify(report.decoders));
});

test("one seed, one report", () => {
  deepEqual(fuzz(TARGETS, 2_000, 7), fuzz(TARGETS, 2_000, 7));
});

test("a decoder that does what it must not is caught", () => {
  const bad = (name: string, decode: Target["decode"]): Target => ({
    name,
    make: (chance) => chance.bytes(20),
    decode,
  });
  const isRare = (bytes: Uint8Array): boolean => bytes[3] === 0xff;
  const keep: unknown[] = [];
  const targets = [
    bad("throws", (bytes) => isRare(bytes) && (undefined as unknown as string).length),
    bad("allocates", (bytes) => isRare(bytes) && keep.length < 9 && keep.push(new Uint8Array(2 ** 24))),
    bad("changes", (bytes) => isRare(bytes) && bytes.fill(0)),
    bad("refuses", () => {
      throw new DecodeError("no");
    }),
  ];
  const { failures } = fuzz(targets, 4_000, 1);
  deepEqual([...new Set(failures.map(({ decoder }) => decoder))].sort(), ["allocates", "changes", "throws"]);
  equal(failures.find(({ decoder }) => decoder === "allocates")?.reason.startsWith("allocated"), true);
});
