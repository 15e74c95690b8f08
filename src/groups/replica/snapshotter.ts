import { type Env, LIMITS, type Logger, MosaikError, type Scope } from "../../env/index.ts";
import type { Entry, Index, Raft } from "../../raft/index.ts";
import type { SnapshotPlace, SnapshotWriter, Storage } from "../../storage/index.ts";
import { encodeConfiguration } from "../entries/index.ts";
import { Chunker } from "./chunker.ts";
import type { Replica } from "./replica.ts";
import { workSlice } from "./slices.ts";

/** Bytes that wait for the disk before the next slice does. */
const WAITING_BYTES_MAX = 4 * LIMITS.snapshotChunkBytes;
/** Nothing is applied while a snapshot is read. So that it is read a tenth of the time at most, some are left out. */
const REST_FACTOR = 10;

export interface SnapshotterOptions {
  readonly env: Env;
  readonly scope: Scope;
  readonly storage: Storage;
  readonly replica: Replica;
  readonly raft: Raft;
  readonly logger: Logger;
  readonly everyEntries: number;
  /** All writes that were begun are durable: a snapshot never goes further than the log on disk. */
  readonly written: () => Promise<void>;
  /** Somebody fetches our snapshot of this place: the log after it stays. */
  readonly pinned: () => Index | undefined;
  /** The snapshot is durable; the log up to `upTo` is not needed. */
  readonly onSaved: (snapshot: Index, upTo: Index) => void;
  readonly onFailure: (cause: unknown) => void;
}

/**
 * Takes snapshots of the replica, and lets go of the log before them.
 *
 * When is decided by the log alone (each `everyEntries`th index, or so many bytes), so that members that have the same settings have the same
 * snapshots. The state is read in slices; meanwhile nothing is applied, but the rest of the program goes on. The bytes are written behind that.
 */
export class Snapshotter {
  readonly #o: SnapshotterOptions;
  #bytes = 0;
  #isSaving = false;
  /** The machine's state is no plain data, or its `snapshot` threw: the log is kept. */
  #isGivenUp = false;
  #restUntilUs = 0;
  #build: { isCancelled: boolean } | undefined;

  constructor(options: SnapshotterOptions) {
    this.#o = options;
  }

  /** Of the applied entry that comes next. True if a snapshot is to be taken after it. */
  isDue(entry: Entry): boolean {
    this.#bytes += entry.data.length;
    if (entry.index % this.#o.everyEntries !== 0 && this.#bytes < LIMITS.snapshotEveryBytes) return false;
    this.#bytes = 0;
    if (this.#isSaving || this.#isGivenUp || !this.#o.replica.hasSnapshots) return false;
    return this.#nowUs() >= this.#restUntilUs;
  }

  /** Takes one. `resume` is called once entries may be applied again, perhaps at once. */
  take(entry: Entry, resume: () => void): void {
    const pieces = this.#o.replica.encodeSnapshot();
    if (pieces === undefined) return resume();
    const { index, term } = entry;
    const configuration = encodeConfiguration(this.#o.replica.voters);
    const build = { isCancelled: false };
    this.#build = build;
    this.#isSaving = true;
    const writer = this.#o.storage.createSnapshot({ index, term, configuration });
    this.#o.scope.spawn(async () => {
      try {
        const isRead = await this.#read(pieces, writer, build, resume);
        if (isRead) await this.#save({ index, term, configuration }, await writer);
        else await (await writer).discard();
      } catch (cause) {
        this.#onFailed(cause);
        await writer.then((opened) => opened.discard()).catch(() => undefined);
      } finally {
        this.#isSaving = false;
      }
    });
  }

  /** The state that is being read was replaced: it is worth nothing now, and nobody resumes. */
  cancel(): void {
    if (this.#build !== undefined) this.#build.isCancelled = true;
    this.#build = undefined;
    this.#bytes = 0;
  }

  /** True if all was read and written; `resume` was called then, or by the time that it threw. */
  async #read(
    pieces: Iterable<Uint8Array>,
    opening: Promise<SnapshotWriter>,
    build: { isCancelled: boolean },
    resume: () => void,
  ): Promise<boolean> {
    const out = new ChunkWriter(opening);
    const iterator = pieces[Symbol.iterator]();
    const startUs = this.#nowUs();
    try {
      while (!this.#readSlice(iterator, out)) {
        await new Promise<void>((ready) => this.#o.scope.after(0, ready));
        if (out.waitingBytes > WAITING_BYTES_MAX) await out.flushed();
        if (build.isCancelled) return false;
      }
    } catch (cause) {
      if (!MosaikError.is(cause, "storage-full", "storage-failed")) this.#giveUp(cause);
      throw cause;
    } finally {
      this.#restUntilUs = this.#nowUs() + REST_FACTOR * (this.#nowUs() - startUs);
      if (!build.isCancelled) resume();
      if (this.#build === build) this.#build = undefined;
    }
    out.end();
    await out.flushed();
    return !build.isCancelled;
  }

  /** True if that was the end. */
  #readSlice(iterator: Iterator<Uint8Array>, out: ChunkWriter): boolean {
    return workSlice(this.#o.env, () => {
      const { done, value } = iterator.next();
      if (done !== true) out.add(value);
      return done === true;
    });
  }

  async #save(place: SnapshotPlace, writer: SnapshotWriter): Promise<void> {
    await this.#o.written();
    await writer.save();
    const { raft } = this.#o;
    // A snapshot that came from elsewhere meanwhile goes further.
    if (raft.base.index >= place.index || this.#o.scope.isClosed) return;
    this.#o.onSaved(place.index, this.#tailStart(place.index));
  }

  /** What is kept of the log that the snapshot covers: so many entries, within bounds, for those who were away for a moment. */
  #tailStart(snapshot: Index): Index {
    const { raft, everyEntries, pinned } = this.#o;
    const earliest = Math.max(raft.base.index, snapshot - everyEntries);
    let bytes = 0;
    let upTo = snapshot;
    while (upTo > earliest && bytes < LIMITS.snapshotEveryBytes) bytes += raft.entry(upTo--)?.data.length ?? 0;
    return Math.max(raft.base.index, Math.min(upTo, pinned() ?? upTo));
  }

  #onFailed(cause: unknown): void {
    if (this.#o.scope.isClosed || this.#isGivenUp || MosaikError.is(cause, "closed")) return;
    if (MosaikError.is(cause, "storage-full"))
      this.#o.logger.warn({ cause }, "no room for a snapshot; the log is kept");
    else this.#o.onFailure(cause);
  }

  #giveUp(cause: unknown): void {
    this.#isGivenUp = true;
    const message = "the machine's state cannot be encoded, so there are no snapshots, and the log grows";
    this.#o.logger.warn({ cause }, message);
  }

  #nowUs(): number {
    return this.#o.env.clock.monotonicUs();
  }
}

/** Writes the chunks of a snapshot behind each other. */
class ChunkWriter {
  readonly #opening: Promise<SnapshotWriter>;
  readonly #chunker = new Chunker();
  #written: Promise<void> = Promise.resolve();
  waitingBytes = 0;

  constructor(opening: Promise<SnapshotWriter>) {
    this.#opening = opening;
    opening.catch(() => undefined);
  }

  add(piece: Uint8Array): void {
    this.#write(this.#chunker.add(piece));
  }

  /** Writes what is gathered. */
  end(): void {
    this.#write(this.#chunker.end());
  }

  /** @throws what a write said */
  flushed(): Promise<void> {
    return this.#written;
  }

  #write(chunk: Uint8Array | undefined): void {
    if (chunk === undefined) return;
    this.waitingBytes += chunk.length;
    this.#written = this.#written.then(async () => {
      await (await this.#opening).write(chunk);
      this.waitingBytes -= chunk.length;
    });
    this.#written.catch(() => undefined);
  }
}
