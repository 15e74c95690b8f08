/**
 * A snapshot's file: a head with its place and configuration, then the data in chunks of one size, each with its own checksum; so a
 * piece can be read and checked alone, and neither end ever holds more than a chunk.
 */
import { LIMITS, mosaikError } from "../../env/index.ts";
import type { SnapshotHead, SnapshotPlace, SnapshotReader } from "../types.ts";
import { crc32c } from "./crc32c.ts";
import { codeOf, type FileSystem, type OpenFile } from "./file-system.ts";
import { Damage, NewerVersion } from "./frames.ts";
import { snapshotName } from "./layout.ts";
import type { SnapshotRef } from "./records.ts";

const MAGIC = Buffer.from("mosaiksn");
const VERSION = 1;
/** Magic, version, size of a chunk, id, index, term, length of the configuration; a sum over all that and the configuration. */
const HEAD_BYTES = 8 + 4 + 4 + 16 + 8 + 8 + 4 + 4;
const SUM_BYTES = 4;

/** Writes one file. Nobody finds it before `end`. */
export class SnapshotFileWriter {
  readonly id: string;
  readonly place: SnapshotPlace;
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #file: OpenFile;
  #chunk = Buffer.alloc(SUM_BYTES + LIMITS.snapshotChunkBytes);
  #filled = 0;
  #ended: SnapshotRef | undefined;
  #chunks = 0;
  #position: number;

  private constructor(files: FileSystem, folder: string, file: OpenFile, id: string, place: SnapshotPlace) {
    this.#files = files;
    this.#folder = folder;
    this.#file = file;
    this.id = id;
    this.place = place;
    this.#position = HEAD_BYTES + place.configuration.length;
  }

  static async create(
    files: FileSystem,
    folder: string,
    id: string,
    place: SnapshotPlace,
  ): Promise<SnapshotFileWriter> {
    const file = await files.open(`${folder}/${snapshotName(id, true)}`, "create");
    try {
      await file.write(headBytes(id, place), 0);
    } catch (cause) {
      await file.close();
      throw cause;
    }
    return new SnapshotFileWriter(files, folder, file, id, place);
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; ) {
      const length = Math.min(data.length - at, LIMITS.snapshotChunkBytes - this.#filled);
      this.#chunk.set(data.subarray(at, at + length), SUM_BYTES + this.#filled);
      this.#filled += length;
      at += length;
      if (this.#filled === LIMITS.snapshotChunkBytes) await this.#flush();
    }
  }

  /** Durable under its own name from now on. Idempotent. */
  async end(): Promise<SnapshotRef> {
    if (this.#ended !== undefined) return this.#ended;
    const bytes = this.#chunks * LIMITS.snapshotChunkBytes + this.#filled;
    if (this.#filled > 0) await this.#flush();
    await this.#file.syncData();
    await this.#file.close();
    const path = (isPart: boolean): string => `${this.#folder}/${snapshotName(this.id, isPart)}`;
    await this.#files.rename(path(true), path(false));
    await this.#files.syncDirectory(this.#folder);
    this.#ended = { id: this.id, index: this.place.index, term: this.place.term, bytes };
    return this.#ended;
  }

  /** After a failure, too, and after the end, if nobody names it. */
  async discard(): Promise<void> {
    const isPart = this.#ended === undefined;
    if (isPart) await this.#file.close().catch(() => undefined);
    await this.#files.remove(`${this.#folder}/${snapshotName(this.id, isPart)}`);
  }

  async #flush(): Promise<void> {
    const end = SUM_BYTES + this.#filled;
    this.#chunk.writeUInt32LE(crc32c(this.#chunk, SUM_BYTES, end, this.#chunks), 0);
    await this.#file.write(this.#chunk.subarray(0, end), this.#position);
    this.#position += end;
    this.#chunks++;
    this.#filled = 0;
  }
}

/** @internal */
export function headBytes(id: string, { index, term, configuration }: SnapshotPlace): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + configuration.length);
  MAGIC.copy(bytes);
  bytes.writeUInt8(VERSION, 8);
  bytes.writeUInt32LE(LIMITS.snapshotChunkBytes, 12);
  bytes.write(id, 16, "hex");
  bytes.writeDoubleLE(index, 32);
  bytes.writeDoubleLE(term, 40);
  bytes.writeUInt32LE(configuration.length, 48);
  bytes.set(configuration, HEAD_BYTES);
  bytes.writeUInt32LE(headSum(bytes), 52);
  return bytes;
}

/** @internal Also for tests, which damage what is under the sum. */
export function headSum(bytes: Buffer): number {
  return crc32c(bytes, HEAD_BYTES, bytes.length, crc32c(bytes, 0, 52));
}

/** Reads one file, chunk by chunk, each checked. Lives on when the file is removed. */
export class SnapshotFile implements SnapshotReader {
  readonly head: SnapshotHead;
  readonly #file: OpenFile;
  readonly #chunkBytes: number;
  /** Told when what is read is not what was written. */
  readonly #onDamage: (cause: Damage) => Error;
  #isClosed = false;

  private constructor(
    file: OpenFile,
    head: SnapshotHead,
    options: { chunkBytes: number; onDamage: (cause: Damage) => Error },
  ) {
    this.#file = file;
    this.head = head;
    this.#chunkBytes = options.chunkBytes;
    this.#onDamage = options.onDamage;
  }

  /** @throws Damage, NewerVersion */
  static async open(
    files: FileSystem,
    folder: string,
    ref: SnapshotRef,
    onDamage: (cause: Damage) => Error = (cause) => cause,
  ): Promise<SnapshotFile> {
    let file: OpenFile;
    try {
      file = await files.open(`${folder}/${snapshotName(ref.id)}`, "read");
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") throw new Damage("the snapshot's file is missing");
      throw cause;
    }
    try {
      const { head, chunkBytes } = await readHead(file, ref);
      return new SnapshotFile(file, head, { chunkBytes, onDamage });
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

  async read(from: number, length: number): Promise<Uint8Array> {
    const end = Math.min(this.head.bytes, from + length);
    if (end <= from) return new Uint8Array(0);
    const data = new Uint8Array(end - from);
    for (let at = from; at < end; ) {
      const number = Math.floor(at / this.#chunkBytes);
      const chunk = await this.#chunk(number);
      const piece = chunk.subarray(at - number * this.#chunkBytes, end - number * this.#chunkBytes);
      data.set(piece, at - from);
      at += piece.length;
    }
    return data;
  }

  /** Reads all of it, to see whether it is as it was written. @throws Damage */
  async verify(): Promise<void> {
    const count = Math.ceil(this.head.bytes / this.#chunkBytes);
    for (let number = 0; number < count; number++) await this.#chunk(number);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#file.close();
  }

  async #chunk(number: number): Promise<Uint8Array> {
    if (this.#isClosed) throw mosaikError("closed", "the snapshot's reader is closed");
    const size = Math.min(this.#chunkBytes, this.head.bytes - number * this.#chunkBytes);
    const bytes = Buffer.alloc(SUM_BYTES + size);
    const start = HEAD_BYTES + this.head.configuration.length + number * (SUM_BYTES + this.#chunkBytes);
    const length = await this.#file.read(bytes, start);
    if (length < bytes.length || bytes.readUInt32LE(0) !== crc32c(bytes, SUM_BYTES, bytes.length, number)) {
      throw this.#onDamage(new Damage(`chunk ${number} of the snapshot is not as it was written`));
    }
    return bytes.subarray(SUM_BYTES);
  }
}

async function readHead(file: OpenFile, ref: SnapshotRef): Promise<{ head: SnapshotHead; chunkBytes: number }> {
  const bytes = Buffer.alloc(HEAD_BYTES + LIMITS.snapshotConfigurationBytesMax);
  return decodeSnapshotHead(bytes.subarray(0, await file.read(bytes, 0)), ref);
}

/** @param file - its first bytes, head included. @throws Damage, NewerVersion */
export function decodeSnapshotHead(file: Buffer, ref: SnapshotRef): { head: SnapshotHead; chunkBytes: number } {
  if (file.length < HEAD_BYTES || !file.subarray(0, 8).equals(MAGIC)) throw new Damage("the snapshot's head is wrong");
  const length = file.readUInt32LE(48);
  if (length > LIMITS.snapshotConfigurationBytesMax || HEAD_BYTES + length > file.length) {
    throw new Damage("the snapshot's head is wrong");
  }
  const bytes = file.subarray(0, HEAD_BYTES + length);
  const chunkBytes = bytes.readUInt32LE(12);
  const isWhole = bytes.readUInt32LE(52) === headSum(bytes) && chunkBytes > 0 && chunkBytes <= 64 * 1024 * 1024;
  if (!isWhole) throw new Damage("the snapshot's head is wrong");
  if (bytes.readUInt8(8) > VERSION) throw new NewerVersion(`a snapshot has version ${bytes.readUInt8(8)}`);
  const { id, index, term } = ref;
  const isIt =
    bytes.toString("hex", 16, 32) === id && bytes.readDoubleLE(32) === index && bytes.readDoubleLE(40) === term;
  if (!isIt) throw new Damage("the snapshot is another one than the log names");
  const configuration = new Uint8Array(bytes.subarray(HEAD_BYTES));
  return { head: { index, term, configuration, bytes: ref.bytes }, chunkBytes };
}
