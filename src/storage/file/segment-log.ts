import { assert, type Random } from "../../env/index.ts";
import type { Entry } from "../../raft/index.ts";
import { ByteWriter } from "./bytes.ts";
import { type FileSystem, isNoRoom, type OpenFile } from "./file-system.ts";
import { FRAME_ALIGN_BYTES, FRAME_HEAD_BYTES, SEGMENT_HEAD_BYTES, sealFrame, writeSegmentHead } from "./frames.ts";
import { NEXT_SEGMENT, segmentName } from "./layout.ts";
import { type LogRecord, type Marks, writeRecord } from "./records.ts";

const ZEROS = Buffer.alloc(1024 * 1024);

/** The segment that is written to. */
interface Tail {
  readonly sequence: number;
  readonly salt: number;
  readonly file: OpenFile;
  /** Where the next frame goes. */
  position: number;
}

/** A segment as found at `open`. */
export interface FoundTail {
  readonly sequence: number;
  readonly salt: number;
  readonly bytes: Buffer;
  /** Where its last good frame ends. */
  readonly end: number;
}

/** The segments of one store, as files. It knows nothing of what the records mean. Call one thing at a time, but `prepareNext` at any. */
export class SegmentLog {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #random: Random;
  readonly #writer = new ByteWriter();
  /** Of all segments, in order; the last is the tail's. */
  readonly #sequences: number[];
  #tail: Tail | undefined;
  #next: OpenFile | undefined;

  /** @param sequences - of the segments that are there, the tail's too */
  constructor(files: FileSystem, folder: string, random: Random, sequences: readonly number[]) {
    this.#files = files;
    this.#folder = folder;
    this.#random = random;
    this.#sequences = [...sequences];
  }

  get position(): number {
    return this.#tail?.position ?? 0;
  }
  /** Of the tail. */
  get sequence(): number {
    return this.#tail?.sequence ?? 0;
  }

  /**
   * Goes on after the tail's last good frame. What was read may be in memory only, and what is behind the frame may be the rest of a torn
   * one; so all of the segment is written again, and synced, before anything is added.
   */
  async resume(found: FoundTail): Promise<void> {
    const { sequence, salt, bytes, end } = found;
    const file = await this.#files.open(`${this.#folder}/${segmentName(sequence)}`, "write");
    this.#tail = { sequence, salt, file, position: end };
    bytes.fill(0, end);
    await file.write(bytes, 0);
    await file.syncData();
  }

  /**
   * Appends one frame and makes it durable.
   *
   * @param onEntry - told of each entry, in order, with the place of its head in the segment
   * @returns bytes written
   */
  async append(records: readonly LogRecord[], onEntry: (entry: Entry, position: number) => void): Promise<number> {
    const tail = this.#tail;
    assert(tail !== undefined, "a log is written to after it was begun");
    const { position } = tail;
    const frame = this.#frame(records, tail.salt, position, 0, onEntry);
    await tail.file.write(frame, position);
    await tail.file.syncData();
    tail.position += frame.length;
    return frame.length;
  }

  /** Makes the next segment ready: zeros, synced. False: there is no room for it, and nothing is left of the try. */
  async prepareNext(bytes: number): Promise<boolean> {
    await this.#next?.close();
    this.#next = undefined;
    const path = `${this.#folder}/${NEXT_SEGMENT}`;
    let file: OpenFile | undefined;
    try {
      // Blocks that an earlier life got are used again. More of them than needed do no harm.
      file = await this.#files.open(path, "create");
      const size = Math.max(bytes, await file.size());
      for (let at = 0; at < size; at += ZEROS.length) {
        await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, size - at)), at);
      }
      await file.syncData();
    } catch (cause) {
      await file?.close();
      if (!isNoRoom(cause)) throw cause;
      await this.#files.remove(path);
      return false;
    }
    this.#next = file;
    return true;
  }

  /** Goes on in the next segment, which must be ready. `marks`: all that the segments before it say. */
  async rotate(marks: Marks): Promise<void> {
    const file = this.#next;
    assert(file !== undefined, "the next segment is ready");
    this.#next = undefined;
    const sequence = (this.#sequences.at(-1) ?? 0) + 1;
    const salt = this.#random.uint32();
    const old = this.#tail;
    const bytes = this.#frame([{ type: "checkpoint", marks }], salt, SEGMENT_HEAD_BYTES, SEGMENT_HEAD_BYTES, () => {});
    writeSegmentHead(bytes, { salt, sequence });
    this.#tail = { sequence, salt, file, position: bytes.length };
    this.#sequences.push(sequence);
    await file.write(bytes, 0);
    await file.syncData();
    await this.#files.rename(`${this.#folder}/${NEXT_SEGMENT}`, `${this.#folder}/${segmentName(sequence)}`);
    await this.#files.syncDirectory(this.#folder);
    await old?.file.close();
  }

  /** Removes segments below this one, never the tail. If a crash brings some of them back, recovery knows them as leftovers. */
  async dropBefore(sequence: number): Promise<boolean> {
    let hasDropped = false;
    for (;;) {
      const [first] = this.#sequences;
      if (first === undefined || first >= sequence || first === this.sequence) return hasDropped;
      this.#sequences.shift();
      await this.#files.remove(`${this.#folder}/${segmentName(first)}`);
      hasDropped = true;
    }
  }

  async close(): Promise<void> {
    const files = [this.#tail?.file, this.#next];
    this.#tail = undefined;
    this.#next = undefined;
    for (const file of files) await file?.close().catch(() => undefined);
  }

  /** A frame of these records, after `before` free bytes. Valid until the next call. */
  #frame(
    records: readonly LogRecord[],
    salt: number,
    position: number,
    before: number,
    onEntry: (entry: Entry, position: number) => void,
  ): Buffer {
    const out = this.#writer;
    const head = before + FRAME_HEAD_BYTES;
    out.restart(head);
    const onPlace = (entry: Entry, at: number): void => onEntry(entry, position + at - before);
    for (const record of records) writeRecord(out, record, onPlace);
    const payloadBytes = out.length - head;
    const buffer = out.take(FRAME_ALIGN_BYTES);
    const length = sealFrame(buffer.subarray(before), payloadBytes, salt, position);
    return buffer.subarray(0, before + length);
  }
}
