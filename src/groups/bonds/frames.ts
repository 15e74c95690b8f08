import { LIMITS } from "../../env/index.ts";
import type { PeerId, UniqueId } from "../../identity/index.ts";
import type { Entry, Index, LogPosition, Message } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../../wire/index.ts";
import {
  type NumberedBatch,
  readBatch,
  readSupport,
  type Support,
  writeBatch,
  writeSupport,
} from "../entries/index.ts";
import { OPENINGS_TOLD_MAX, type Openings } from "./openings.ts";
import { readEntries, readMessage, readPosition, writeEntries, writeMessage, writePosition } from "./raft-codec.ts";
import { readSnapshotFrame, type SnapshotFrame, writeSnapshotFrame } from "./snapshot-frames.ts";
import { type MemberStatus, readOptionalId, readStatus, writeOptionalId, writeStatus } from "./status.ts";

/** Frames on a bond. Published numbers; `docs/design/groups.md` has the table. */
export const FRAME = {
  status: 16,
  genesis: 17,
  raft: 18,
  openSession: 19,
  commands: 20,
  commandsRefused: 21,
  read: 22,
  readReply: 23,
  fetch: 24,
  entries: 25,
  dissolve: 26,
  released: 27,
  transfer: 28,
  closeSession: 29,
  machine: 30,
  commandsUnsupported: 31,
  fetchRefused: 32,
  logBegins: 40,
  snapshotAsk: 41,
  snapshotOffer: 42,
  snapshotFetch: 43,
  snapshotChunk: 44,
} as const;

/** Commands in one frame: each costs much more than its bytes once it is decoded. Room for the largest batch, and as much before it. */
export const FRAME_COMMANDS_MAX = 2 * LIMITS.batchCommandsMax;

/** Named in a refusal. */
export const UNSUPPORTED_MEMBERS_MAX = 16;

const SNAPSHOT_FRAMES: Readonly<Record<SnapshotFrame["type"], number>> = {
  "log-begins": FRAME.logBegins,
  "snapshot-ask": FRAME.snapshotAsk,
  "snapshot-offer": FRAME.snapshotOffer,
  "snapshot-fetch": FRAME.snapshotFetch,
  "snapshot-chunk": FRAME.snapshotChunk,
};

const HELLO_FORMAT = 2;
const OPENING_ID_BYTES = 16;
const PROOF_BYTES = 32;
const BINDING_BYTES = 8;

/** Opens a bond: which group, that the sender may be in it, and what it is. */
export interface BondHello {
  readonly group: UniqueId;
  /** Of the group's own secret; empty if it has none. */
  readonly proof: Uint8Array;
  readonly machine: { readonly name: string; readonly version: number; readonly codec: string };
  /** Of the sender's store, so that a copy of it is found out. */
  readonly openings: Openings;
  readonly status: MemberStatus;
}

export type BondFrame =
  | { readonly type: "status"; readonly status: MemberStatus }
  /** To a free member that is named: entry 1. */
  | { readonly type: "genesis"; readonly entry: Entry }
  /** `binding` names sender, receiver and incarnation. */
  | { readonly type: "raft"; readonly binding: Uint8Array; readonly messages: readonly Message[] }
  | { readonly type: "open-session"; readonly key: string }
  /** The member closes: what it sent before is all. */
  | { readonly type: "close-session"; readonly key: string }
  | { readonly type: "commands"; readonly session: Index; readonly batches: readonly NumberedBatch[] }
  /** Resend from `expected` on; 0: the session is unknown. */
  | { readonly type: "commands-refused"; readonly session: Index; readonly expected: number }
  /** Batch `number` has a command that these members do not know. Its session ends, since a number cannot be left out. */
  | {
      readonly type: "commands-unsupported";
      readonly session: Index;
      readonly number: number;
      readonly members: readonly PeerId[];
    }
  /** What the sender can apply: first on every bond. */
  | { readonly type: "machine"; readonly support: Support }
  | { readonly type: "read"; readonly request: number }
  /** `index` undefined: ask again, elsewhere or later. */
  | { readonly type: "read-reply"; readonly request: number; readonly index: Index | undefined }
  /** Entries after `after`, please, as soon as more than `commit` is committed. */
  | {
      readonly type: "fetch";
      readonly incarnation: IncarnationId;
      readonly after: LogPosition;
      readonly commit: Index;
    }
  | {
      readonly type: "entries";
      readonly incarnation: IncarnationId;
      readonly prev: LogPosition;
      readonly entries: readonly Entry[];
      /** The sender's commit index; it may be beyond the entries. */
      readonly commit: Index;
    }
  /** To a reader: too many pull from here already, so ask somebody else. */
  | { readonly type: "fetch-refused"; readonly incarnation: IncarnationId }
  /** By the leader of a provisional incarnation that gives up. */
  | { readonly type: "dissolve"; readonly incarnation: IncarnationId }
  /** By the leader, to a member that asked to go: it is no voter any more, and that is committed. */
  | { readonly type: "released"; readonly incarnation: IncarnationId }
  /** To the leader: hand over, to this peer or to whom you like. */
  | { readonly type: "transfer"; readonly to: PeerId | undefined }
  | SnapshotFrame;

const writer = new ByteWriter(4096);

export function encodeHello(hello: BondHello): Uint8Array {
  writer.u8(HELLO_FORMAT).id(hello.group).bytes(hello.proof);
  writer.text(hello.machine.name).varint(hello.machine.version).text(hello.machine.codec);
  const { count, ids } = hello.openings;
  writer.varint(count).varint(ids.length);
  for (const id of ids) writer.fixed(Buffer.from(id, "hex"));
  writeStatus(writer, hello.status);
  return writer.finish();
}

/** Later versions may append fields. @throws DecodeError */
export function decodeHello(bytes: Uint8Array): BondHello {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== HELLO_FORMAT) throw new DecodeError("a bond's hello of an unknown format");
  const group = reader.id();
  const proof = reader.bytesCopy(PROOF_BYTES);
  const name = reader.text(LIMITS.nameBytesMax);
  const version = reader.varint();
  const codec = reader.text(LIMITS.nameBytesMax);
  const openings = readOpenings(reader);
  return { group, proof, machine: { name, version, codec }, openings, status: readStatus(reader) };
}

function readOpenings(reader: ByteReader): Openings {
  const count = reader.varint();
  const ids: string[] = [];
  for (let left = reader.count(OPENINGS_TOLD_MAX, OPENING_ID_BYTES); left > 0; left--) {
    ids.push(Buffer.from(reader.fixed(OPENING_ID_BYTES)).toString("hex"));
  }
  if (count < ids.length || (count > 0 && ids.length === 0)) throw new DecodeError("openings that do not add up");
  return { count, ids };
}

/** The frame's number and payload. */
export function encodeFrame(frame: BondFrame): { readonly kind: number; readonly payload: Uint8Array } {
  switch (frame.type) {
    case "status":
      writeStatus(writer, frame.status);
      return finish(FRAME.status);
    case "genesis":
      writeEntries(writer, [frame.entry]);
      return finish(FRAME.genesis);
    case "raft":
      writer.fixed(frame.binding).varint(frame.messages.length);
      for (const message of frame.messages) writeMessage(writer, message);
      return finish(FRAME.raft);
    case "open-session":
      writer.fixed(Buffer.from(frame.key, "hex"));
      return finish(FRAME.openSession);
    case "close-session":
      writer.fixed(Buffer.from(frame.key, "hex"));
      return finish(FRAME.closeSession);
    case "commands":
      writer.varint(frame.session).varint(frame.batches.length);
      for (const batch of frame.batches) {
        writer.varint(batch.number);
        writeBatch(writer, batch);
      }
      return finish(FRAME.commands);
    case "commands-refused":
      writer.varint(frame.session).varint(frame.expected);
      return finish(FRAME.commandsRefused);
    case "commands-unsupported":
      writer.varint(frame.session).varint(frame.number).varint(frame.members.length);
      for (const member of frame.members) writer.id(member);
      return finish(FRAME.commandsUnsupported);
    case "machine":
      writeSupport(writer, frame.support);
      return finish(FRAME.machine);
    case "read":
      writer.varint(frame.request);
      return finish(FRAME.read);
    case "read-reply":
      writer.varint(frame.request).bool(frame.index !== undefined);
      if (frame.index !== undefined) writer.varint(frame.index);
      return finish(FRAME.readReply);
    case "fetch":
      writer.id(frame.incarnation);
      writePosition(writer, frame.after);
      writer.varint(frame.commit);
      return finish(FRAME.fetch);
    case "entries":
      writer.id(frame.incarnation);
      writePosition(writer, frame.prev);
      writer.varint(frame.commit);
      writeEntries(writer, frame.entries);
      return finish(FRAME.entries);
    case "fetch-refused":
      writer.id(frame.incarnation);
      return finish(FRAME.fetchRefused);
    case "dissolve":
      writer.id(frame.incarnation);
      return finish(FRAME.dissolve);
    case "released":
      writer.id(frame.incarnation);
      return finish(FRAME.released);
    case "transfer":
      writeOptionalId(writer, frame.to);
      return finish(FRAME.transfer);
    default:
      writeSnapshotFrame(writer, frame);
      return finish(SNAPSHOT_FRAMES[frame.type]);
  }
}

/** Undefined: a kind that this version does not know, to be skipped. @throws DecodeError */
export function decodeFrame(kind: number, payload: Uint8Array): BondFrame | undefined {
  const reader = new ByteReader(payload);
  const frame = decodeBody(kind, reader);
  // What members say of themselves may grow fields; everything else is exact.
  if (frame !== undefined && frame.type !== "status" && frame.type !== "machine") reader.end();
  return frame;
}

function decodeBody(kind: number, reader: ByteReader): BondFrame | undefined {
  switch (kind) {
    case FRAME.status:
      return { type: "status", status: readStatus(reader) };
    case FRAME.genesis:
      return { type: "genesis", entry: readGenesis(reader) };
    case FRAME.raft:
      return readRaft(reader);
    case FRAME.openSession:
      return { type: "open-session", key: Buffer.from(reader.fixed(16)).toString("hex") };
    case FRAME.closeSession:
      return { type: "close-session", key: Buffer.from(reader.fixed(16)).toString("hex") };
    case FRAME.commands:
      return readCommands(reader);
    case FRAME.commandsRefused:
      return { type: "commands-refused", session: reader.varint(), expected: reader.varint() };
    case FRAME.commandsUnsupported:
      return readUnsupported(reader);
    case FRAME.machine:
      return { type: "machine", support: readSupport(reader) };
    case FRAME.read:
      return { type: "read", request: reader.varint() };
    case FRAME.readReply:
      return { type: "read-reply", request: reader.varint(), index: reader.bool() ? reader.varint() : undefined };
    case FRAME.fetch:
      return readFetch(reader);
    case FRAME.entries:
      return readEntriesFrame(reader);
    case FRAME.fetchRefused:
      return { type: "fetch-refused", incarnation: reader.id() as IncarnationId };
    case FRAME.dissolve:
      return { type: "dissolve", incarnation: reader.id() as IncarnationId };
    case FRAME.released:
      return { type: "released", incarnation: reader.id() as IncarnationId };
    case FRAME.transfer:
      return { type: "transfer", to: readOptionalId(reader) as PeerId | undefined };
    case FRAME.logBegins:
      return readSnapshotFrame("log-begins", reader);
    case FRAME.snapshotAsk:
      return readSnapshotFrame("snapshot-ask", reader);
    case FRAME.snapshotOffer:
      return readSnapshotFrame("snapshot-offer", reader);
    case FRAME.snapshotFetch:
      return readSnapshotFrame("snapshot-fetch", reader);
    case FRAME.snapshotChunk:
      return readSnapshotFrame("snapshot-chunk", reader);
    default:
      return undefined;
  }
}

function readGenesis(reader: ByteReader): Entry {
  const [entry] = readEntries(reader, { index: 0, term: 0 });
  if (entry === undefined) throw new DecodeError("a genesis frame without its entry");
  return entry;
}

function readRaft(reader: ByteReader): BondFrame {
  const binding = reader.fixed(BINDING_BYTES).slice();
  const count = reader.count(LIMITS.raftMessagesMax);
  const messages: Message[] = [];
  for (let i = 0; i < count; i++) messages.push(readMessage(reader));
  return { type: "raft", binding, messages };
}

function readCommands(reader: ByteReader): BondFrame {
  const session = reader.varint();
  const count = reader.count(LIMITS.windowEntriesMax, 3);
  const batches: NumberedBatch[] = [];
  let left = FRAME_COMMANDS_MAX;
  for (let i = 0; i < count; i++) {
    const number = reader.varint();
    const { count: commands, bytes, start, end } = readBatch(reader, left);
    left -= commands;
    batches.push({ number, count: commands, bytes, start, end });
  }
  return { type: "commands", session, batches };
}

function readUnsupported(reader: ByteReader): BondFrame {
  const session = reader.varint();
  const number = reader.varint();
  const members: PeerId[] = [];
  for (let count = reader.count(UNSUPPORTED_MEMBERS_MAX, 32); count > 0; count--) members.push(reader.id() as PeerId);
  return { type: "commands-unsupported", session, number, members };
}

function readFetch(reader: ByteReader): BondFrame {
  const incarnation = reader.id() as IncarnationId;
  return { type: "fetch", incarnation, after: readPosition(reader), commit: reader.varint() };
}

function readEntriesFrame(reader: ByteReader): BondFrame {
  const incarnation = reader.id() as IncarnationId;
  const prev = readPosition(reader);
  const commit = reader.varint();
  return { type: "entries", incarnation, prev, commit, entries: readEntries(reader, prev) };
}

function finish(kind: number): { readonly kind: number; readonly payload: Uint8Array } {
  return { kind, payload: writer.finish() };
}
