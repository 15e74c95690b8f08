/** What a frame says: records, one after the other, each a step from one state of the store to the next. */
import { assert, LIMITS } from "../../env/index.ts";
import type { Entry, HardState, Index, LogPosition, MemberId, Term } from "../../raft/index.ts";
import type { IncarnationId, StoreId } from "../types.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { Damage, NewerVersion } from "./frames.ts";

/** Names a snapshot's file. */
export interface SnapshotRef extends LogPosition {
  /** 32 hex digits, random. */
  readonly id: string;
  /** Of the data. */
  readonly bytes: number;
}

/** All that a store knows but its entries and the snapshot's data. A value: each change makes another. */
export interface Marks {
  readonly storeId: StoreId;
  readonly incarnation: IncarnationId | undefined;
  readonly hardState: HardState;
  /** The last index that is pruned, or that the snapshot covers. */
  readonly boundary: LogPosition;
  readonly last: LogPosition;
  readonly snapshot: SnapshotRef | undefined;
  readonly openingIds: readonly string[];
  readonly openingCount: number;
}

export type LogRecord =
  /** The first of each segment, so that those before it can go. */
  | { readonly type: "checkpoint"; readonly marks: Marks }
  | { readonly type: "hard-state"; readonly hardState: HardState }
  | { readonly type: "incarnation"; readonly incarnation: IncarnationId }
  /** @param last - the last one that stays */
  | { readonly type: "truncate"; readonly last: LogPosition }
  | { readonly type: "entries"; readonly entries: readonly Entry[] }
  | { readonly type: "prune"; readonly boundary: LogPosition }
  | { readonly type: "snapshot"; readonly snapshot: SnapshotRef }
  | { readonly type: "reset"; readonly snapshot: SnapshotRef }
  | { readonly type: "opening"; readonly id: string };

/** An entry's head as read: its data stays where it is. */
export interface EntryHead extends LogPosition {
  readonly kind: number;
  /** Of the head, in what was read. */
  readonly position: number;
  readonly dataBytes: number;
}
/** A record as read. */
export type ReadRecord =
  | Exclude<LogRecord, { readonly type: "entries" }>
  | { readonly type: "entries"; readonly heads: readonly EntryHead[] };

const TAGS = {
  checkpoint: 1,
  "hard-state": 2,
  incarnation: 3,
  truncate: 4,
  entries: 5,
  prune: 6,
  snapshot: 7,
  reset: 8,
  opening: 9,
} as const;

/** Sum, length of the data, kind, term. The index is in the sum, and known to who looks for it. */
export const ENTRY_HEAD_BYTES = 4 + 4 + 1 + 8;
const OPENING_ID_BYTES = 16;
const MEMBER_ID_BYTES_MAX = 1_024;
/** Tag and all fields of a checkpoint with the longest names. */
export const CHECKPOINT_BYTES_MAX = 512 + MEMBER_ID_BYTES_MAX + OPENING_ID_BYTES * LIMITS.openingIdsMax;

/** At most what a record takes. */
export function recordBytesMax(record: LogRecord): number {
  switch (record.type) {
    case "checkpoint":
      return CHECKPOINT_BYTES_MAX;
    case "hard-state":
      return 16 + Buffer.byteLength(record.hardState.votedFor ?? "");
    case "entries":
      return record.entries.reduce((sum, { data }) => sum + ENTRY_HEAD_BYTES + data.length, 16);
    default:
      return 64;
  }
}

/** @param onEntry - told where each entry's head lies in what is written */
export function writeRecord(out: ByteWriter, record: LogRecord, onEntry: (entry: Entry, at: number) => void): void {
  out.uint8(TAGS[record.type]);
  switch (record.type) {
    case "checkpoint":
      return writeMarks(out, record.marks);
    case "hard-state":
      return writeHardState(out, record.hardState);
    case "incarnation":
      return out.id(record.incarnation);
    case "truncate":
      return out.place(record.last);
    case "entries":
      return writeEntries(out, record.entries, onEntry);
    case "prune":
      return out.place(record.boundary);
    case "snapshot":
    case "reset":
      return writeSnapshotRef(out, record.snapshot);
    case "opening":
      return out.bytes(Buffer.from(record.id, "hex"));
    default:
      return record satisfies never;
  }
}

/** @throws Damage, NewerVersion */
export function readRecord(input: ByteReader): ReadRecord {
  const tag = input.uint8();
  switch (tag) {
    case TAGS.checkpoint:
      return { type: "checkpoint", marks: readMarks(input) };
    case TAGS["hard-state"]:
      return { type: "hard-state", hardState: readHardState(input) };
    case TAGS.incarnation:
      return { type: "incarnation", incarnation: input.id() as IncarnationId };
    case TAGS.truncate:
      return { type: "truncate", last: input.place() };
    case TAGS.entries:
      return { type: "entries", heads: readEntries(input) };
    case TAGS.prune:
      return { type: "prune", boundary: input.place() };
    case TAGS.snapshot:
      return { type: "snapshot", snapshot: readSnapshotRef(input) };
    case TAGS.reset:
      return { type: "reset", snapshot: readSnapshotRef(input) };
    case TAGS.opening:
      return { type: "opening", id: readOpeningId(input) };
    default:
      throw new NewerVersion(`a record of kind ${tag}`);
  }
}

function writeMarks(out: ByteWriter, marks: Marks): void {
  out.id(marks.storeId);
  out.optional(marks.incarnation, (id) => out.id(id));
  writeHardState(out, marks.hardState);
  out.place(marks.boundary);
  out.place(marks.last);
  out.optional(marks.snapshot, (snapshot) => writeSnapshotRef(out, snapshot));
  out.integer(marks.openingCount);
  out.uint16(marks.openingIds.length);
  for (const id of marks.openingIds) out.bytes(Buffer.from(id, "hex"));
}

function readMarks(input: ByteReader): Marks {
  return {
    storeId: input.id() as StoreId,
    incarnation: input.optional(() => input.id() as IncarnationId),
    hardState: readHardState(input),
    boundary: input.place(),
    last: input.place(),
    snapshot: input.optional(() => readSnapshotRef(input)),
    openingCount: input.integer(),
    openingIds: Array.from({ length: input.uint16() }, () => readOpeningId(input)),
  };
}

function writeHardState(out: ByteWriter, { term, votedFor }: HardState): void {
  assert(votedFor === undefined || Buffer.byteLength(votedFor) <= MEMBER_ID_BYTES_MAX, "a member's id is short");
  out.integer(term);
  out.optional(votedFor, (id) => out.text(id));
}

function readHardState(input: ByteReader): HardState {
  return { term: input.integer(), votedFor: input.optional(() => input.text() as MemberId) };
}

function writeSnapshotRef(out: ByteWriter, { id, index, term, bytes }: SnapshotRef): void {
  out.bytes(Buffer.from(id, "hex"));
  out.place({ index, term });
  out.integer(bytes);
}

function readSnapshotRef(input: ByteReader): SnapshotRef {
  return { id: readOpeningId(input), ...input.place(), bytes: input.integer() };
}

function readOpeningId(input: ByteReader): string {
  const at = input.skip(OPENING_ID_BYTES);
  return input.bytes.toString("hex", at, at + OPENING_ID_BYTES);
}

function writeEntries(out: ByteWriter, entries: readonly Entry[], onEntry: (entry: Entry, at: number) => void): void {
  out.uint32(entries.length);
  out.integer(entries[0]?.index ?? 0);
  for (const entry of entries) {
    const at = out.length;
    out.uint32(0);
    out.uint32(entry.data.length);
    out.uint8(entry.kind);
    out.integer(entry.term);
    out.bytes(entry.data);
    out.written.writeUInt32LE(entrySum(out.written, at, out.length, entry.index), at);
    onEntry(entry, at);
  }
}

function readEntries(input: ByteReader): readonly EntryHead[] {
  const count = input.uint32();
  const first = input.integer();
  const heads: EntryHead[] = [];
  for (let i = 0; i < count; i++) {
    const position = input.skip(4);
    const dataBytes = input.uint32();
    const kind = input.uint8();
    const term = input.integer();
    input.skip(dataBytes);
    heads.push({ index: first + i, term, kind, position, dataBytes });
  }
  return heads;
}

/** Each entry has a sum of its own too, so that one can be checked without its whole frame. */
function entrySum(bytes: Buffer, from: number, to: number, index: Index): number {
  return crc32c(bytes, from + 4, to, index >>> 0);
}

/** Reads one entry on its own. The data is a copy. @throws Damage it is not the one that was written here */
export function readEntry(bytes: Buffer, at: number, wanted: LogPosition & { readonly dataBytes: number }): Entry {
  const end = at + ENTRY_HEAD_BYTES + wanted.dataBytes;
  if (end > bytes.length) throw new Damage(`entry ${wanted.index} reaches beyond its file`);
  const isIt = bytes.readUInt32LE(at + 4) === wanted.dataBytes && bytes.readDoubleLE(at + 9) === wanted.term;
  if (!isIt || bytes.readUInt32LE(at) !== entrySum(bytes, at, end, wanted.index)) {
    throw new Damage(`entry ${wanted.index} is not as it was written`);
  }
  const term: Term = wanted.term;
  const data = new Uint8Array(bytes.subarray(at + ENTRY_HEAD_BYTES, end));
  return { index: wanted.index, term, kind: bytes.readUInt8(at + 8), data };
}

/** What the store knows after a record that says nothing of entries. */
export function afterRecord(marks: Marks, record: Exclude<LogRecord, { readonly type: "entries" }>): Marks {
  switch (record.type) {
    case "checkpoint":
      return record.marks;
    case "hard-state":
      return { ...marks, hardState: record.hardState };
    case "incarnation":
      return { ...marks, incarnation: record.incarnation };
    case "truncate":
      return { ...marks, last: record.last };
    case "prune":
      return { ...marks, boundary: record.boundary };
    case "snapshot":
      return { ...marks, snapshot: record.snapshot };
    case "reset": {
      const { index, term } = record.snapshot;
      return { ...marks, snapshot: record.snapshot, boundary: { index, term }, last: { index, term } };
    }
    case "opening":
      return {
        ...marks,
        openingIds: [...marks.openingIds, record.id].slice(-LIMITS.openingIdsMax),
        openingCount: marks.openingCount + 1,
      };
    default:
      return record satisfies never;
  }
}
