import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Entry, Index, MemberId } from "../../raft/index.ts";
import type { IncarnationId, StoreId } from "../../storage/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../../wire/index.ts";
import { type CommandBatch, placeFor, readBatch, writeBatch } from "./batches.ts";
import { memberId, peerOf, storeOf } from "./member-id.ts";
import { readSupport, type Support, writeSupport } from "./versions.ts";

// What `Entry.kind` means in a group; 0 is Raft's no-op. Published numbers: they are on disks and on the wire.
export const ENTRY_GENESIS = 1;
/** The first opens the incarnation; the second says that all founders held the first, before anything is promised. */
export const ENTRY_OPEN = 2;
export const ENTRY_SESSION = 3;
export const ENTRY_COMMANDS = 4;
export const ENTRY_CONFIGURATION = 5;
export const ENTRY_SESSION_END = 6;
export const ENTRY_VERSION = 7;

const FORMAT = 1;
const SESSION_KEY_BYTES = 16;
/** The last time that a `Date` can hold: far from where the group's clock, which only goes on, could not count. */
const TIME_MS_MAX = 8_640_000_000_000_000;

/** Entry 1 of every log: who the group is, for this life of it. */
export interface Genesis {
  readonly incarnation: IncarnationId;
  /** The founder's wall clock; from then on the group's clock runs by itself. */
  readonly timeMs: number;
  readonly voters: readonly MemberId[];
}

/**
 * Batches of one session with numbers in a row: one entry. An entry costs as much as several small commands, in memory and on the way, so
 * what came together goes together.
 */
export interface CommandRun {
  readonly session: number;
  /** Of the first batch. In a session they are numbered 1, 2, 3, … */
  readonly number: number;
  /** The group's clock, as the leader stamped it. */
  readonly timeMs: number;
  /** Never empty. */
  readonly batches: readonly CommandBatch[];
}

const writer = new ByteWriter(1024);

/** A copy of an entry's data, to be kept in the log. */
export function keepEntryData(data: Uint8Array): Uint8Array {
  const { bytes, start } = placeFor(data.length);
  const kept = new Uint8Array(bytes.buffer, start, data.length);
  kept.set(data);
  return kept;
}

export function encodeGenesis(genesis: Genesis): Uint8Array {
  writer.u8(FORMAT).id(genesis.incarnation).varint(genesis.timeMs);
  writeVoters(genesis.voters);
  return writer.finish();
}

/** Who votes from here on. */
export function encodeConfiguration(voters: readonly MemberId[]): Uint8Array {
  writer.u8(FORMAT);
  writeVoters(voters);
  return writer.finish();
}

/** @throws DecodeError */
export function decodeConfiguration(bytes: Uint8Array): readonly MemberId[] {
  const reader = open(bytes);
  // One more than the most: a voter is added before the one that it follows is removed.
  const voters = readVoters(reader, LIMITS.votersMax + 1);
  reader.end();
  return voters;
}

/** @throws DecodeError */
export function decodeGenesis(bytes: Uint8Array): Genesis {
  const reader = open(bytes);
  const incarnation = reader.id() as IncarnationId;
  const timeMs = reader.varint(TIME_MS_MAX);
  const voters = readVoters(reader, LIMITS.votersMax);
  reader.end();
  return { incarnation, timeMs, voters };
}

/** The voters that an entry puts in force, for `RaftOptions.votersOf`. */
export function votersOf(entry: Entry): readonly MemberId[] | undefined {
  if (entry.kind === ENTRY_CONFIGURATION) return decodeConfiguration(entry.data);
  return entry.kind === ENTRY_GENESIS ? decodeGenesis(entry.data).voters : undefined;
}

export function encodeOpen(): Uint8Array {
  return Uint8Array.of(FORMAT);
}

/** @param key - 32 hex digits */
export function encodeSession(key: string, owner: PeerId): Uint8Array {
  return writer.u8(FORMAT).fixed(Buffer.from(key, "hex")).id(owner).finish();
}

/** @throws DecodeError */
export function decodeSession(bytes: Uint8Array): { readonly key: string; readonly owner: PeerId } {
  const reader = open(bytes);
  const key = Buffer.from(reader.fixed(SESSION_KEY_BYTES)).toString("hex");
  const owner = reader.id() as PeerId;
  reader.end();
  return { key, owner };
}

/** What may come in the log from here on. */
export function encodeVersion(support: Support): Uint8Array {
  writer.u8(FORMAT);
  writeSupport(writer, support);
  return writer.finish();
}

/** @throws DecodeError */
export function decodeVersion(bytes: Uint8Array): Support {
  const reader = open(bytes);
  const support = readSupport(reader);
  reader.end();
  return support;
}

/** @param sessions - ascending, 1 to `LIMITS.sessionEndsMax` */
export function encodeSessionEnd(sessions: readonly Index[]): Uint8Array {
  writer.u8(FORMAT).varint(sessions.length);
  for (const session of sessions) writer.varint(session);
  return writer.finish();
}

/** @throws DecodeError */
export function decodeSessionEnd(bytes: Uint8Array): readonly Index[] {
  const reader = open(bytes);
  const sessions: Index[] = [];
  for (let count = reader.count(LIMITS.sessionEndsMax); count > 0; count--) {
    const session = reader.varint();
    if (session <= (sessions.at(-1) ?? 0)) throw new DecodeError("sessions out of order");
    sessions.push(session);
  }
  if (sessions.length === 0) throw new DecodeError("the end of no session");
  reader.end();
  return sessions;
}

export function encodeRun(run: CommandRun): Uint8Array {
  writer.u8(FORMAT).varint(run.session).varint(run.number).varint(run.timeMs).varint(run.batches.length);
  for (const batch of run.batches) writeBatch(writer, batch);
  const data = keepEntryData(writer.view());
  writer.reset();
  return data;
}

/** The batches lie within `bytes`. @throws DecodeError */
export function decodeRun(bytes: Uint8Array): CommandRun {
  const reader = open(bytes);
  const session = reader.varint();
  const number = reader.varint();
  const timeMs = reader.varint(TIME_MS_MAX);
  const count = reader.count(LIMITS.runBatchesMax, 2);
  if (count === 0) throw new DecodeError("a run without batches");
  if (!Number.isSafeInteger(number + count)) throw new DecodeError("numbers beyond the last one");
  const batches: CommandBatch[] = new Array(count);
  for (let i = 0; i < count; i++) batches[i] = readBatch(reader);
  reader.end();
  return { session, number, timeMs, batches };
}

/** True for a kind that this version knows. */
export function isKnownKind(kind: number): boolean {
  return kind >= 0 && kind <= ENTRY_VERSION;
}

function writeVoters(voters: readonly MemberId[]): void {
  writer.varint(voters.length);
  for (const voter of voters) writer.id(peerOf(voter)).id(storeOf(voter));
}

function readVoters(reader: ByteReader, votersMax: number): MemberId[] {
  const count = reader.count(votersMax, 64);
  const voters: MemberId[] = [];
  for (let i = 0; i < count; i++) voters.push(memberId(reader.id() as PeerId, reader.id() as StoreId));
  if (count === 0 || new Set(voters.map(peerOf)).size !== count) throw new DecodeError("voters, each peer once");
  return voters;
}

function open(bytes: Uint8Array): ByteReader {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== FORMAT) throw new DecodeError(`an entry of format ${format}`);
  return reader;
}
