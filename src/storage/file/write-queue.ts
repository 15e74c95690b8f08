import { type Env, LIMITS, MosaikError, mosaikError } from "../../env/index.ts";
import type { Entry } from "../../raft/index.ts";
import { type FileSystem, isNoRoom } from "./file-system.ts";
import { NewerVersion } from "./frames.ts";
import { snapshotName } from "./layout.ts";
import { type Marks, recordBytesMax } from "./records.ts";
import { FRAME_OVERHEAD_BYTES, type Room } from "./room.ts";
import type { SegmentLog } from "./segment-log.ts";
import type { PlannedChange, StoreView } from "./store-view.ts";

/** After a failed try to get room, the next one is not before this. */
const ROOM_RETRY_MS = 1_000;

/** What the store was told to do, before it has room. */
interface Request {
  readonly plan: () => PlannedChange;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}
/** Let in: visible, not durable. */
interface Change extends PlannedChange {
  readonly request: Request;
  /** At most what it takes. */
  readonly cost: number;
  readonly rotateBefore: boolean;
  readonly marksBefore: Marks;
  readonly neededFrom: number | undefined;
}

/** The parts of a store that writes go through. */
export interface WriteParts {
  readonly env: Env;
  readonly files: FileSystem;
  readonly folder: string;
  readonly log: SegmentLog;
  readonly room: Room;
  readonly view: StoreView;
}

/**
 * Takes changes in, and makes them durable in their order.
 *
 * A change waits until there is room for it; then it is let in (visible), and waits for the disk. One loop writes: it takes what
 * has gathered, makes one frame of it, writes and syncs, and only then takes what came meanwhile.
 */
export class WriteQueue {
  readonly #o: WriteParts;
  readonly #log: SegmentLog;
  readonly #room: Room;
  readonly #view: StoreView;
  /** Those that wait for room. */
  #waiting: Request[] = [];
  /** Those that wait for the disk. */
  #queue: Change[] = [];
  #isRunning = false;
  #isPreparing = false;
  #fullAtUs = 0;
  #failure: MosaikError | undefined;
  #whenIdle: (() => void)[] = [];

  constructor(parts: WriteParts) {
    this.#o = parts;
    this.#log = parts.log;
    this.#room = parts.room;
    this.#view = parts.view;
  }

  /** Set for good once the disk failed. */
  get failure(): MosaikError | undefined {
    return this.#failure;
  }

  /** Resolves when what was planned is durable. The plan is made when all before it are let in, perhaps more than once. */
  async request(plan: () => PlannedChange): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ plan, resolve, reject });
      if (this.#waiting.length === 1) this.#admit();
    });
  }

  /** Nothing is known of a disk that failed once: all that is under way fails, and all that comes. */
  fail(cause: unknown): MosaikError {
    if (this.#failure !== undefined) return this.#failure;
    const { folder: path } = this.#o;
    const isOurs = MosaikError.is(cause, "storage-failed");
    const failure = isOurs ? cause : mosaikError("storage-failed", "the disk failed", { details: { path }, cause });
    this.#failure = failure;
    for (const { request } of this.#queue.splice(0)) request.reject(failure);
    for (const { reject } of this.#waiting.splice(0)) reject(failure);
    return failure;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (!this.#isIdle) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  // ── Letting in ──

  /** Lets in what there is room for, in order. */
  #admit(): void {
    for (;;) {
      const [request] = this.#waiting;
      if (request === undefined) break;
      const planned = this.#tryPlan(request);
      if (planned === undefined) continue;
      const cost = costOf(planned);
      const hasEntries = planned.records.some(({ type }) => type === "entries");
      const verdict = cost === 0 ? "here" : this.#room.admit(cost, hasEntries);
      if (verdict === "wait") {
        if (!this.#room.isNextInUse) this.#prepare(cost);
        break;
      }
      // There may be room again: look first, and judge then.
      if (verdict === "refuse" && this.#isRetryDue) {
        this.#prepare(cost);
        break;
      }
      this.#waiting.shift();
      if (verdict === "refuse") {
        request.reject(storageFull(this.#o.folder));
        continue;
      }
      const marksBefore = this.#view.marks;
      const neededFrom = this.#view.apply(planned, this.#log.sequence);
      this.#queue.push({ ...planned, request, cost, marksBefore, neededFrom, rotateBefore: verdict === "next" });
    }
    if (this.#room.wantsNext) this.#prepare(0);
    this.#start();
  }

  /** Undefined: a bug of the caller, who was told. */
  #tryPlan(request: Request): PlannedChange | undefined {
    try {
      const planned = request.plan();
      if (costOf(planned) > LIMITS.storageWriteBytesMax) throw new RangeError("a write is larger than a record may be");
      return planned;
    } catch (cause) {
      this.#waiting.shift();
      request.reject(cause);
      return undefined;
    }
  }

  #prepare(cost: number): void {
    if (this.#isPreparing || this.#failure !== undefined) return;
    this.#isPreparing = true;
    this.#room.forgetNext();
    const bytes = this.#room.nextBytes(cost);
    this.#log
      .prepareNext(bytes)
      .then(
        (isReady) => {
          if (isReady) this.#room.onNextReady(bytes);
          else this.#fullAtUs = this.#o.env.clock.monotonicUs();
          this.#room.isFull = !isReady;
        },
        (cause: unknown) => this.fail(cause),
      )
      .finally(() => {
        this.#isPreparing = false;
        this.#admit();
        this.#tellIdle();
      });
  }

  get #isRetryDue(): boolean {
    return this.#o.env.clock.monotonicUs() - this.#fullAtUs >= ROOM_RETRY_MS * 1_000;
  }

  // ── Writing ──

  /** In a turn of its own, so that what is called for in this one goes together. */
  #start(): void {
    if (this.#isRunning || this.#queue.length === 0 || this.#failure !== undefined) return;
    this.#isRunning = true;
    queueMicrotask(() => {
      this.#run()
        .catch((cause: unknown) => this.fail(cause))
        .finally(() => {
          this.#isRunning = false;
          this.#start();
          this.#tellIdle();
        });
    });
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && this.#failure === undefined) {
      const [first] = this.#queue;
      if (first?.rotateBefore) {
        await this.#log.rotate(first.marksBefore);
        this.#room.onRotated(this.#log.position);
        this.#admit();
      }
      const batch = this.#takeBatch();
      try {
        await this.#writeBatch(batch);
      } catch (cause) {
        const failure = this.fail(cause);
        for (const { request } of batch) request.reject(failure);
        return;
      }
      for (const { request } of batch) request.resolve();
      await this.#cleanUp(batch);
    }
  }

  /** What goes to the same segment, up to a size. */
  #takeBatch(): readonly Change[] {
    let count = 0;
    let bytes = 0;
    for (const change of this.#queue) {
      if (count > 0 && (change.rotateBefore || bytes + change.cost > LIMITS.storageBatchBytesMax)) break;
      bytes += change.cost;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #writeBatch(batch: readonly Change[]): Promise<void> {
    const records = batch.flatMap((change) => change.records);
    if (records.length === 0) return;
    const placed: { entry: Entry; position: number }[] = [];
    const bytes = await this.#log.append(records, (entry, position) => placed.push({ entry, position }));
    this.#room.onWritten(
      batch.reduce((sum, { cost }) => sum + cost, 0),
      bytes,
    );
    for (const { entry, position } of placed) this.#view.place(entry, this.#log.sequence, position);
  }

  /** Removes what nothing durable needs any more. */
  async #cleanUp(batch: readonly Change[]): Promise<void> {
    let hasFreed = false;
    for (const { neededFrom, obsolete } of batch) {
      if (neededFrom !== undefined) hasFreed = (await this.#log.dropBefore(neededFrom)) || hasFreed;
      if (obsolete === undefined) continue;
      await this.#o.files.remove(`${this.#o.folder}/${snapshotName(obsolete.id)}`);
      hasFreed = true;
    }
    if (hasFreed && this.#room.isFull) this.#prepare(0);
  }

  #tellIdle(): void {
    if (this.#isIdle) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  get #isIdle(): boolean {
    const isQuiet = !this.#isRunning && !this.#isPreparing;
    return isQuiet && (this.#failure !== undefined || (this.#queue.length === 0 && this.#waiting.length === 0));
  }
}

/** At most what the change takes; 0 if it changes nothing. */
function costOf({ records }: PlannedChange): number {
  return records.reduce((sum, record) => sum + recordBytesMax(record), records.length > 0 ? FRAME_OVERHEAD_BYTES : 0);
}

/** An error of the file system, as callers know it. */
export function storageError(cause: unknown, path: string): MosaikError<"storage-failed" | "storage-full"> {
  if (MosaikError.is(cause, "storage-failed", "storage-full")) return cause;
  if (isNoRoom(cause)) {
    return storageFull(path, cause);
  }
  const what = cause instanceof NewerVersion ? "the store was written by newer code" : "the disk failed";
  return mosaikError("storage-failed", what, { details: { path }, cause });
}

function storageFull(path: string, cause?: unknown): MosaikError<"storage-full"> {
  return mosaikError("storage-full", "the disk has no room", { outcome: "not-applied", details: { path }, cause });
}
