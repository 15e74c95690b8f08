import { LIMITS } from "../../../env/index.ts";
import { FRAME } from "../../../streams/index.ts";
import { encodeFrame, FRAME_HEADER_BYTES, messagePack } from "../../../wire/index.ts";
import type { HostileLine } from "./line.ts";
import { noParcel, undecodable, valuesFrame } from "./words.ts";

/** What a producer says once it has let a consumer in. Ends early if the link does. @param lane - of this consumer and stream, the last one's or a new one */
export type Script = (line: HostileLine, lane: string) => void | Promise<void>;

const MIB = 1024 * 1024;
/** Before bytes, when there are many. */
const BYTES_HEADER = 5;
/** Before a value. */
const LENGTH_BYTES = 4;

/** All in order, but for the leaps of the sequence, and then an end of some kind. */
const FAIR: Record<string, Script> = {
  silent: () => {},
  orderly: async (line, lane) => {
    const { random } = line;
    let next = random.pick([1, 1_000]);
    line.accept(lane, next);
    for (let i = random.between(1, 30); i > 0 && line.isOpen; i--) {
      const count = random.between(1, 6);
      line.values(next, line.parcels(count));
      next += count;
      await line.sleep(random.pick([0, 1, 50, 200]));
    }
    await line.part();
  },
  leaping: async (line, lane) => {
    const { random } = line;
    line.accept(lane, 1);
    let sequence = 1;
    for (let i = random.between(1, 6); i > 0 && line.isOpen; i--) {
      sequence += Math.floor((Number.MAX_SAFE_INTEGER - sequence) / random.pick([2, 3, 1_000_000]));
      line.values(sequence++, line.parcels(1));
      await line.sleep(random.pick([0, 30]));
    }
    line.values(Number.MAX_SAFE_INTEGER, line.parcels(1));
    await line.part();
  },
  flooding: async (line, lane) => {
    const { random } = line;
    line.accept(lane, 1);
    let next = 1;
    for (let i = random.pick([20, 200, 1_000]); i > 0 && line.isOpen; i--) {
      const count = random.between(1, 20);
      if (!line.values(next, line.parcels(count))) await line.drained();
      next += count;
    }
    await line.part();
  },
  large: async (line, lane) => {
    const { random } = line;
    line.accept(lane, 1);
    for (let next = 1; next <= 3 && line.isOpen; next++) {
      if (!line.values(next, [line.parcel(random.pick([100_000, MIB, 4 * MIB - 100]))])) await line.drained();
    }
    await line.part();
  },
  parting: async (line, lane) => {
    line.accept(lane, 1);
    if (line.random.chance(1, 2)) line.values(1, line.parcels(2));
    await line.part();
  },
};

/** The consumer may put up with it, or not: that is up to its options, and to what came by an earlier link. */
const DOUBTFUL: Record<string, Script> = {
  refusable: async (line, lane) => {
    const { random } = line;
    line.accept(lane, 1);
    for (let next = 1; next <= 20 && line.isOpen; next++) {
      line.values(next, [random.chance(1, 3) ? noParcel(random) : line.parcel()]);
      await line.sleep(random.pick([0, 20]));
    }
    await line.part();
  },
  "refusable by the thousand": async (line, lane) => {
    line.accept(lane, 1);
    const values = Array.from({ length: 3_000 }, () => noParcel(line.random));
    line.values(1, [...values, line.parcel()]);
    line.values(3_002, line.parcels(1));
    await line.part();
  },
  "size limit": (line, lane) => {
    line.accept(lane, 1);
    const { streamValueBytesMax, streamFrameBytesMax } = LIMITS;
    const largest = messagePack.encode(new Uint8Array(streamValueBytesMax - BYTES_HEADER));
    const leftBytes = streamFrameBytesMax - valuesFrame(1, [largest]).length;
    line.values(1, [largest, messagePack.encode(new Uint8Array(leftBytes - LENGTH_BYTES - BYTES_HEADER))]);
  },
  "lane that goes back": async (line, lane) => {
    line.accept(lane, line.random.between(1, 4));
    line.values(4, line.parcels(3));
    await line.part();
  },
};

/** Whoever hears this ends the link. */
const BROKEN: Record<string, Script> = {
  "accepts twice": (line, lane) => {
    line.accept(lane, 1);
    if (line.random.chance(1, 2)) line.values(1, line.parcels(2));
    line.accept(line.random.chance(1, 2) ? lane : "11".repeat(16), line.random.between(1, 9));
  },
  "sends before it accepts": (line, lane) => {
    line.values(1, line.parcels(1));
    line.accept(lane, 1);
  },
  "goes back": async (line, lane) => {
    const { random } = line;
    line.accept(lane, random.between(1, 10));
    line.values(10, line.parcels(3));
    await line.sleep(random.pick([0, 10]));
    // Into what came, or to the beginning.
    line.values(random.pick([0, 1, 10, 12]), line.parcels(random.between(1, 3)));
    line.values(13, line.parcels(2));
  },
  "leaps beyond all numbers": (line, lane) => {
    line.accept(lane, 1);
    line.values(Number.MAX_SAFE_INTEGER - line.random.below(2), line.parcels(4));
  },
  "has no values": (line, lane) => {
    line.accept(lane, 1);
    line.link.send(FRAME.values, line.random.pick([new Uint8Array(0), Uint8Array.of(1), Uint8Array.of(0xff)]));
  },
  "lies about lengths": (line, lane) => {
    line.accept(lane, 1);
    const lie = line.random.pick([1, -1, 1_000, LIMITS.streamValueBytesMax, 0xffff_0000]);
    line.link.send(
      FRAME.values,
      valuesFrame(1, line.parcels(1), ({ length }) => length + lie),
    );
  },
  "makes no sense": (line, lane) => {
    line.accept(lane, 1);
    line.values(1, [...line.parcels(line.random.below(3)), undecodable(line.random)]);
  },
  "accepts wrongly": (line) => {
    const { random } = line;
    const lane = random.bytes(16);
    const odd = random.pick([[], [0], [1, 1], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]]);
    line.link.send(FRAME.accept, Uint8Array.from([...lane, ...odd]));
  },
  "is above the limit": (line, lane) => {
    line.accept(lane, 1);
    const bytes = LIMITS.streamFrameBytesMax + 1;
    if (line.random.chance(1, 2)) line.link.send(FRAME.values, new Uint8Array(bytes));
    else line.connection.write(encodeFrame(FRAME.values, new Uint8Array(bytes)).subarray(0, FRAME_HEADER_BYTES));
  },
  "speaks otherwise": (line, lane) => {
    const { random } = line;
    if (random.chance(1, 2)) line.accept(lane, 1);
    line.link.send(random.between(18, 255), random.bytes(random.pick([0, 1, 5_000])));
  },
};

export interface NamedScript {
  readonly name: string;
  readonly standing: "fair" | "doubtful" | "broken";
  readonly run: Script;
}

function named(scripts: Record<string, Script>, standing: NamedScript["standing"]): NamedScript[] {
  return Object.entries(scripts).map(([name, run]) => ({ name, standing, run }));
}

export const SCRIPTS: readonly NamedScript[] = [
  ...named(FAIR, "fair"),
  ...named(DOUBTFUL, "doubtful"),
  ...named(BROKEN, "broken"),
];
