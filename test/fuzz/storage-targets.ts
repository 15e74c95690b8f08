import type { MemberId } from "../../src/raft/index.ts";
import { ByteReader, ByteWriter } from "../../src/storage/file/bytes.ts";
import {
  Damage,
  NewerVersion,
  readSegmentHead,
  SEGMENT_HEAD_BYTES,
  writeSegmentHead,
} from "../../src/storage/file/frames.ts";
import {
  type LogRecord,
  type Marks,
  readRecord,
  type SnapshotRef,
  writeRecord,
} from "../../src/storage/file/records.ts";
import type { IncarnationId, StoreId } from "../../src/storage/index.ts";
import { DecodeError } from "../../src/wire/index.ts";
import type { Chance } from "./chance.ts";
import { id, type Target, text } from "./target.ts";

/** What a damaged disk may hold. Checksums find nearly all of it before; what is below them must be sound by itself. */
export const storageTargets: readonly Target[] = [
  {
    name: "segment-head",
    make: (chance) => {
      const bytes = Buffer.alloc(SEGMENT_HEAD_BYTES);
      writeSegmentHead(bytes, { salt: chance.uint32(), sequence: chance.number() });
      return new Uint8Array(bytes);
    },
    decode: (bytes) => refusing(() => readSegmentHead(view(bytes))),
  },
  {
    name: "log-record",
    make: (chance) => {
      const writer = new ByteWriter();
      writer.restart(0);
      writeRecord(writer, record(chance), () => {});
      return new Uint8Array(writer.take(0));
    },
    decode: (bytes) => refusing(() => readRecord(new ByteReader(view(bytes), 0, bytes.length))),
  },
];

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** A store's own words for what it cannot read. */
function refusing<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    if (cause instanceof Damage || cause instanceof NewerVersion) throw new DecodeError(cause.message);
    throw cause;
  }
}

function record(chance: Chance): LogRecord {
  const place = { index: chance.number(), term: chance.number() };
  const all: readonly (() => LogRecord)[] = [
    () => ({ type: "checkpoint", marks: marks(chance) }),
    () => ({ type: "hard-state", hardState: hardState(chance) }),
    () => ({ type: "incarnation", incarnation: id(chance) as IncarnationId }),
    () => ({ type: "truncate", last: place }),
    () => ({ type: "prune", boundary: place }),
    () => ({ type: "snapshot", snapshot: snapshot(chance) }),
    () => ({ type: "reset", snapshot: snapshot(chance) }),
    () => ({ type: "opening", id: openingId(chance) }),
    () => ({
      type: "entries",
      entries: chance.list(5, () => ({ ...place, kind: chance.below(256), data: chance.bytes(chance.size(60)) })),
    }),
  ];
  return chance.pick(all)();
}

function marks(chance: Chance): Marks {
  return {
    storeId: id(chance) as StoreId,
    incarnation: chance.isOneIn(2) ? undefined : (id(chance) as IncarnationId),
    hardState: hardState(chance),
    boundary: { index: chance.number(), term: chance.number() },
    last: { index: chance.number(), term: chance.number() },
    snapshot: chance.isOneIn(2) ? undefined : snapshot(chance),
    openingIds: chance.list(4, () => openingId(chance)),
    openingCount: chance.number(),
  };
}

function hardState(chance: Chance): Marks["hardState"] {
  const votedFor = chance.isOneIn(2) ? undefined : (text(chance, 20) as MemberId);
  return { term: chance.number(), votedFor };
}

function snapshot(chance: Chance): SnapshotRef {
  return { id: openingId(chance), index: chance.number(), term: chance.number(), bytes: chance.number() };
}

const openingId = (chance: Chance): string => Buffer.from(chance.bytes(16)).toString("hex");
