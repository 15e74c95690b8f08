import type { Chance } from "./chance.ts";

export const INPUT_BYTES_MAX = 64 * 1024;

/** What lengths, counts and tokens look like at their ends. */
const TOKENS: readonly Uint8Array[] = [
  [0x00],
  [0x01],
  [0x7f],
  [0x80],
  [0xff],
  [0x80, 0x00],
  [0xff, 0x7f],
  [0x7f, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff],
  // The largest number that a varint may hold, the first above it, and one that never ends.
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  // MessagePack: long bytes, text, arrays, records; NaN, -0; records with what they must not name.
  [0xc6, 0xff, 0xff, 0xff, 0xff],
  [0xdb, 0x7f, 0xff, 0xff, 0xff],
  [0xdc, 0xff, 0xff],
  [0xdd, 0x00, 0x10, 0x00, 0x00],
  [0xdf, 0xff, 0xff, 0xff, 0xff],
  [0xd4, 0x02, 0x00],
  [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  [0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0],
  [0x81, 0xa9, ...Buffer.from("__proto__"), 0xc0],
  // Text: cut off, overlong, half a pair, a byte order mark.
  [0xe2, 0x82],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xef, 0xbb, 0xbf],
].map((bytes) => Uint8Array.from(bytes));

/** What opens something inside something, over and over. */
const NESTS: readonly Uint8Array[] = [
  [0x91],
  [0x81, 0xa1, 0x61],
  [0xd4, 0x02, 0x00, 0x92, 0xc0],
  [0xdc, 0x00, 0x01],
].map((bytes) => Uint8Array.from(bytes));

type Mutation = (bytes: Uint8Array, chance: Chance, other: Uint8Array) => Uint8Array;

const MUTATIONS: readonly Mutation[] = [
  // A bit.
  (bytes, chance) => {
    const copy = bytes.slice();
    const at = chance.below(bytes.length);
    if (bytes.length > 0) copy[at] = (copy[at] as number) ^ (1 << chance.below(8));
    return copy;
  },
  // A byte, by one or to anything.
  (bytes, chance) => {
    const copy = bytes.slice();
    const at = chance.below(bytes.length);
    if (bytes.length > 0)
      copy[at] = chance.isOneIn(2) ? chance.below(256) : (copy[at] as number) + chance.pick([-1, 1]);
    return copy;
  },
  // Cut off.
  (bytes, chance) => bytes.subarray(0, chance.below(bytes.length + 1)),
  // A length, or anything, blown up: in place of what was there, or before it.
  (bytes, chance) => {
    const at = chance.below(bytes.length + 1);
    const token = chance.pick(TOKENS);
    return join(bytes.subarray(0, at), token, bytes.subarray(at + (chance.isOneIn(2) ? token.length : 0)));
  },
  // The head of one, the tail of another.
  (bytes, chance, other) =>
    join(bytes.subarray(0, chance.below(bytes.length + 1)), other.subarray(chance.below(other.length + 1))),
  // A piece twice, or many times.
  (bytes, chance) => {
    const from = chance.below(bytes.length + 1);
    const piece = bytes.subarray(from, from + 1 + chance.size(64));
    const times = chance.isOneIn(8) ? chance.size(400) : 1;
    return join(bytes.subarray(0, from), ...Array.from({ length: times }, () => piece), bytes.subarray(from));
  },
  // A piece less.
  (bytes, chance) => {
    const from = chance.below(bytes.length + 1);
    return join(bytes.subarray(0, from), bytes.subarray(from + 1 + chance.size(16)));
  },
  // Deep.
  (bytes, chance) => {
    const at = chance.below(bytes.length + 1);
    const nest = chance.pick(NESTS);
    const depth = chance.isOneIn(8) ? chance.size(4_000) : chance.size(80);
    return join(bytes.subarray(0, at), ...Array.from({ length: depth }, () => nest), bytes.subarray(at));
  },
];

/** An input: valid bytes, damaged ones, or noise. */
export function makeInput(chance: Chance, valid: readonly Uint8Array[]): Uint8Array {
  const kind = chance.below(20);
  if (kind === 0) return chance.pick(valid);
  if (kind <= 2) return chance.bytes(chance.size(chance.isOneIn(50) ? 4_096 : 128));
  let bytes = chance.pick(valid);
  for (let left = 1 + chance.size(4); left > 0; left--) {
    bytes = chance.pick(MUTATIONS)(bytes, chance, chance.pick(valid)).subarray(0, INPUT_BYTES_MAX);
  }
  // A copy of its own, so that a read beyond its end finds nothing.
  return bytes.slice();
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
