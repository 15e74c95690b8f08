import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { SeededRandom } from "../../src/env/index.ts";
import {
  FRAME_HEAD_BYTES,
  type Frame,
  frameBytes,
  readSegmentHead,
  SECTOR_BYTES,
  sealFrame,
  walkFrames,
} from "../../src/storage/file/frames.ts";
import { sequenceOf } from "../../src/storage/file/layout.ts";

const FILLER = "filler";
const FILLER_CHUNK = Buffer.alloc(1 << 20, 1);

/** Takes all room of the file system that the folder is on. @returns bytes taken */
export function fillDisk(folder: string): number {
  const file = openSync(join(folder, FILLER), "w");
  let bytes = 0;
  try {
    for (let chunk = FILLER_CHUNK.length; chunk >= 512; chunk >>= 1) {
      try {
        for (;;) bytes += writeSync(file, FILLER_CHUNK, 0, chunk);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      }
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}

export function freeDisk(folder: string): void {
  rmSync(join(folder, FILLER), { force: true });
}

/** Stores that were set aside are the operator's to remove. */
export function clearAside(folder: string): void {
  rmSync(join(folder, "aside"), { recursive: true, force: true });
}

/** A disk that is gone: `groups` leaves the peer's key, so the peer comes back with another store. */
export function loseDisk(folder: string, what: "groups" | "all"): void {
  const names = what === "groups" ? ["groups"] : readdirSync(folder);
  for (const name of names) rmSync(join(folder, name), { recursive: true, force: true });
}

/**
 * What a power loss leaves of a write that was under way: some sectors of one more frame, the others as they were, all zeros. The member
 * is down. Nothing that it has synced is touched: a disk that loses that is another fault.
 *
 * @returns false if there is no log, or no room for it
 */
export function tearTail(folder: string, random: SeededRandom): boolean {
  return changeSegment(folder, (bytes, salt, write) => {
    const { end, isTorn } = walkFrames(bytes, salt, () => {});
    if (isTorn) return true;
    const payloadBytes = random.between(2 * SECTOR_BYTES, 8 * SECTOR_BYTES);
    const length = frameBytes(payloadBytes);
    if (end + length > bytes.length) return false;
    const frame = Buffer.alloc(length);
    frame.set(random.bytes(payloadBytes), FRAME_HEAD_BYTES);
    sealFrame(frame, payloadBytes, salt, end);
    // The sectors arrive in any order: each but one may be there.
    const sectors = Math.ceil(((end % SECTOR_BYTES) + length) / SECTOR_BYTES);
    const missing = random.below(sectors);
    for (let sector = 0; sector < sectors; sector++) {
      if (sector !== missing && random.chance(1, 2)) continue;
      const from = Math.max(0, sector * SECTOR_BYTES - (end % SECTOR_BYTES));
      frame.fill(0, from, Math.min(length, (sector + 1) * SECTOR_BYTES - (end % SECTOR_BYTES)));
    }
    write(frame, end);
    return true;
  });
}

/** One bit of what was synced is another: the store has to be put aside. @returns false if there is nothing to damage */
export function damageLog(folder: string, random: SeededRandom): boolean {
  return changeSegment(folder, (bytes, salt, write) => {
    const frames: Frame[] = [];
    walkFrames(bytes, salt, (frame) => frames.push(frame));
    if (frames.length === 0) return false;
    const { from, to } = random.pick(frames);
    const at = random.between(from, to - 1);
    write(Buffer.from([(bytes[at] as number) ^ (1 << random.below(8))]), at);
    return true;
  });
}

type Write = (bytes: Buffer, position: number) => void;

/** The newest segment of the only group in a data directory. */
function changeSegment(folder: string, change: (bytes: Buffer, salt: number, write: Write) => boolean): boolean {
  const groups = join(folder, "groups");
  for (const group of namesIn(groups).filter((name) => /^[0-9a-f]{64}$/.test(name))) {
    const segments = namesIn(join(groups, group)).filter((name) => sequenceOf(name) !== undefined);
    const newest = segments.sort((a, b) => (sequenceOf(a) ?? 0) - (sequenceOf(b) ?? 0)).at(-1);
    if (newest === undefined) continue;
    const path = join(groups, group, newest);
    const bytes = readFileSync(path);
    const file = openSync(path, "r+");
    try {
      return change(bytes, readSegmentHead(bytes).salt, (data, at) => void writeSync(file, data, 0, data.length, at));
    } finally {
      closeSync(file);
    }
  }
  return false;
}

function namesIn(folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  return readdirSync(folder);
}
