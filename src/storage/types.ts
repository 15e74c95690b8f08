import type { UniqueId } from "../identity/index.ts";
import type { Entry, HardState, Index, LogPosition } from "../raft/index.ts";

/** Never reused: drawn with its store, and gone with it. */
export type StoreId = UniqueId & { readonly "~store": true };
/** One life of a group, from its genesis on. */
export type IncarnationId = UniqueId & { readonly "~incarnation": true };

/** A state at a place in the log, with all that is needed to go on from there. */
export interface Snapshot extends LogPosition {
  /** The voters in force there, encoded by the groups layer. */
  readonly configuration: Uint8Array;
  readonly data: Uint8Array;
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

/**
 * One member's durable memory: hard state, log, snapshot, and the two names that say whose they are.
 *
 * Asynchronous and fallible. Writes are made durable in the order of their calls, each promise resolves when its write can survive a
 * power loss. After one failure every later call fails too: nothing is known of a disk that failed once, so the member stops.
 * Indexes never shift; what is pruned or beyond the end is absent, not an error.
 */
export interface Storage {
  readonly storeId: StoreId;
  /** Undefined: free. */
  readonly incarnation: IncarnationId | undefined;
  /** As loaded at `open`, then kept up with the writes that were called for. */
  readonly hardState: HardState;
  readonly snapshot: Snapshot | undefined;
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
  /** Replaces everything by this snapshot; the log goes on after it. */
  resetTo(snapshot: Snapshot): Promise<void>;
  /** Gives the store up, for good: the next `open` draws a new one. */
  setAside(reason: string): Promise<void>;
  /** Waits for writes under way. Idempotent. */
  close(): Promise<void>;
}

/** Where a network keeps its groups. */
export interface StorageFactory {
  /** True if what is stored survives the process. */
  readonly isDurable: boolean;
  /** Opens the store of this group, or draws a new one. @throws `storage-failed` */
  open(group: UniqueId): Promise<Storage>;
}
