import { type Env, mosaikError } from "../env/index.ts";
import { ID_BYTES, UniqueId } from "../identity/index.ts";
import type { Entry, HardState, Index, LogPosition } from "../raft/index.ts";
import { headOf, heldSnapshot, memorySnapshotReader, memorySnapshotWriter } from "./memory-snapshot.ts";
import { StoreState } from "./store-state.ts";
import type {
  IncarnationId,
  Snapshot,
  SnapshotHead,
  SnapshotPlace,
  SnapshotReader,
  SnapshotWriter,
  Storage,
  StorageFactory,
  StorageWrite,
  StoreId,
  Successor,
} from "./types.ts";

/** A store as long as the process lives: every write is "durable" at once. A restart draws another one, and so comes as a stranger. */
export class MemoryStorage implements Storage {
  readonly #state: StoreState;
  readonly #stores: MemoryStores;
  readonly #group: UniqueId;
  #isClosed = false;

  readonly predecessor = undefined;

  constructor(stores: MemoryStores, group: UniqueId, state: StoreState) {
    this.#stores = stores;
    this.#group = group;
    this.#state = state;
    state.noteOpening(drawOpeningId(stores.env));
  }

  get storeId(): StoreId {
    return this.#state.storeId;
  }
  get incarnation(): IncarnationId | undefined {
    return this.#state.incarnation;
  }
  get hardState(): HardState {
    return this.#state.hardState;
  }
  get snapshot(): SnapshotHead | undefined {
    const { snapshot } = this.#state;
    return snapshot && headOf(snapshot);
  }
  get openingIds(): readonly string[] {
    return this.#state.openingIds;
  }
  get openingCount(): number {
    return this.#state.openingCount;
  }
  get last(): LogPosition {
    return this.#state.last;
  }
  get available(): { readonly start: Index; readonly end: Index } {
    return this.#state.available;
  }

  async get(index: Index): Promise<Entry | undefined> {
    return this.#open().get(index);
  }
  async getRange(from: Index, to: Index): Promise<readonly Entry[]> {
    return this.#open().getRange(from, to);
  }
  async termAt(index: Index): Promise<number | undefined> {
    return this.#open().termAt(index);
  }
  async write(change: StorageWrite): Promise<void> {
    this.#open().write(change);
  }
  async append(entries: readonly Entry[]): Promise<Index> {
    this.#open().write({ entries });
    return this.last.index;
  }
  async truncate(from: Index): Promise<void> {
    this.#open().truncate(from);
  }
  async prunePrefix(upTo: Index): Promise<void> {
    this.#open().prunePrefix(upTo);
  }
  async resetTo(snapshot: Snapshot): Promise<void> {
    this.#open().resetTo(heldSnapshot(snapshot));
  }
  async createSnapshot(place: SnapshotPlace): Promise<SnapshotWriter> {
    this.#open();
    return memorySnapshotWriter(place, {
      save: async (snapshot) => this.#open().saveSnapshot(snapshot),
      install: async (snapshot, whose) => this.#open().resetTo(snapshot, whose),
    });
  }
  async openSnapshot(): Promise<SnapshotReader | undefined> {
    const { snapshot } = this.#open();
    return snapshot && memorySnapshotReader(snapshot);
  }
  async setAside(_reason: string): Promise<void> {
    this.#isClosed = true;
  }
  async createSuccessor(): Promise<Successor> {
    this.#open();
    const state = new StoreState(drawStoreId(this.#stores.env));
    const storage = new MemoryStorage(this.#stores, this.#group, state);
    return {
      storage,
      replace: async () => {
        this.#open();
        storage.#open();
        await storage.close();
        await this.close();
        this.#stores.successors.set(this.#group, state);
      },
      discard: () => storage.close(),
    };
  }
  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #open(): StoreState {
    if (this.#isClosed) throw mosaikError("closed", "the store is closed");
    return this.#state;
  }
}

/** What the stores of one process share. */
interface MemoryStores {
  readonly env: Env;
  /** That took the place of others, and were not opened yet. */
  readonly successors: Map<UniqueId, StoreState>;
}

/** Draws a new store at every `open`: nothing survives, so nothing may be taken for what it was. */
export function memoryStorageFactory(env: Env): StorageFactory {
  const stores: MemoryStores = { env, successors: new Map() };
  return {
    isDurable: false,
    open: async (group) => {
      const state = stores.successors.get(group) ?? new StoreState(drawStoreId(env));
      stores.successors.delete(group);
      return new MemoryStorage(stores, group, state);
    },
  };
}

export function drawStoreId(env: Env): StoreId {
  return UniqueId.fromBytes(env.random.bytes(ID_BYTES)) as StoreId;
}

/** 32 hex digits. */
export function drawOpeningId(env: Env): string {
  return Buffer.from(env.random.bytes(16)).toString("hex");
}
