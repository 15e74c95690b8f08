/**
 * A segment's bytes: a head, then frames, then zeros. A frame is what one sync made durable, and is there whole or not at all.
 *
 * Only the last frame can be torn, since each begins after the sync of the one before. Disks write sectors whole, and a new segment holds
 * nothing but zeros; so a torn frame has lost sectors that read as zeros, and nothing behind it. Everything else is damage. To tell a lost
 * sector from one that the caller filled with zeros, a frame's head counts those.
 */
import { crc32c } from "./crc32c.ts";

export const SEGMENT_HEAD_BYTES = 32;
export const FRAME_HEAD_BYTES = 16;
/** Frames begin at multiples of this, so that a frame's head never straddles two sectors. */
export const FRAME_ALIGN_BYTES = 16;
export const SECTOR_BYTES = 512;
/** Written by this code. Files and frames of a higher version are refused, not set aside: newer code can read them. */
export const SEGMENT_VERSION = 1;
export const FRAME_VERSION = 1;
const MAGIC = Buffer.from("mosaikwl");

/** The file was written by newer code. */
export class NewerVersion extends Error {
  override readonly name = "NewerVersion";
}
/** What the file says cannot be what was written. */
export class Damage extends Error {
  override readonly name = "Damage";
}

/** Where frames lie: no frame is valid elsewhere. */
export interface SegmentHead {
  /** Drawn for the segment, and part of each checksum, so that no caller's data can look like a frame. */
  readonly salt: number;
  readonly sequence: number;
}

export function writeSegmentHead(into: Buffer, { salt, sequence }: SegmentHead): void {
  into.fill(0, 0, SEGMENT_HEAD_BYTES);
  MAGIC.copy(into);
  into.writeUInt8(SEGMENT_VERSION, 8);
  into.writeUInt32LE(salt, 12);
  into.writeDoubleLE(sequence, 16);
  into.writeUInt32LE(crc32c(into, 0, 24), 24);
}

/** @throws Damage, NewerVersion */
export function readSegmentHead(bytes: Buffer): SegmentHead {
  if (bytes.length < SEGMENT_HEAD_BYTES) throw new Damage("a segment is shorter than its head");
  const isWhole = bytes.subarray(0, 8).equals(MAGIC) && bytes.readUInt32LE(24) === crc32c(bytes, 0, 24);
  if (!isWhole) throw new Damage("a segment's head is wrong");
  const version = bytes.readUInt8(8);
  if (version > SEGMENT_VERSION) throw new NewerVersion(`a segment has version ${version}`);
  return { salt: bytes.readUInt32LE(12), sequence: bytes.readDoubleLE(16) };
}

/** Bytes that a payload takes as a frame. */
export function frameBytes(payloadBytes: number): number {
  const bytes = FRAME_HEAD_BYTES + payloadBytes;
  return bytes + (-bytes & (FRAME_ALIGN_BYTES - 1));
}

/**
 * Makes a frame around the payload that lies in `buffer` after room for the head.
 *
 * @param position - where in the segment the frame will begin
 * @returns the frame's bytes; `buffer` holds as many
 */
export function sealFrame(buffer: Buffer, payloadBytes: number, salt: number, position: number): number {
  const length = frameBytes(payloadBytes);
  buffer.fill(0, FRAME_HEAD_BYTES + payloadBytes, length);
  buffer.writeUInt32LE(payloadBytes, 0);
  buffer.writeUInt32LE(crc32c(buffer, FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + payloadBytes), 4);
  // The head is in the first sector, which therefore is never zero.
  buffer.fill(0xff, 8, FRAME_HEAD_BYTES);
  const zeroSectors = countZeroSectors(buffer, 0, length, position);
  buffer.writeUInt32LE(((FRAME_VERSION << 24) | zeroSectors) >>> 0, 8);
  buffer.writeUInt32LE(headSum(buffer, 0, salt, position), 12);
  return length;
}

function headSum(buffer: Buffer, at: number, salt: number, position: number): number {
  return crc32c(buffer, at, at + 12, (salt ^ position) >>> 0);
}

/** Parts of sectors within buffer[from, to) that hold zeros only. @param position - of buffer[from] in the file */
function countZeroSectors(buffer: Buffer, from: number, to: number, position: number): number {
  let count = 0;
  for (let at = from; at < to; ) {
    const end = Math.min(to, at + SECTOR_BYTES - ((position + at - from) % SECTOR_BYTES));
    if (isZero(buffer, at, end)) count++;
    at = end;
  }
  return count;
}

/** True if buffer[from, to) holds zeros only. */
export function isZero(buffer: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (buffer[at] !== 0) return false;
  return true;
}

/** One good frame. */
export interface Frame {
  readonly position: number;
  /** Of the payload, in the segment. */
  readonly from: number;
  readonly to: number;
}
/** How the frames of a segment end. `torn`: one was begun at `end`, and did not come through. */
export interface SegmentEnd {
  readonly end: number;
  readonly isTorn: boolean;
}

/**
 * Walks the frames of a whole segment, and tells where they end.
 *
 * @throws Damage what cannot come of a torn last write
 * @throws NewerVersion
 */
export function walkFrames(segment: Buffer, salt: number, visit: (frame: Frame) => void): SegmentEnd {
  let position = SEGMENT_HEAD_BYTES;
  while (position + FRAME_HEAD_BYTES <= segment.length) {
    if (!isHead(segment, position, salt)) return judgeBadHead(segment, position, salt);
    const versionAndCount = segment.readUInt32LE(position + 8);
    if (versionAndCount >>> 24 > FRAME_VERSION) throw new NewerVersion(`a frame has version ${versionAndCount >>> 24}`);
    const payloadBytes = segment.readUInt32LE(position);
    const end = position + frameBytes(payloadBytes);
    if (end > segment.length) throw new Damage("a frame reaches beyond its segment");
    const from = position + FRAME_HEAD_BYTES;
    const to = from + payloadBytes;
    if (segment.readUInt32LE(position + 4) !== crc32c(segment, from, to)) {
      return judgeBadPayload(segment, { position, end, zeroSectors: versionAndCount & 0xffffff });
    }
    visit({ position, from, to });
    position = end;
  }
  return { end: position, isTorn: false };
}

function isHead(segment: Buffer, at: number, salt: number): boolean {
  return (
    segment.readUInt32LE(at + 12) === headSum(segment, at, salt, at) && !isZero(segment, at, at + FRAME_HEAD_BYTES)
  );
}

function judgeBadHead(segment: Buffer, position: number, salt: number): SegmentEnd {
  if (!isZero(segment, position, position + FRAME_HEAD_BYTES)) throw new Damage("a frame's head is wrong");
  let isClean = true;
  for (let at = position; at + FRAME_HEAD_BYTES <= segment.length; at += FRAME_ALIGN_BYTES) {
    if (isZero(segment, at, at + FRAME_HEAD_BYTES)) continue;
    isClean = false;
    if (isHead(segment, at, salt)) throw new Damage("a frame is missing before others");
  }
  return { end: position, isTorn: !isClean };
}

function judgeBadPayload(
  segment: Buffer,
  frame: { readonly position: number; readonly end: number; readonly zeroSectors: number },
): SegmentEnd {
  const { position, end, zeroSectors } = frame;
  if (countZeroSectors(segment, position, end, position) <= zeroSectors)
    throw new Damage("a frame's content is wrong, and none of its sectors is missing");
  if (!isZero(segment, end, segment.length)) throw new Damage("a frame's content is wrong, and others follow it");
  return { end: position, isTorn: true };
}
