import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../../wire/index.ts";
import { SESSION_RECENT_MAX, type SessionIndex, type SessionRecord, SessionTable } from "./sessions.ts";

const FORMAT = 1;
const KEY_BYTES = 16;
/** Index, key, owner, last, mask: no record is shorter. */
const RECORD_BYTES_MIN = 1 + KEY_BYTES + 32 + 1 + 4;
/** A piece is a little longer at most. Small, so that a large table is encoded in slices. */
const PIECE_BYTES = 32 * 1024;
/** Of a table that is read in slices: so many make a step. */
const RECORDS_AT_ONCE = 8;
/** A step may open some more before others end. */
const COUNT_MAX = 2 * LIMITS.sessionsMax;

/** The table in pieces, for a snapshot. Equal tables give equal bytes, and equal pieces. Do not change the table between two pieces. */
export function* encodeSessions(table: SessionTable): Generator<Uint8Array, void, void> {
  const writer = new ByteWriter(PIECE_BYTES + 1024);
  writer.u8(FORMAT);
  for (const records of [table.open, table.ended]) {
    writer.varint(records.size);
    for (const [session, record] of records) {
      writeRecord(writer, session, record);
      if (writer.length >= PIECE_BYTES) yield writer.finish();
    }
  }
  yield writer.finish();
}

/** All of `readSessions` at once. @internal */
export function decodeSessions(bytes: Uint8Array): SessionTable {
  const walk = readSessions(bytes);
  for (;;) {
    const step = walk.next();
    if (step.done === true) return step.value;
  }
}

/**
 * The pieces of `encodeSessions`, joined, are read a few records at a time: a full table takes some 50 ms.
 *
 * @throws DecodeError also for what no replica could have: a session twice, or one of the future
 */
export function* readSessions(bytes: Uint8Array): Generator<void, SessionTable, void> {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== FORMAT) throw new DecodeError(`a session table of format ${format}`);
  const open = new Map<SessionIndex, SessionRecord>();
  const keys = new Set<string>();
  let latest = 0;
  for (const [session, record] of readRecords(reader)) {
    if (session <= latest) throw new DecodeError("sessions out of order");
    if (keys.has(record.key)) throw new DecodeError("a key twice");
    latest = session;
    keys.add(record.key);
    open.set(session, record);
    if (open.size % RECORDS_AT_ONCE === 0) yield;
  }
  const ended = new Map<SessionIndex, SessionRecord>();
  for (const [session, record] of readRecords(reader)) {
    if (open.has(session)) throw new DecodeError("a session that is open and ended");
    if (session === 0 || ended.has(session)) throw new DecodeError("sessions, each once");
    ended.set(session, record);
    if (ended.size > LIMITS.sessionsMax) throw new DecodeError("more ended sessions than are remembered");
    if (ended.size % RECORDS_AT_ONCE === 0) yield;
  }
  reader.end();
  return new SessionTable({ open, ended });
}

function writeRecord(writer: ByteWriter, session: SessionIndex, record: Readonly<SessionRecord>): void {
  writer.varint(session).fixed(Buffer.from(record.key, "hex")).id(record.owner).varint(record.last);
  const { recent } = record;
  let rejected = 0;
  for (let i = 0; i < recent.length; i++) if ((recent[i] as number) < 0) rejected |= 1 << i;
  writer.u32(rejected >>> 0);
  for (const place of recent) writer.varint(Math.abs(place));
}

function* readRecords(reader: ByteReader): Generator<[SessionIndex, SessionRecord], void, void> {
  for (let count = reader.count(COUNT_MAX, RECORD_BYTES_MIN); count > 0; count--) {
    const session = reader.varint();
    const key = Buffer.from(reader.fixed(KEY_BYTES)).toString("hex");
    const owner = reader.id() as PeerId;
    const last = reader.varint();
    yield [session, { key, owner, last, recent: readRecent(reader, Math.min(last, SESSION_RECENT_MAX)) }];
  }
}

function readRecent(reader: ByteReader, count: number): number[] {
  const rejected = reader.u32();
  if (count < 32 && rejected >>> count !== 0) throw new DecodeError("a rejection of no batch");
  const recent: number[] = [];
  for (let i = 0; i < count; i++) {
    const place = reader.varint();
    const isRejected = (rejected & (1 << i)) !== 0;
    if (isRejected && place === 0) throw new DecodeError("a rejection without a position");
    recent.push(isRejected ? -place : place);
  }
  return recent;
}
