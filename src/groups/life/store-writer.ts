import { type Env, LIMITS, MosaikError, mosaikError, type Timer } from "../../env/index.ts";
import { bytesOf, type Entry, type HardState, type Index, type Persist } from "../../raft/index.ts";
import type { SnapshotWriter, Storage } from "../../storage/index.ts";

/** What the disk has no room for is tried again after this. */
export const ROOM_RETRY_MS = 1_000;

/**
 * When the two parts of a step's write are durable. Both reject with what the disk said, or as the writer stops. Steps that end together get the
 * same promise.
 */
export interface Written {
  /** The hard state, and all before it. */
  readonly hardState: Promise<void>;
  /** All of it, and all before it. */
  readonly all: Promise<void>;
}

interface Wait {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

/** What a step changes in the log, if anything: after a hard state alone all before it must be there, too. */
interface LogChange extends Wait {
  readonly install: SnapshotWriter | undefined;
  readonly truncateFrom: Index | undefined;
  readonly entries: readonly Entry[];
  readonly bytes: number;
  /** The last step that ends with it. */
  step: number;
}

/** For hard states up to `upTo`, the last that joined: durable with it. */
interface HardStateWait extends Wait {
  upTo: HardState;
}

/**
 * Brings a driver's writes to its store, and keeps those that find no room until there is some.
 *
 * Invariants: changes of the log reach the store in their order, one write at a time, and none before the hard states that came before it, for a log
 * is never of a later term. Hard states wait for nothing but each other, one write at a time, and never go back: what is written, and tried again, is
 * the latest, which speaks for all before it. That is safe, for what a crash leaves is then a store whose last entries never came, and nobody was told
 * of these.
 *
 * Bounded: for as long as there is no room, terms come and go and add nothing. Entries are the driver's to refuse (`waitingBytes`).
 */
export class StoreWriter {
  readonly #env: Env;
  readonly #storage: Storage;
  /** There is no room, or there is again. */
  readonly #onRoom: () => void;
  /** One that is being written, and one that all join that come meanwhile. */
  readonly #hardStateWaits: HardStateWait[] = [];
  /** Of the last hard state; it stays rejected after a failure. */
  #hardStates: Promise<void> = DONE;
  #isBroken = false;
  #log: LogChange[] = [];
  #step = 0;
  #isWriting = false;
  /** Attempts that found no room. */
  #refused = 0;
  #refusal: MosaikError | undefined;
  #retry: { readonly timer: Timer; readonly due: Promise<void>; readonly end: () => void } | undefined;
  #isStopped = false;

  constructor(env: Env, storage: Storage, onRoom: () => void) {
    this.#env = env;
    this.#storage = storage;
    this.#onRoom = onRoom;
  }

  /** Something waits for room on the disk: why. */
  get refusal(): MosaikError | undefined {
    return this.#refusal;
  }

  /** Of entries that are not durable yet. */
  get waitingBytes(): number {
    return this.#log.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A snapshot is to replace the log. */
  get isInstalling(): boolean {
    return this.#log.some(({ install }) => install !== undefined);
  }

  /** @param install - replaces the log, after the hard state and before the entries */
  write({ hardState, truncateFrom, entries }: Persist, install: SnapshotWriter | undefined): Written {
    if (hardState !== undefined) this.#writeHardState(hardState);
    const step = ++this.#step;
    if (install !== undefined) {
      this.#log.push({ ...wait(), step, install, truncateFrom: undefined, entries: [], bytes: 0 });
    }
    const bytes = entries.reduce((sum, entry) => sum + bytesOf(entry), 0);
    const all = this.#logChange({ step, install: undefined, truncateFrom, entries, bytes });
    if (!this.#isWriting) void this.#writeLog();
    return { hardState: this.#hardStates, all: all.promise };
  }

  /** Not in order with the rest: what goes is on disk, and is never written again. It makes room. */
  prune(upTo: Index): Promise<void> {
    return this.#untilRoom(() => this.#storage.prunePrefix(upTo));
  }

  /** What waits is given up; what is under way goes on. */
  stop(): void {
    this.#isStopped = true;
    this.#retry?.timer.cancel();
    this.#retry?.end();
  }

  #writeHardState(hardState: HardState): void {
    if (this.#isBroken) return;
    const waits = this.#hardStateWaits;
    const [writing, later] = waits;
    if (later !== undefined) {
      later.upTo = hardState;
      return;
    }
    const next = { ...wait(), upTo: hardState };
    waits.push(next);
    this.#hardStates = next.promise;
    if (writing === undefined) void this.#writeHardStates();
  }

  async #writeHardStates(): Promise<void> {
    const waits = this.#hardStateWaits;
    try {
      while (waits.length > 0) {
        let hardState: HardState | undefined;
        await this.#untilRoom(() => {
          hardState = waits[waits.length - 1]?.upTo;
          return this.#storage.write({ hardState });
        });
        // Only the last may have been joined by one that is newer than what was written.
        const end = waits[waits.length - 1]?.upTo === hardState ? waits.length : waits.length - 1;
        for (const { resolve } of waits.splice(0, end)) resolve();
      }
    } catch (cause) {
      this.#isBroken = true;
      for (const { reject } of waits.splice(0)) reject(cause);
    }
  }

  /** Steps without a change at the end of the queue are one from the second on. The first may be part of the write that is under way, and over with it. */
  #logChange(change: Omit<LogChange, keyof Wait>): LogChange {
    const [before, last] = this.#log.slice(-2);
    if (isNothing(change) && before !== undefined && isNothing(before) && last !== undefined && isNothing(last)) {
      last.step = change.step;
      return last;
    }
    const added = { ...wait(), ...change };
    this.#log.push(added);
    return added;
  }

  async #writeLog(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#log.length > 0) {
        const { due, lastStep } = await this.#untilRoom(async () => {
          // In this order: what comes while we wait may be of a later term, which these need not wait for.
          const due = this.#dueChanges();
          const lastStep = due[due.length - 1]?.step;
          await this.#hardStates;
          await this.#writeChanges(due);
          return { due, lastStep };
        });
        // Looked at only now: until here a step may join the last one, and its term need not be on disk.
        const wasJoined = due[due.length - 1]?.step !== lastStep;
        for (const { resolve } of this.#log.splice(0, wasJoined ? due.length - 1 : due.length)) resolve();
      }
    } catch (cause) {
      for (const { reject } of this.#log.splice(0)) reject(cause);
    } finally {
      this.#isWriting = false;
    }
  }

  /** As much as makes one write. What a snapshot replaces need not be written before it: it may wait for the room that the snapshot makes. */
  #dueChanges(): readonly LogChange[] {
    const install = this.#log.findLastIndex((change) => change.install !== undefined);
    if (install >= 0) return this.#log.slice(0, install + 1);
    let bytes = 0;
    const end = this.#log.findIndex((change, at) => {
      bytes += change.bytes;
      return at > 0 && bytes > LIMITS.storageBatchBytesMax;
    });
    return end < 0 ? [...this.#log] : this.#log.slice(0, end);
  }

  async #writeChanges(changes: readonly LogChange[]): Promise<void> {
    const install = changes[changes.length - 1]?.install;
    if (install !== undefined) return install.install();
    let truncateFrom: Index | undefined;
    let entries: Entry[] = [];
    for (const change of changes) {
      const from = change.truncateFrom;
      if (from !== undefined) {
        truncateFrom = Math.min(truncateFrom ?? from, from);
        entries = entries.filter(({ index }) => index < from);
      }
      for (const entry of change.entries) entries.push(entry);
    }
    if (truncateFrom !== undefined || entries.length > 0) await this.#storage.write({ truncateFrom, entries });
  }

  /** Tries again until there is room. @throws `closed` once it is stopped; what else the disk says */
  async #untilRoom<T>(attempt: () => Promise<T>): Promise<T> {
    let isRefused = false;
    try {
      for (;;) {
        try {
          return await attempt();
        } catch (cause) {
          if (!MosaikError.is(cause, "storage-full")) throw cause;
          if (!isRefused) this.#noteRefused(1, cause);
          isRefused = true;
        }
        if (!this.#isStopped) await this.#whenDue();
        if (this.#isStopped) throw mosaikError("closed", "the store is not written to any more");
      }
    } finally {
      if (isRefused) this.#noteRefused(-1);
    }
  }

  #noteRefused(change: 1 | -1, refusal = this.#refusal): void {
    const before = this.#refused;
    this.#refused += change;
    this.#refusal = this.#refused > 0 ? refusal : undefined;
    if (!this.#isStopped && (before === 0) !== (this.#refused === 0)) this.#onRoom();
  }

  #whenDue(): Promise<void> {
    if (this.#retry === undefined) {
      let end = (): void => {};
      const due = new Promise<void>((resolve) => {
        end = resolve;
      });
      const timer = this.#env.after(ROOM_RETRY_MS, () => {
        this.#retry = undefined;
        end();
      });
      this.#retry = { timer, due, end };
    }
    return this.#retry.due;
  }
}

const DONE = Promise.resolve();

function isNothing({ install, truncateFrom, entries }: Omit<LogChange, keyof Wait>): boolean {
  return install === undefined && truncateFrom === undefined && entries.length === 0;
}

/** Whose rejection need not be heard. */
function wait(): Wait {
  let resolve = (): void => {};
  let reject = (_cause: unknown): void => {};
  const promise = new Promise<void>((onDone, onFailed) => {
    resolve = onDone;
    reject = onFailed;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
