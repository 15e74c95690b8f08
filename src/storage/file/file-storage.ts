import { assert, LIMITS, MosaikError, mosaikError } from "../../env/index.ts";
import type { Entry, HardState, Index, LogPosition } from "../../raft/index.ts";
import { drawOpeningId } from "../memory.ts";
import type {
  IncarnationId,
  SetAside,
  Snapshot,
  SnapshotHead,
  SnapshotPlace,
  SnapshotReader,
  SnapshotWriter,
  Storage,
  StorageWrite,
  StoreId,
  Successor,
} from "../types.ts";
import { readEntries } from "./entry-reader.ts";
import { Damage } from "./frames.ts";
import type { SnapshotRef } from "./records.ts";
import { SnapshotFile, SnapshotFileWriter } from "./snapshot-file.ts";
import type { PlannedChange, StoreView } from "./store-view.ts";
import { storageError, type WriteParts, WriteQueue } from "./write-queue.ts";

/** What `open` found or made. */
export interface OpenedStore extends WriteParts {
  readonly predecessor: SetAside | undefined;
  /** Puts the folder out of the way, once no file in it is open. */
  readonly moveAside: (reason: string) => Promise<void>;
  /** Draws a store in a folder of its own, for the place of this one. */
  readonly stage: () => Promise<Storage>;
  /** Removes it, once no file in it is open. */
  readonly unstage: () => Promise<void>;
  /** Puts the folder out of the way, and the staged one in its place. */
  readonly succeed: (reason: string) => Promise<void>;
  /** Lets the next `open` put it out of the way. */
  readonly noteDamage: (reason: string) => Promise<void>;
  /** The store is closed, or set aside, for whatever reason. Called once. */
  readonly onClosed: () => void;
}

/** A store on files. See docs/design/storage.md. */
export class FileStorage implements Storage {
  readonly predecessor: SetAside | undefined;
  readonly #o: OpenedStore;
  readonly #view: StoreView;
  readonly #writes: WriteQueue;
  /** Gives up snapshots that are still coming in, and the successor that is being written. */
  readonly #unfinished = new Set<() => Promise<void>>();
  /** The last successor that was asked for. */
  #staging: Promise<Storage> | undefined;
  /** There was no room to put the store aside. */
  #moveAgain: (() => Promise<void>) | undefined;
  #noting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(opened: OpenedStore) {
    this.#o = opened;
    this.#view = opened.view;
    this.#writes = new WriteQueue(opened);
    this.predecessor = opened.predecessor;
  }

  get storeId(): StoreId {
    return this.#view.marks.storeId;
  }
  get incarnation(): IncarnationId | undefined {
    return this.#view.marks.incarnation;
  }
  get hardState(): HardState {
    return this.#view.marks.hardState;
  }
  get snapshot(): SnapshotHead | undefined {
    return this.#view.snapshot;
  }
  get openingIds(): readonly string[] {
    return this.#view.marks.openingIds;
  }
  get openingCount(): number {
    return this.#view.marks.openingCount;
  }
  get last(): LogPosition {
    return this.#view.marks.last;
  }
  get available(): { readonly start: Index; readonly end: Index } {
    return { start: this.#view.marks.boundary.index, end: this.last.index };
  }

  async get(index: Index): Promise<Entry | undefined> {
    return (await this.getRange(index, index))[0];
  }

  async getRange(from: Index, to: Index): Promise<readonly Entry[]> {
    this.#check();
    try {
      return await readEntries(this.#o.files, this.#o.folder, this.#view, from, to);
    } catch (cause) {
      throw this.#writes.failure ?? (cause instanceof Damage ? this.#onDamage(cause) : this.#fail(cause));
    }
  }

  async termAt(index: Index): Promise<number | undefined> {
    this.#check();
    return this.#view.termAt(index);
  }

  write(change: StorageWrite): Promise<void> {
    return this.#change(() => this.#view.planWrite(change));
  }

  async append(entries: readonly Entry[]): Promise<Index> {
    await this.write({ entries });
    return entries.at(-1)?.index ?? this.last.index;
  }

  truncate(from: Index): Promise<void> {
    return this.write({ truncateFrom: from });
  }

  prunePrefix(upTo: Index): Promise<void> {
    return this.#change(() => this.#view.planPrune(upTo));
  }

  async resetTo(snapshot: Snapshot): Promise<void> {
    const writer = await this.createSnapshot(snapshot);
    try {
      await writer.write(snapshot.data);
      await writer.install();
    } catch (cause) {
      await writer.discard().catch(() => undefined);
      throw cause;
    }
  }

  async createSnapshot(place: SnapshotPlace): Promise<SnapshotWriter> {
    this.#check();
    const { index, term, configuration } = place;
    assert(configuration.length <= LIMITS.snapshotConfigurationBytesMax, "a configuration is small");
    const id = drawOpeningId(this.#o.env);
    const create = (): Promise<SnapshotFileWriter> =>
      SnapshotFileWriter.create(this.#o.files, this.#o.folder, id, { index, term, configuration });
    return this.#snapshotWriter(await this.#guard(create));
  }

  async openSnapshot(): Promise<SnapshotReader | undefined> {
    this.#check();
    const ref = this.#view.marks.snapshot;
    if (ref === undefined) return undefined;
    const onDamage = (cause: Damage): Error => this.#onDamage(cause);
    try {
      return await SnapshotFile.open(this.#o.files, this.#o.folder, ref, onDamage);
    } catch (cause) {
      // Another one took its place meanwhile.
      if (cause instanceof Damage && this.#view.marks.snapshot !== ref) return this.openSnapshot();
      throw cause instanceof Damage ? this.#onDamage(cause) : this.#fail(cause);
    }
  }

  async setAside(reason: string): Promise<void> {
    if (this.#moveAgain !== undefined) {
      await this.#guard(this.#moveAgain);
      this.#moveAgain = undefined;
      return;
    }
    if (this.#closing !== undefined) throw mosaikError("closed", "the store is closed");
    this.#closing = this.#shutDown(() => this.#o.moveAside(reason));
    try {
      await this.#closing;
    } catch (cause) {
      if (MosaikError.is(cause, "storage-full")) this.#moveAgain = () => this.#o.moveAside(reason);
      throw cause;
    }
  }

  async createSuccessor(): Promise<Successor> {
    this.#check();
    const staging = this.#o.stage();
    this.#staging = staging;
    const storage = await staging;
    let isOver = false;
    const end = async (): Promise<void> => {
      isOver = true;
      this.#unfinished.delete(discard);
      await storage.close();
    };
    const discard = async (): Promise<void> => {
      if (isOver) return;
      await end();
      await this.#o.unstage();
    };
    this.#unfinished.add(discard);
    this.#check();
    return {
      storage,
      discard: () => this.#guard(discard),
      replace: async (reason) => {
        this.#check();
        if (isOver) throw mosaikError("closed", "the successor was ended");
        await end();
        this.#closing = this.#shutDown(() => this.#o.succeed(reason));
        await this.#closing;
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing.catch(() => undefined);
  }

  async #change(plan: () => PlannedChange): Promise<void> {
    this.#check();
    await this.#writes.request(plan);
  }

  #check(): void {
    if (this.#writes.failure !== undefined) throw this.#writes.failure;
    if (this.#closing !== undefined) throw mosaikError("closed", "the store is closed");
  }

  // ── Snapshots ──

  #snapshotWriter(file: SnapshotFileWriter): SnapshotWriter {
    let isOver = false;
    const discard = async (): Promise<void> => {
      if (isOver) return;
      isOver = true;
      this.#unfinished.delete(discard);
      await file.discard();
    };
    this.#unfinished.add(discard);
    /** What fails leaves nothing behind. */
    const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
      this.#check();
      if (isOver) throw mosaikError("closed", "the snapshot was ended");
      try {
        return await this.#guard(work);
      } catch (cause) {
        await discard().catch(() => undefined);
        throw cause;
      }
    };
    const end = async (plan: (ref: SnapshotRef, head: SnapshotHead) => PlannedChange): Promise<void> => {
      const ref = await attempt(() => file.end());
      // From here on the log may name the file.
      isOver = true;
      this.#unfinished.delete(discard);
      const { index, term, configuration } = file.place;
      try {
        await this.#change(() => plan(ref, { index, term, configuration, bytes: ref.bytes }));
      } catch (cause) {
        if (!MosaikError.is(cause, "storage-full")) throw cause;
        isOver = false;
        this.#unfinished.add(discard);
        throw cause;
      }
    };
    return {
      write: (chunk) => attempt(() => file.write(chunk)),
      seal: () => attempt(async () => void (await file.end())),
      save: () => end((ref, head) => this.#view.planSave(ref, head)),
      install: (whose) => end((ref, head) => this.#view.planReset(ref, head, whose)),
      discard: () => this.#guard(discard),
    };
  }

  /** Want of room refuses what wanted it; any other failure ends the store. */
  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const error = storageError(cause, this.#o.folder);
      throw this.#writes.failure ?? (error.code === "storage-full" ? error : this.#fail(error));
    }
  }

  // ── The end ──

  #fail(cause: unknown): MosaikError {
    return this.#writes.fail(cause);
  }

  /** The next `open` shall not take this store for a good one. */
  #onDamage(cause: Damage): MosaikError {
    this.#noting ??= this.#o.noteDamage(cause.message).catch(() => undefined);
    return this.#fail(cause);
  }

  async #shutDown(last?: () => Promise<void>): Promise<void> {
    await this.#writes.idle();
    await this.#noting;
    await this.#staging?.catch(() => undefined);
    for (const discard of [...this.#unfinished]) await discard().catch(() => undefined);
    await this.#o.log.close();
    try {
      await last?.();
    } catch (cause) {
      throw storageError(cause, this.#o.folder);
    } finally {
      this.#o.onClosed();
    }
  }
}
