import { hashBytes } from "../../identity/index.ts";
import type { Index } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";

/**
 * The same numbers on every replica, others for each command: `sfc32` (Chris Doty-Humphrey, PractRand) seeded by incarnation, index and place in the
 * entry.
 * Made at the first call, since most commands draw none.
 */
export function randomOf(incarnation: IncarnationId, index: Index, ordinal: number): () => number {
  let draw: (() => number) | undefined;
  return () => {
    if (draw === undefined) {
      const seed = Buffer.from(hashBytes(`mosaik/apply-random/1/${incarnation}/${index}/${ordinal}`));
      draw = sfc32(seed.readUInt32LE(0), seed.readUInt32LE(4), seed.readUInt32LE(8), seed.readUInt32LE(12));
    }
    return draw();
  };
}

function sfc32(seedA: number, seedB: number, seedC: number, counter: number): () => number {
  let [a, b, c, d] = [seedA | 0, seedB | 0, seedC | 0, counter | 0];
  return () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return (t >>> 0) / 4_294_967_296;
  };
}
