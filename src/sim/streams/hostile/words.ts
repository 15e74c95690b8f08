import type { SeededRandom } from "../../../env/index.ts";
import { ByteWriter, messagePack } from "../../../wire/index.ts";
import type { Parcel } from "../plan.ts";

/** The payload of a frame of values, whatever they are. @param lengthOf - what is said of each; default: the truth */
export function valuesFrame(
  sequence: number,
  values: readonly Uint8Array[],
  lengthOf: (value: Uint8Array) => number = ({ length }) => length,
): Uint8Array {
  const writer = new ByteWriter(256).varint(sequence);
  for (const value of values) writer.u32(lengthOf(value)).fixed(value);
  return writer.finish();
}

export function encodeParcel(parcel: Parcel): Uint8Array {
  return messagePack.encode(parcel);
}

/** No MessagePack of ours: a token that is none, one that promises more, one value and something after it, a number in a long form, no bytes. */
export function undecodable(random: SeededRandom): Uint8Array {
  return random.pick([
    Uint8Array.of(0xc1),
    Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0x01, 0x01),
    Uint8Array.of(0xcd, 0x00, 0x01),
    new Uint8Array(0),
    nested(5_000),
  ]);
}

/** What MessagePack can say, and the schema of parcels refuses. */
export function noParcel(random: SeededRandom): Uint8Array {
  return messagePack.encode(random.pick(NO_PARCELS));
}

const NO_PARCELS: readonly unknown[] = [
  null,
  7,
  "parcel",
  [],
  { life: 1, place: 1 },
  { life: "1", place: 1, pad: "" },
  { life: 1, place: -1, pad: "" },
  { life: 1, place: 1.5, pad: "" },
  new Map([["life", 1]]),
];

/** Arrays in arrays. */
export function nested(depth: number): Uint8Array {
  const bytes = new Uint8Array(depth + 1).fill(0x91);
  bytes[depth] = 0xc0;
  return bytes;
}

/** What no codec and no user thought of; some of it makes `fits` throw. */
export function oddCriteria(random: SeededRandom): Uint8Array {
  if (random.chance(1, 4)) return messagePack.encode({ rest: random.below(1_000) });
  return messagePack.encode(random.pick(ODD_CRITERIA));
}

const ODD_CRITERIA: readonly unknown[] = [
  null,
  undefined,
  true,
  -1,
  2n ** 63n,
  "rest",
  [],
  [[[{ rest: 1 }]]],
  {},
  { rest: null },
  { rest: 0 },
  { rest: "1" },
  { constructor: 1, toString: 2 },
  new Map([[{ rest: 1 }, 1]]),
  -(2n ** 63n),
  new Uint8Array(4_000),
];
