import { MosaikError } from "../../src/env/index.ts";
import type { Entry, MemberId } from "../../src/raft/index.ts";
import { ByteWriter } from "../../src/storage/file/bytes.ts";
import {
  Damage,
  FRAME_HEAD_BYTES,
  frameBytes,
  NewerVersion,
  readSegmentHead,
  SEGMENT_HEAD_BYTES,
  sealFrame,
  walkFrames,
  writeSegmentHead,
} from "../../src/storage/file/frames.ts";
import { ENTRY_HEAD_BYTES, type LogRecord, readEntry, writeRecord } from "../../src/storage/file/records.ts";
import { Replay } from "../../src/storage/file/recovery.ts";
import { decodeSecret, encodeSecret } from "../../src/storage/file/secret-file.ts";
import { decodeSnapshotHead, headBytes, headSum } from "../../src/storage/file/snapshot-file.ts";
import type { IncarnationId, StoreId } from "../../src/storage/index.ts";
import { DecodeError } from "../../src/wire/index.ts";
import type { Chance } from "./chance.ts";
import { id, type Target } from "./target.ts";

const SALT = 7;
const SNAPSHOT = { id: "00112233445566778899aabbccddeeff", index: 9, term: 2, bytes: 1_000 };
const ENTRY = { index: 5, term: 3 };

/** Files that say what cannot be are refused in three ways. */
function decoding(decode: (bytes: Buffer) => unknown): Target["decode"] {
  return (bytes) => {
    try {
      return decode(Buffer.from(bytes));
    } catch (cause) {
      const isRefusal =
        cause instanceof Damage || cause instanceof NewerVersion || MosaikError.is(cause, "storage-failed");
      throw isRefusal ? new DecodeError(cause.message) : cause;
    }
  };
}

export const fileTargets: readonly Target[] = [
  {
    name: "log-segment",
    make: (chance) => segmentOf(payload(records(chance)), chance.size(2_000)),
    decode: decoding(replay),
  },
  {
    // What a frame's sum says is right: the records themselves must hold, too.
    name: "log-records",
    make: (chance) => payload(records(chance)),
    decode: decoding((bytes) => replay(segmentOf(bytes, 0))),
  },
  {
    name: "log-entry",
    make: (chance) => {
      const entry = { ...ENTRY, kind: chance.below(9), data: chance.bytes(20) };
      // After the record's tag, count and first index.
      return payload([{ type: "entries", entries: [entry] }]).subarray(13);
    },
    decode: decoding((bytes) => {
      if (bytes.length < ENTRY_HEAD_BYTES) throw new Damage("short");
      return readEntry(bytes, 0, { ...ENTRY, dataBytes: bytes.length - ENTRY_HEAD_BYTES });
    }),
  },
  {
    name: "snapshot-head",
    make: (chance) => headBytes(SNAPSHOT.id, { ...SNAPSHOT, configuration: chance.bytes(chance.size(100)) }),
    decode: decoding((bytes) => {
      // Half of all have the right sum, whatever they say.
      if (bytes.length >= 56 && (bytes[55] ?? 0) % 2 === 0) {
        const length = Math.min(bytes.length, 56 + bytes.readUInt32LE(48));
        bytes.writeUInt32LE(headSum(bytes.subarray(0, length)), 52);
      }
      return decodeSnapshotHead(bytes, SNAPSHOT);
    }),
  },
  {
    name: "identity-file",
    make: (chance) => encodeSecret(chance.bytes(32)),
    decode: decoding((bytes) => decodeSecret(bytes, "/identity")),
  },
];

/** All records of one segment, as the recovery goes through them. */
function replay(segment: Buffer): unknown {
  const { salt, sequence } = readSegmentHead(segment);
  const replayed = new Replay();
  replayed.beginSegment(sequence);
  const end = walkFrames(segment, salt, (frame) => replayed.frame(segment, frame));
  replayed.endSegment();
  const { marks, index } = replayed.finish();
  return { end, marks, entries: index.end - index.base };
}

function segmentOf(content: Uint8Array, zeros: number): Buffer {
  const segment = Buffer.alloc(SEGMENT_HEAD_BYTES + frameBytes(content.length) + zeros);
  writeSegmentHead(segment, { salt: SALT, sequence: 1 });
  segment.set(content, SEGMENT_HEAD_BYTES + FRAME_HEAD_BYTES);
  sealFrame(segment.subarray(SEGMENT_HEAD_BYTES), content.length, SALT, SEGMENT_HEAD_BYTES);
  return segment;
}

function payload(list: readonly LogRecord[]): Buffer {
  const out = new ByteWriter();
  out.restart(0);
  for (const record of list) writeRecord(out, record, () => {});
  return Buffer.from(out.take(0));
}

/** A checkpoint, and what may follow it. */
function records(chance: Chance): LogRecord[] {
  const boundary = { index: chance.below(1_000), term: 1 };
  const last = { index: boundary.index, term: 1 };
  const hardState = { term: chance.number(), votedFor: chance.isOneIn(2) ? ("ada/store" as MemberId) : undefined };
  const incarnation = chance.isOneIn(2) ? (id(chance) as IncarnationId) : undefined;
  const openingIds = chance.list(5, () => openingId(chance));
  const marks = { storeId: id(chance) as StoreId, incarnation, hardState, boundary, last, snapshot: undefined };
  const list: LogRecord[] = [
    { type: "checkpoint", marks: { ...marks, openingIds, openingCount: openingIds.length } },
    { type: "opening", id: openingId(chance) },
    { type: "hard-state", hardState },
  ];
  if (incarnation === undefined) list.push({ type: "incarnation", incarnation: id(chance) as IncarnationId });
  const count = 1 + chance.below(5);
  list.push({ type: "entries", entries: Array.from({ length: count }, (_, i) => entry(chance, last.index + 1 + i)) });
  if (chance.isOneIn(2)) list.push({ type: "truncate", last: { index: last.index + count - 1, term: 1 } });
  if (chance.isOneIn(3)) list.push({ type: "prune", boundary });
  if (chance.isOneIn(3)) list.push({ type: "snapshot", snapshot: { ...SNAPSHOT, index: last.index } });
  if (chance.isOneIn(3)) list.push({ type: "reset", snapshot: { ...SNAPSHOT, index: chance.number() } });
  return list;
}

function entry(chance: Chance, index: number): Entry {
  return { index, term: 1, kind: chance.below(9), data: chance.bytes(chance.size(60)) };
}

function openingId(chance: Chance): string {
  return Buffer.from(chance.bytes(16)).toString("hex");
}
