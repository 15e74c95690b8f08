import type { UniqueId } from "../identity/index.ts";
import type { Entry, HardState, Index, LogPosition } from "../raft/index.ts";

/** Never reused: drawn with its store, and gone with it. */
export type StoreId = UniqueId & { readonly "~store": true };
/** One life of a group, from its genesis on. */
export type IncarnationId = UniqueId & { readonly "~incarnation": true };

/** Where a snapshot was taken, and what the groups layer wants to know before it reads the data. */
export interface SnapshotPlace extends LogPosition {
  /** The voters in force there, encoded by the groups layer. At most `LIMITS.snapshotConfigurationBytesMax`. */
  readonly configuration: Uint8Array;
}
/** A stored snapshot, without its data. */
export interface SnapshotHead extends SnapshotPlace {
  /** Of the data. */
  readonly bytes: number;
}
/** A state at a place in the log, with all that is needed to go on from there. */
export interface Snapshot extends SnapshotPlace {
  readonly data: Uint8Array;
}

/** A snapshot on its way in. Its chunks go to disk as they come; nobody sees it before its end. Call one thing at a time. */
export interface SnapshotWriter {
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Nothing more is written: makes it durable, though nobody sees it yet. `save` and `install` do so if it was not done. After it they need no more
   * room than a vote; if even that is missing (`storage-full`), they may be called again.
   */
  seal(): Promise<void>;
  /** Ends it: the state that the log led to, which stays as it is. Nothing happens if the store has a newer one. */
  save(): Promise<void>;
  /** Ends it: replaces everything, as `resetTo`. `whose` goes with it, in the same step: a free store is bound with the state that it begins with. */
  install(whose?: Owner): Promise<void>;
  /** Gives it up. Well after its end. */
  discard(): Promise<void>;
}

/** Whose a store is, and its first vote. */
export type Owner = Required<Pick<StorageWrite, "incarnation" | "hardState">>;

/** Reads one snapshot, even after the store has another. Close it. */
export interface SnapshotReader {
  readonly head: SnapshotHead;
  /** Data from..from+length, clamped. */
  read(from: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A store that could not be opened as it was, and was put out of the way. */
export interface SetAside {
  /** Undefined if even that could not be read. */
  readonly storeId: StoreId | undefined;
  readonly reason: string;
  /** Where it lies now. */
  readonly path: string;
}

/** One atomic change: after a crash all of it is there, or none. */
export interface StorageWrite {
  readonly hardState?: HardState | undefined;
  /** Removes entries from here on, before `entries` are appended. */
  readonly truncateFrom?: Index | undefined;
  /** Contiguous, beginning one after the last that is kept. */
  readonly entries?: readonly Entry[] | undefined;
  /** Binds the store; only if it is not bound yet (a store belongs to one incarnation, ever). */
  readonly incarnation?: IncarnationId | undefined;
}

/** A free store that is to take the place of another one of its group: it is written while that one is still in use. */
export interface Successor {
  readonly storage: Storage;
  /** Sets the other one aside, with this one in its place: the next `open` gives it. Both are closed. After a crash it is either of the two, whole. */
  replace(reason: string): Promise<void>;
  /** Gives it up. Well after its end. */
  discard(): Promise<void>;
}

/**
 * One member's durable memory: hard state, log, snapshot, and the two names that say whose they are.
 *
 * Asynchronous and fallible. Writes are made durable in the order of their calls, each promise resolves when its write can survive a
 * power loss, and what it says is visible at once (or, if it has to wait for room, once it has it). After `storage-failed` every later
 * call fails too: nothing is known of a disk that failed once, so the member stops. `storage-full` refuses one write, of which nothing
 * remains; writes without entries have room of their own, so a member with a full disk still votes.
 * Indexes never shift; what is pruned or beyond the end is absent, not an error.
 */
export interface Storage {
  readonly storeId: StoreId;
  /** Undefined: free. */
  readonly incarnation: IncarnationId | undefined;
  /** As loaded at `open`, then kept up with the writes that were called for. */
  readonly hardState: HardState;
  readonly snapshot: SnapshotHead | undefined;
  /**
   * A random id for each time that this store was opened, durable before `open` resolved; the last is this one's. A peer remembers the
   * last that it saw, and later refuses a store that lacks it: that one was rolled back, or is a copy. Only the youngest
   * `LIMITS.openingIdsMax` are kept; `openingCount` counts all.
   */
  readonly openingIds: readonly string[];
  readonly openingCount: number;
  /** The damaged store that this new one was drawn for, in this `open`. */
  readonly predecessor: SetAside | undefined;
  /** The last entry, or the pruned boundary, or 0/0. */
  readonly last: LogPosition;
  /** `start` is the last pruned index (0: none), itself unreadable; `end` the last entry's. */
  readonly available: { readonly start: Index; readonly end: Index };

  /** Entry at `index`, or undefined. */
  get(index: Index): Promise<Entry | undefined>;
  /** Entries from..to, both included, clamped; inverted: none. */
  getRange(from: Index, to: Index): Promise<readonly Entry[]>;
  /** 0 for index 0; the pruned boundary's own; undefined where nothing is known. */
  termAt(index: Index): Promise<number | undefined>;
  /** Resolves when durable. */
  write(change: StorageWrite): Promise<void>;
  /** As `write` of entries alone; gives the last index. */
  append(entries: readonly Entry[]): Promise<Index>;
  /** Removes entries at and after `from`; at or below the pruned boundary all kept ones go. */
  truncate(from: Index): Promise<void>;
  /** Forgets entries up to `upTo`, included; clamped; idempotent. */
  prunePrefix(upTo: Index): Promise<void>;
  /** Replaces everything by this snapshot; the log goes on after it. No write of entries may be called meanwhile. */
  resetTo(snapshot: Snapshot): Promise<void>;
  /** Begins a snapshot that comes in chunks. */
  createSnapshot(place: SnapshotPlace): Promise<SnapshotWriter>;
  /** The present snapshot, for as long as the reader wants it. */
  openSnapshot(): Promise<SnapshotReader | undefined>;
  /** Gives the store up, for good: the next `open` draws a new one. May be called again if there was no room for that (`storage-full`). */
  setAside(reason: string): Promise<void>;
  /** Draws a store to take the place of this one. One at a time; closing this one gives it up. @throws `storage-full` */
  createSuccessor(): Promise<Successor>;
  /** Waits for writes under way. Idempotent. */
  close(): Promise<void>;
}

/** Where a network keeps its groups. */
export interface StorageFactory {
  /** True if what is stored survives the process. */
  readonly isDurable: boolean;
  /** Opens the store of this group, or draws a new one. One at a time for each group. @throws `storage-failed`, `storage-full` */
  open(group: UniqueId): Promise<Storage>;
}
