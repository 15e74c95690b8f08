import { assert, type Env, mosaikError, type SeededRandom } from "../env/index.ts";
import { ID_BYTES, type UniqueId } from "../identity/index.ts";
import type { Entry, HardState, Index, LogPosition } from "../raft/index.ts";
import { drawOpeningId, drawStoreId } from "./memory.ts";
import { headOf, heldSnapshot, memorySnapshotReader, memorySnapshotWriter } from "./memory-snapshot.ts";
import { type CrashEffect, type NodeDisk, type SyncDelay, USUAL_READ_DELAY, USUAL_SYNC_DELAY } from "./node-disk.ts";
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

/** Of a term, a vote or an opening. */
const RECORD_BYTES = 64;
const RESERVE_BYTES = 64 * RECORD_BYTES;

/** One change on its way to the platter. */
interface PendingChange {
  readonly apply: (durable: StoreState) => void;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * One node's disk in the simulator. It outlives the node's lives: what was synced is there at the next `open`, what was not is gone
 * after a crash, except that a prefix of the changes under way may have made it, each whole or not at all.
 */
export class SimDisk implements NodeDisk {
  readonly name: string;
  /** The node's key: with its disk it loses its identity. */
  readonly identitySeed: Uint8Array;
  readonly decays = 0;
  readonly #random: SeededRandom;
  readonly #onStep: (step: string) => void;
  /** What each group's store durably holds. */
  readonly #images = new Map<UniqueId, StoreState>();
  readonly #open = new Set<SimStorage>();
  #steps = 0;
  #delay = USUAL_SYNC_DELAY;
  #failAtStep: number | undefined;
  #lostChanges = 0;
  #roomBytes = Number.MAX_SAFE_INTEGER;
  #reserveBytes = RESERVE_BYTES;

  /** @param onStep - told of each sync, for the trace */
  constructor(name: string, random: SeededRandom, onStep: (step: string) => void = () => {}) {
    this.name = name;
    this.#random = random;
    this.#onStep = onStep;
    this.identitySeed = random.fork("identity").bytes(ID_BYTES);
  }

  /** Syncs so far. */
  get steps(): number {
    return this.#steps;
  }
  /** Changes that were called for and are not durable yet. */
  get changesUnderWay(): number {
    let sum = 0;
    for (const store of this.#open) sum += store.changesUnderWay;
    return sum;
  }
  setSyncDelay(delay: SyncDelay = USUAL_SYNC_DELAY): void {
    assert(delay.fromUs >= 0 && delay.fromUs <= delay.toUs, "a delay is a range");
    this.#delay = delay;
  }

  setRoom(bytes = Number.MAX_SAFE_INTEGER): void {
    this.#roomBytes = bytes;
    this.#reserveBytes = RESERVE_BYTES;
  }

  storage(env: Env): StorageFactory {
    return simStorageFactory(this, env);
  }

  /** All that follow in this life of the node fail, too. */
  failAfter(steps: number): void {
    this.#failAtStep = this.#steps + steps + 1;
  }

  /** A sync failed in this life of the node. */
  get hasFailed(): boolean {
    return this.#failAtStep !== undefined && this.#steps >= this.#failAtStep;
  }

  /** Power is lost. Stores that were open are dead; open them anew. */
  crash(): void {
    for (const store of this.#open) this.#lostChanges += store.lose(this.#random);
    this.#open.clear();
    this.#failAtStep = undefined;
  }

  takeEffects(): CrashEffect {
    const lost = this.#lostChanges;
    this.#lostChanges = 0;
    return { lost, torn: 0 };
  }

  /** @internal */
  drawDelayUs(): number {
    return this.#random.between(this.#delay.fromUs, this.#delay.toUs);
  }
  /** @internal */
  drawReadDelayUs(): number {
    return this.#random.between(USUAL_READ_DELAY.fromUs, USUAL_READ_DELAY.toUs);
  }
  /** @internal True if this sync works. */
  step(what: string): boolean {
    this.#steps++;
    const isGood = this.#failAtStep === undefined || this.#steps < this.#failAtStep;
    this.#onStep(`${this.#steps} ${what} ${isGood ? "ok" : "EIO"}`);
    return isGood;
  }
  /** @internal @throws `storage-full` */
  takeRoom(bytes: number): void {
    if (bytes > this.#roomBytes) throw this.#full();
    this.#roomBytes -= bytes;
  }
  /** @internal For what is no entry: it has some room of its own. @throws `storage-full` */
  takeReserve(): void {
    if (this.#roomBytes >= RECORD_BYTES) return this.takeRoom(RECORD_BYTES);
    if (this.#reserveBytes < RECORD_BYTES) throw this.#full();
    this.#reserveBytes -= RECORD_BYTES;
  }
  #full(): Error {
    const details = { path: `sim:${this.name}` };
    return mosaikError("storage-full", "ENOSPC: the disk has no room", { outcome: "not-applied", details });
  }
  /** @internal */
  image(group: UniqueId): StoreState | undefined {
    return this.#images.get(group);
  }
  /** @internal */
  setImage(group: UniqueId, image: StoreState | undefined): void {
    if (image === undefined) this.#images.delete(group);
    else this.#images.set(group, image);
  }
  /** @internal */
  attach(storage: SimStorage): void {
    this.#open.add(storage);
  }
  /** @internal */
  detach(storage: SimStorage): void {
    this.#open.delete(storage);
  }
}

/** The stores of one life of a node on its disk. */
export function simStorageFactory(disk: SimDisk, env: Env): StorageFactory {
  return {
    isDurable: true,
    open: async (group) => {
      await new Promise<void>((resolve) => env.after(disk.drawDelayUs() / 1000, resolve));
      if (!disk.step("open")) throw ioError(disk);
      disk.takeReserve();
      let image = disk.image(group);
      if (image === undefined) {
        image = new StoreState(drawStoreId(env));
        disk.setImage(group, image);
      }
      image.noteOpening(drawOpeningId(env));
      return new SimStorage(disk, env, group, image);
    },
  };
}

function ioError(disk: SimDisk): Error {
  return mosaikError("storage-failed", "EIO: the disk failed", { details: { path: `sim:${disk.name}` } });
}

/** One sync is under way at a time; the changes that come meanwhile go together with the next one. */
class SimStorage implements Storage {
  readonly #disk: SimDisk;
  readonly #env: Env;
  readonly #group: UniqueId;
  /** What the process sees: all changes that were called for. */
  readonly #state: StoreState;
  readonly #durable: StoreState;
  #pending: PendingChange[] = [];
  #syncing: PendingChange[] = [];
  #whenIdle: (() => void)[] = [];
  #failure: Error | undefined;
  #isAside = false;
  readonly predecessor = undefined;

  constructor(disk: SimDisk, env: Env, group: UniqueId, durable: StoreState) {
    this.#disk = disk;
    this.#env = env;
    this.#group = group;
    this.#durable = durable;
    this.#state = durable.clone();
    disk.attach(this);
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

  get(index: Index): Promise<Entry | undefined> {
    return this.#read((state) => state.get(index));
  }
  getRange(from: Index, to: Index): Promise<readonly Entry[]> {
    return this.#read((state) => state.getRange(from, to));
  }
  termAt(index: Index): Promise<number | undefined> {
    return this.#read((state) => state.termAt(index));
  }
  async write(change: StorageWrite): Promise<void> {
    this.#check();
    const { entries = [] } = change;
    if (entries.length === 0) this.#disk.takeReserve();
    else this.#disk.takeRoom(entries.reduce((sum, { data }) => sum + RECORD_BYTES + data.length, 0));
    await this.#change((state) => state.write(change));
  }
  async append(entries: readonly Entry[]): Promise<Index> {
    const written = this.write({ entries });
    const { index } = this.last;
    await written;
    return index;
  }
  truncate(from: Index): Promise<void> {
    return this.#change((state) => state.truncate(from));
  }
  prunePrefix(upTo: Index): Promise<void> {
    return this.#change((state) => state.prunePrefix(upTo));
  }
  resetTo(snapshot: Snapshot): Promise<void> {
    return this.#change((state) => state.resetTo(heldSnapshot(snapshot)));
  }

  async createSnapshot(place: SnapshotPlace): Promise<SnapshotWriter> {
    this.#check();
    const writer = memorySnapshotWriter(place, {
      save: (snapshot) => this.#change((state) => state.saveSnapshot(snapshot)),
      install: (snapshot, whose) => this.#change((state) => state.resetTo(snapshot, whose)),
    });
    const write = async (chunk: Uint8Array): Promise<void> => {
      this.#disk.takeRoom(chunk.length);
      await writer.write(chunk);
    };
    return { ...writer, write };
  }
  openSnapshot(): Promise<SnapshotReader | undefined> {
    return this.#read(({ snapshot }) => snapshot && memorySnapshotReader(snapshot));
  }

  setAside(_reason: string): Promise<void> {
    return this.#replaceBy(undefined);
  }

  async createSuccessor(): Promise<Successor> {
    this.#check();
    const image = new StoreState(drawStoreId(this.#env));
    image.noteOpening(drawOpeningId(this.#env));
    const storage = new SimStorage(this.#disk, this.#env, this.#group, image);
    return {
      storage,
      replace: async () => {
        await storage.close();
        await this.#replaceBy(image);
        await this.close();
      },
      discard: () => storage.close(),
    };
  }

  async close(): Promise<void> {
    this.#failure ??= mosaikError("closed", "the store is closed");
    if (this.changesUnderWay > 0) {
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    }
    this.#disk.detach(this);
  }

  /** @internal */
  get changesUnderWay(): number {
    return this.#syncing.length + this.#pending.length;
  }

  /** @internal Power is lost: counts the changes that are gone. */
  lose(random: SeededRandom): number {
    const underWay = [...this.#syncing, ...this.#pending];
    const kept = random.chance(1, 4) ? random.below(underWay.length + 1) : 0;
    for (const change of underWay.slice(0, kept)) change.apply(this.#durable);
    this.#syncing = [];
    this.#pending = [];
    this.#failure ??= mosaikError("closed", "the power was lost");
    return underWay.length - kept;
  }

  /** One step of the disk: this store's name is that of another one, or of none. */
  #replaceBy(image: StoreState | undefined): Promise<void> {
    const done = this.#change((state) => {
      if (state === this.#durable) this.#disk.setImage(this.#group, image);
    });
    this.#isAside = true;
    return done;
  }

  async #read<T>(read: (state: StoreState) => T): Promise<T> {
    this.#check();
    await new Promise<void>((resolve) => this.#env.after(this.#disk.drawReadDelayUs() / 1000, resolve));
    this.#check();
    return read(this.#state);
  }

  async #change(apply: (state: StoreState) => void): Promise<void> {
    this.#check();
    assert(!this.#isAside, "a store that was set aside takes no changes");
    apply(this.#state);
    await new Promise<void>((resolve, reject) => {
      this.#pending.push({ apply, resolve, reject });
      if (this.#syncing.length === 0) this.#sync();
    });
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #sync(): void {
    this.#syncing = this.#pending;
    this.#pending = [];
    this.#env.after(this.#disk.drawDelayUs() / 1000, () => this.#onSynced());
  }

  #onSynced(): void {
    const changes = this.#syncing;
    this.#syncing = [];
    if (this.#disk.step(`sync ${changes.length}`)) {
      for (const change of changes) change.apply(this.#durable);
      for (const change of changes) change.resolve();
    } else this.#fail(changes);
    if (this.#pending.length > 0) this.#sync();
    else this.#onIdle();
  }

  /** In a turn of its own, so that those who waited for a change hear of it before those who wait for the end. */
  #onIdle(): void {
    for (const resolve of this.#whenIdle.splice(0)) this.#env.after(0, resolve);
  }

  #fail(changes: readonly PendingChange[]): void {
    const failure = ioError(this.#disk);
    this.#failure ??= failure;
    for (const change of [...changes, ...this.#pending]) change.reject(failure);
    this.#pending = [];
  }
}
