import { LIMITS } from "../../env/index.ts";
import type { AppendReply, AppendRequest, Entry, LogPosition, Message } from "../../raft/index.ts";
import { type ByteReader, type ByteWriter, DecodeError } from "../../wire/index.ts";
import { keepEntryData } from "../entries/index.ts";

const TYPES = [
  "pre-vote",
  "pre-vote-reply",
  "vote",
  "vote-reply",
  "append",
  "append-reply",
  "timeout-now",
  "snapshot",
] as const;
const TYPE_NUMBER = new Map<Message["type"], number>(TYPES.map((type, number) => [type, number]));

/** Appends one Raft message: a type byte, the term, then its fields. */
export function writeMessage(writer: ByteWriter, message: Message): void {
  writer.u8(TYPE_NUMBER.get(message.type) as number).varint(message.term);
  switch (message.type) {
    case "pre-vote":
      writePosition(writer, message.last);
      break;
    case "vote":
      writePosition(writer, message.last);
      writer.bool(message.isTransfer);
      break;
    case "pre-vote-reply":
    case "vote-reply":
      writer.bool(message.granted);
      break;
    case "append":
      writeAppend(writer, message);
      break;
    case "append-reply":
      writer
        .varint(message.round)
        .varint(message.index)
        .bool(message.conflict !== undefined);
      if (message.conflict !== undefined) writePosition(writer, message.conflict);
      break;
    case "snapshot":
      writePosition(writer, message.place);
      writer.varint(message.round);
      break;
    case "timeout-now":
      break;
  }
}

/** @throws DecodeError */
export function readMessage(reader: ByteReader): Message {
  const type = TYPES[reader.u8()];
  const term = reader.varint();
  switch (type) {
    case "pre-vote":
      return { type, term, last: readPosition(reader) };
    case "vote":
      return { type, term, last: readPosition(reader), isTransfer: reader.bool() };
    case "pre-vote-reply":
    case "vote-reply":
      return { type, term, granted: reader.bool() };
    case "append":
      return readAppend(reader, term);
    case "append-reply":
      return readAppendReply(reader, term);
    case "snapshot":
      return { type, term, place: readPosition(reader), round: reader.varint() };
    case "timeout-now":
      return { type, term };
    default:
      throw new DecodeError("a Raft message of an unknown type");
  }
}

function writeAppend(writer: ByteWriter, message: AppendRequest): void {
  writePosition(writer, message.prev);
  writer.varint(message.commit).varint(message.round);
  writeEntries(writer, message.entries);
}

function readAppend(reader: ByteReader, term: number): AppendRequest {
  const prev = readPosition(reader);
  const commit = reader.varint();
  const round = reader.varint();
  return { type: "append", term, prev, commit, round, entries: readEntries(reader, prev) };
}

function readAppendReply(reader: ByteReader, term: number): AppendReply {
  const round = reader.varint();
  const index = reader.varint();
  const conflict = reader.bool() ? readPosition(reader) : undefined;
  return { type: "append-reply", term, round, index, conflict };
}

/** Contiguous entries: their indexes follow from the one before. */
export function writeEntries(writer: ByteWriter, entries: readonly Entry[]): void {
  writer.varint(entries.length);
  for (const entry of entries) writer.varint(entry.term).u8(entry.kind).bytes(entry.data);
}

/** The data is copied: it outlives the frame. @throws DecodeError terms that go back, too many, too long, beyond the last index */
export function readEntries(reader: ByteReader, prev: LogPosition): Entry[] {
  const count = reader.count(LIMITS.appendEntriesMax, 3);
  if (!Number.isSafeInteger(prev.index + count)) throw new DecodeError("entries beyond the last index");
  const entries: Entry[] = [];
  let lowest = prev.term;
  for (let i = 0; i < count; i++) {
    const term = reader.varint();
    if (term < lowest) throw new DecodeError("terms that go back");
    lowest = term;
    entries.push({
      index: prev.index + 1 + i,
      term,
      kind: reader.u8(),
      data: keepEntryData(reader.bytes(LIMITS.entryDataBytesMax)),
    });
  }
  return entries;
}

export function writePosition(writer: ByteWriter, position: LogPosition): void {
  writer.varint(position.index).varint(position.term);
}

export function readPosition(reader: ByteReader): LogPosition {
  return { index: reader.varint(), term: reader.varint() };
}
