/**
 * Reads a store back from its folder, and judges it: whole, with a torn last write at most; or damaged. Nothing is changed here.
 */
import { LIMITS } from "../../env/index.ts";
import type { Index } from "../../raft/index.ts";
import type { SnapshotHead, StoreId } from "../types.ts";
import { ByteReader } from "./bytes.ts";
import { EntryIndex } from "./entry-index.ts";
import { type FileSystem, readWhole } from "./file-system.ts";
import { Damage, type Frame, readSegmentHead, type SegmentEnd, walkFrames } from "./frames.ts";
import { DAMAGED, isSnapshotName, segmentName, sequenceOf, snapshotName } from "./layout.ts";
import { afterRecord, type EntryHead, type Marks, type ReadRecord, readRecord } from "./records.ts";
import type { FoundTail } from "./segment-log.ts";
import { SnapshotFile } from "./snapshot-file.ts";

const SEGMENT_BYTES_MAX = LIMITS.storageWriteBytesMax + LIMITS.segmentBytesMax;
const REASON_BYTES_MAX = 4 * 1024;

/** A store as it was left. */
export interface Recovered {
  readonly marks: Marks;
  readonly index: EntryIndex;
  readonly snapshot: SnapshotHead | undefined;
  readonly tail: FoundTail;
  /** Of the segments that belong to it. */
  readonly sequences: readonly number[];
  /** Names in the folder that do not: what a crash left half done. */
  readonly strays: readonly string[];
  readonly isTorn: boolean;
}

/** What was found of a damaged store. */
export class DamagedStore extends Error {
  override readonly name = "DamagedStore";
  readonly storeId: StoreId | undefined;

  constructor(reason: string, storeId: StoreId | undefined) {
    super(reason);
    this.storeId = storeId;
  }
}

/**
 * @returns undefined if no store was ever finished here
 * @throws DamagedStore; NewerVersion; what the file system throws
 */
export async function recover(files: FileSystem, folder: string): Promise<Recovered | undefined> {
  const names = await files.list(folder);
  const replay = new Replay();
  try {
    const mark = names.includes(DAMAGED) ? await readWhole(files, `${folder}/${DAMAGED}`, REASON_BYTES_MAX) : undefined;
    if (mark !== undefined) throw new Damage(mark.toString() || "damage was met while the store was open");
    const sequences = lastRun(names);
    const last = sequences.at(-1);
    if (last === undefined) {
      if (names.some((name) => name.startsWith("snapshot-") && !name.endsWith(".part"))) {
        throw new Damage("the log is missing");
      }
      return undefined;
    }
    let tail: FoundTail | undefined;
    let isTorn = false;
    for (const sequence of sequences) {
      const { found, end } = await readSegment(files, folder, sequence, replay);
      if (end.isTorn && sequence !== last) throw new Damage("a segment that was finished is torn");
      if (end.end === 0) throw new Damage("a segment has no record");
      tail = found;
      isTorn = end.isTorn;
    }
    const { marks, index } = replay.finish();
    const snapshot = await checkSnapshot(files, folder, marks);
    if (tail === undefined) throw new Damage("the log is missing");
    const own = new Set([...sequences.map(segmentName), ...(marks.snapshot ? [snapshotName(marks.snapshot.id)] : [])]);
    const strays = names.filter((name) => !own.has(name) && (sequenceOf(name) !== undefined || isSnapshotName(name)));
    return { marks, index, snapshot, tail, sequences, strays, isTorn };
  } catch (cause) {
    if (cause instanceof Damage) throw new DamagedStore(cause.message, replay.marks?.storeId);
    throw cause;
  }
}

/** The segments up to the last that have no gap between them. Those below a gap were being removed, from the lowest on. */
function lastRun(names: readonly string[]): readonly number[] {
  const sequences = names.flatMap((name) => sequenceOf(name) ?? []).sort((a, b) => a - b);
  let from = Math.max(0, sequences.length - 1);
  while (from > 0 && sequences[from - 1] === (sequences[from] ?? 0) - 1) from--;
  return sequences.slice(from);
}

async function readSegment(
  files: FileSystem,
  folder: string,
  sequence: number,
  replay: Replay,
): Promise<{ found: FoundTail; end: SegmentEnd }> {
  const bytes = await readWhole(files, `${folder}/${segmentName(sequence)}`, SEGMENT_BYTES_MAX);
  if (bytes === undefined) throw new Damage("a segment is missing");
  const head = readSegmentHead(bytes);
  if (head.sequence !== sequence) throw new Damage("a segment has the name of another");
  replay.beginSegment(sequence);
  const end = walkFrames(bytes, head.salt, (frame) => replay.frame(bytes, frame));
  replay.endSegment();
  return { found: { sequence, salt: head.salt, bytes, end: end.end }, end };
}

async function checkSnapshot(
  files: FileSystem,
  folder: string,
  { snapshot }: Marks,
): Promise<SnapshotHead | undefined> {
  if (snapshot === undefined) return undefined;
  const file = await SnapshotFile.open(files, folder, snapshot);
  try {
    await file.verify();
    return file.head;
  } finally {
    await file.close();
  }
}

/** Goes through all records again. @internal */
export class Replay {
  marks: Marks | undefined;
  #index = new EntryIndex(0);
  #sequence = 0;
  /** The next record is the first of its segment. */
  #isFirst = true;

  beginSegment(sequence: number): void {
    this.#sequence = sequence;
    this.#isFirst = true;
  }

  endSegment(): void {
    if (this.#isFirst) throw new Damage("a segment has no record");
  }

  frame(bytes: Buffer, { from, to }: Frame): void {
    const input = new ByteReader(bytes, from, to);
    while (!input.isAtEnd) this.#record(readRecord(input));
  }

  /** @throws Damage entries are missing that were not pruned */
  finish(): { marks: Marks; index: EntryIndex } {
    const { marks } = this;
    if (marks === undefined) throw new Damage("the log has no record");
    const index = this.#index;
    if (index.base > marks.boundary.index) throw new Damage("segments are missing");
    index.prune(Math.min(marks.boundary.index, index.end));
    if (index.end !== marks.last.index) throw new Damage("the log's end is not where it was");
    return { marks, index };
  }

  #record(record: ReadRecord): void {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst !== (record.type === "checkpoint")) throw new Damage("a checkpoint is not where it belongs");
    if (record.type === "checkpoint") return this.#checkpoint(record.marks);
    const { marks } = this;
    if (marks === undefined) throw new Damage("a record has nothing to follow");
    if (record.type === "entries") {
      this.marks = this.#entries(marks, record.heads);
      return;
    }
    if (record.type === "truncate") this.#truncate(marks, record.last.index);
    if (record.type === "prune") this.#prune(marks, record.boundary.index);
    if (record.type === "reset") this.#index = new EntryIndex(record.snapshot.index);
    this.marks = afterRecord(marks, record);
  }

  /** It says what the segments before it come to. Of those that are gone, it alone tells. */
  #checkpoint(marks: Marks): void {
    if (this.marks === undefined) {
      this.marks = marks;
      this.#index = new EntryIndex(marks.last.index);
    } else if (JSON.stringify(this.marks) !== JSON.stringify(marks)) {
      throw new Damage("a segment does not go on where the one before it ends");
    }
  }

  #truncate(marks: Marks, last: Index): void {
    if (last < marks.boundary.index || last >= marks.last.index) throw new Damage("a truncation makes no sense");
    this.#index.truncate(last + 1);
  }

  #prune(marks: Marks, upTo: Index): void {
    if (upTo < marks.boundary.index || upTo > marks.last.index) throw new Damage("a pruning makes no sense");
    this.#index.prune(Math.min(upTo, this.#index.end));
  }

  #entries(marks: Marks, heads: readonly EntryHead[]): Marks {
    let { last } = marks;
    for (const { index, term, position, dataBytes } of heads) {
      if (index !== last.index + 1 || index !== this.#index.end + 1)
        throw new Damage("entries do not follow each other");
      this.#index.append(index, term, dataBytes);
      this.#index.place(index, this.#sequence, position);
      last = { index, term };
    }
    return { ...marks, last };
  }
}
