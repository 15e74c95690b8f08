import { LIMITS } from "../../env/index.ts";
import type { Index, LogPosition } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import { ByteReader, ByteWriter, DecodeError, messagePack } from "../../wire/index.ts";
import { readSupport, type Support, writeSupport } from "../entries/index.ts";
import type { ChunkIntake } from "../machine/index.ts";
import { encodeSessions, readSessions, type SessionTable } from "../sessions/index.ts";

// A snapshot's data is a row of parts, each with its length before it: facts, the session table, the machine's chunks, the end.
const FORMAT = 1;
const PART = { facts: 0, sessions: 1, chunk: 2, end: 3 } as const;

/** Incarnations that led to one, at most: of those before nobody is told. */
export const ORIGINS_MAX = 8;

/** An incarnation that lost its majority, and from whose log another was begun. */
export interface Origin {
  readonly incarnation: IncarnationId;
  /** Where that log ended: whoever's ends no later has nothing more that was acknowledged. */
  readonly last: LogPosition;
  /** User commands that were carried over. */
  readonly position: number;
}

/** What a replica knows besides machine and sessions. Equal on all replicas at equal index. */
export interface ReplicaFacts {
  readonly incarnation: IncarnationId;
  /** User commands applied. */
  readonly position: number;
  /** The group's clock. */
  readonly timeMs: number;
  /** Of the two *open* entries. */
  readonly openIndex: Index;
  readonly establishedIndex: Index;
  /** The latest last. */
  readonly origins: readonly Origin[];
  /** What may come in the log. */
  readonly agreed: Support | undefined;
  /** Of the machine that wrote its chunks. */
  readonly machine: { readonly name: string; readonly version: number };
}

/** All of a replica, as a snapshot holds it. */
export interface ReplicaState extends ReplicaFacts {
  readonly sessions: SessionTable;
  /** The machine's own, decoded. For one `restore`. */
  readonly chunks: Iterable<unknown>;
}

/**
 * The data in small pieces. Equal replicas give equal bytes, so members that took a snapshot at the same index hold the same one.
 *
 * The replica must not change before the last piece is taken. @throws what the machine's `snapshot` throws, and `not-encodable`
 */
export function* encodeSnapshot(
  facts: ReplicaFacts,
  sessions: SessionTable,
  chunks: Iterable<unknown>,
): Generator<Uint8Array, void, void> {
  const writer = new ByteWriter(4096);
  writer.u8(PART.facts).u8(FORMAT).id(facts.incarnation).varint(facts.position).varint(facts.timeMs);
  writer.varint(facts.openIndex).varint(facts.establishedIndex);
  writer
    .text(facts.machine.name)
    .varint(facts.machine.version)
    .bool(facts.agreed !== undefined);
  if (facts.agreed !== undefined) writeSupport(writer, facts.agreed);
  writeOrigins(writer, facts.origins);
  yield part(writer.finish());
  for (const piece of encodeSessions(sessions)) yield part(writer.u8(PART.sessions).fixed(piece).finish());
  let count = 0;
  for (const chunk of chunks) {
    const bytes = messagePack.encode(chunk);
    if (bytes.length > LIMITS.snapshotPartBytesMax) {
      throw new RangeError(`a chunk of the machine's snapshot has ${bytes.length} bytes`);
    }
    yield part(writer.u8(PART.chunk).fixed(bytes).finish());
    count++;
  }
  yield part(writer.u8(PART.end).varint(count).finish());
}

function part(content: Uint8Array): Uint8Array {
  return new ByteWriter(content.length + 8).bytes(content).finish();
}

/**
 * Takes the data apart as it comes, however it is cut. Holds at most one part that is not whole yet, in a buffer that grows by two, so that the time is
 * that of the bytes also if they come one by one.
 */
export class SnapshotDecoder {
  /** What waits lies in it, from `#from` to `#to`. */
  #buffer: Uint8Array = new Uint8Array(0);
  #from = 0;
  #to = 0;
  /** It is no one else's. */
  #isOwn = true;
  #facts: ReplicaFacts | undefined;
  /** Pieces of the table; then it is read, a few records at a time, before anything else is; then it is there. */
  #sessions: Uint8Array[] = [];
  #reading: Iterator<void, SessionTable, void> | undefined;
  #table: SessionTable | undefined;
  readonly #chunks: ChunkIntake;
  #count = 0;
  #isEnded = false;

  /** @param chunks - of the machine that will restore them */
  constructor(chunks: ChunkIntake) {
    this.#chunks = chunks;
  }

  /** @throws DecodeError */
  push(bytes: Uint8Array): void {
    this.feed(bytes);
    while (this.decodeNext());
  }

  /** Takes the bytes, but not apart: for those who do that in slices. They are looked at until `decodeNext` says that no more is here. */
  feed(bytes: Uint8Array): void {
    if (this.#from === this.#to) {
      this.#buffer = bytes;
      this.#from = 0;
      this.#to = bytes.length;
      this.#isOwn = false;
      return;
    }
    if (!this.#isOwn || this.#buffer.length - this.#to < bytes.length) this.#move(bytes.length);
    this.#buffer.set(bytes, this.#to);
    this.#to += bytes.length;
  }

  /** Takes one part, or a few sessions. False: no whole part is here, and all that came before is taken. @throws DecodeError */
  decodeNext(): boolean {
    if (this.#reading !== undefined) return this.#readOn(this.#reading);
    const rest = this.#buffer.subarray(this.#from, this.#to);
    const length = partLength(rest);
    if (length === undefined || rest.length < length.total) {
      if (!this.#isOwn) this.#move(0);
      return false;
    }
    this.#from += length.total;
    this.#onPart(rest.subarray(length.total - length.content, length.total));
    return true;
  }

  /** What waits, to a buffer of our own that has room for so much more. */
  #move(more: number): void {
    const waiting = this.#buffer.subarray(this.#from, this.#to);
    this.#buffer = new Uint8Array(2 * waiting.length + more);
    this.#buffer.set(waiting);
    this.#from = 0;
    this.#to = waiting.length;
    this.#isOwn = true;
  }

  /** @throws DecodeError */
  end(): ReplicaState {
    const sessions = this.#table;
    if (!this.#isEnded || this.#from < this.#to || this.#facts === undefined || sessions === undefined) {
      throw new DecodeError("a snapshot that ends early");
    }
    return { ...this.#facts, sessions, chunks: this.#chunks };
  }

  #readOn(reading: Iterator<void, SessionTable, void>): true {
    const step = reading.next();
    if (step.done !== true) return true;
    this.#table = step.value;
    this.#reading = undefined;
    return true;
  }

  #onPart(content: Uint8Array): void {
    const reader = new ByteReader(content);
    const type = reader.u8();
    if ((this.#facts === undefined) !== (type === PART.facts) || this.#isEnded) {
      throw new DecodeError("a part of a snapshot out of place");
    }
    if (type === PART.facts) this.#facts = readFacts(reader);
    else if (type === PART.sessions && this.#count === 0) this.#sessions.push(Uint8Array.from(reader.rest()));
    else if (type === PART.chunk) this.#onChunk(messagePack.decode(reader.rest()));
    else if (type === PART.end) this.#onEnd(reader);
    else throw new DecodeError("a part of a snapshot of an unknown kind");
    if (type === PART.facts || type === PART.sessions || this.#table !== undefined) return;
    // The first part after the table.
    this.#reading = readSessions(Buffer.concat(this.#sessions));
    this.#sessions = [];
  }

  #onChunk(chunk: unknown): void {
    this.#chunks.add(chunk);
    this.#count++;
  }

  #onEnd(reader: ByteReader): void {
    if (reader.varint() !== this.#count) throw new DecodeError("a snapshot that lacks chunks");
    reader.end();
    this.#isEnded = true;
  }
}

function readFacts(reader: ByteReader): ReplicaFacts {
  const format = reader.u8();
  if (format !== FORMAT) throw new DecodeError(`a snapshot of format ${format}`);
  const facts = {
    incarnation: reader.id() as IncarnationId,
    position: reader.varint(),
    timeMs: reader.varint(),
    openIndex: reader.varint(),
    establishedIndex: reader.varint(),
    machine: { name: reader.text(LIMITS.nameBytesMax), version: reader.varint() },
    agreed: reader.bool() ? readSupport(reader) : undefined,
    origins: readOrigins(reader),
  };
  reader.end();
  return facts;
}

export function writeOrigins(writer: ByteWriter, origins: readonly Origin[]): void {
  writer.varint(origins.length);
  for (const { incarnation, last, position } of origins) {
    writer.id(incarnation).varint(last.index).varint(last.term).varint(position);
  }
}

/** @throws DecodeError */
export function readOrigins(reader: ByteReader): Origin[] {
  const origins: Origin[] = [];
  for (let count = reader.count(ORIGINS_MAX, 35); count > 0; count--) {
    const incarnation = reader.id() as IncarnationId;
    origins.push({ incarnation, last: { index: reader.varint(), term: reader.varint() }, position: reader.varint() });
  }
  return origins;
}

/** Undefined: not enough bytes to tell. @throws DecodeError */
function partLength(bytes: Uint8Array): { readonly total: number; readonly content: number } | undefined {
  let content = 0;
  for (let at = 0; at < 5; at++) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    content += (byte & 0x7f) * 2 ** (7 * at);
    if (byte >= 0x80) continue;
    if (content === 0 || content > LIMITS.snapshotPartBytesMax + 1) break;
    return { total: at + 1 + content, content };
  }
  throw new DecodeError("a part of a snapshot with a senseless length");
}
