import { createHash } from "node:crypto";
import { assert, LIMITS, MosaikError, mosaikError, orAborted, type SnapshotRefusal } from "../../env/index.ts";
import type { IncarnationId, Storage } from "../../storage/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { memberId } from "../entries/index.ts";
import type { Life, LifeContext } from "../life/index.ts";
import type { ChunkIntake } from "../machine/index.ts";
import { Chunker, machineFailed, type Replica, type ReplicaState, SnapshotDecoder } from "../replica/index.ts";
import { writeBeginning } from "./beginning.ts";
import { emptyReplica, Pause, replayStore } from "./replay.ts";

// An export: magic, version, then a snapshot's data as members give it to each other, then the SHA-256 of all that.
const MAGIC = Buffer.from("mosaikex");
const VERSION = 1;
const HEAD = Uint8Array.of(...MAGIC, VERSION);
const HASH_BYTES = 32;
/** Where the log of a group begins that was made from an export: as if a genesis had led to its state. */
const BEGIN = { index: 1, term: 1 };
/** Beyond these nothing could be counted any more. */
const NUMBER_MAX = 2 ** 52;

export function snapshotRefused(reason: SnapshotRefusal, cause?: unknown): MosaikError<"snapshot-refused"> {
  return mosaikError("snapshot-refused", REASONS[reason], { outcome: "not-applied", details: { reason }, cause });
}

const REASONS: Readonly<Record<SnapshotRefusal, string>> = {
  "no-state": "this member has no state yet",
  "no-snapshot": "the machine gives no snapshot, or takes none",
  changed: "the log was let go of faster than it could be read; try again",
  "group-exists": "the group exists, here or in sight; an import makes a new one",
  damaged: "these are not the bytes of an export, or not all of them",
  "source-failed": "the source threw; `cause` has it",
  "other-machine": "the export is of another machine",
  "newer-version": "the export is of newer code, or of a newer version of the machine",
};

/**
 * The state that this member has applied, as bytes: a copy of its own, so that the group goes on meanwhile however slowly it is read.
 *
 * @throws `snapshot-refused`, `machine-failed`; the reason of `signal`, or of the member's end
 */
export async function* exportState(
  context: LifeContext,
  life: Life | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  if (life?.replica.isOpen !== true) throw snapshotRefused("no-state");
  const upTo = life.replica.index;
  const pause = new Pause(context, signal);
  await life.driver.written();
  const replayed = await replayStore(context, life.storage, pause, { from: upTo, upTo });
  if (replayed === undefined) throw snapshotRefused("changed");
  const { replica } = replayed;
  replica.beginAnew(life.incarnation);
  const pieces = replica.encodeSnapshot();
  if (pieces === undefined) throw snapshotRefused("no-snapshot");
  const hash = createHash("sha256");
  for (const chunk of chunksOf(pieces)) {
    signal?.throwIfAborted();
    hash.update(chunk);
    yield chunk;
    if (pause.isDue) await pause.take();
  }
  yield Uint8Array.from(hash.digest());
}

function* chunksOf(pieces: Iterable<Uint8Array>): Generator<Uint8Array, void, void> {
  const chunker = new Chunker();
  chunker.add(HEAD);
  for (const piece of pieces) {
    const chunk = chunker.add(piece);
    if (chunk !== undefined) yield chunk;
  }
  const chunk = chunker.end();
  if (chunk !== undefined) yield chunk;
}

/** Takes an export apart as it comes, however it is cut. @internal */
export class ExportReader {
  readonly #hash = createHash("sha256");
  readonly #decoder: SnapshotDecoder;
  #head = 0;
  /** The last bytes so far: perhaps the hash. */
  #rest: Buffer = Buffer.alloc(0);

  /** @param chunks - of the machine that will restore them */
  constructor(chunks: ChunkIntake) {
    this.#decoder = new SnapshotDecoder(chunks);
  }

  /** @throws DecodeError; `snapshot-refused` for a newer version */
  push(bytes: Uint8Array): void {
    this.feed(bytes);
    while (this.decodeNext());
  }

  /** As `push`, for those who take it apart in slices: `decodeNext` does, until it says that nothing whole is left, and then more may come. */
  feed(bytes: Uint8Array): void {
    const all = Buffer.concat([this.#rest, bytes]);
    const end = Math.max(0, all.length - HASH_BYTES);
    this.#rest = Buffer.from(all.subarray(end));
    const content = all.subarray(0, end);
    this.#hash.update(content);
    const from = this.#takeHead(content);
    if (from < content.length) this.#decoder.feed(content.subarray(from));
  }

  /** @throws DecodeError */
  decodeNext(): boolean {
    return this.#decoder.decodeNext();
  }

  /** @throws DecodeError */
  end(): ReplicaState {
    if (!this.#hash.digest().equals(this.#rest)) throw new DecodeError("the hash at the end is not that of the bytes");
    return this.#decoder.end();
  }

  #takeHead(content: Buffer): number {
    let at = 0;
    for (; this.#head < HEAD.length && at < content.length; at++, this.#head++) {
      const byte = content[at] as number;
      if (this.#head < MAGIC.length ? byte !== MAGIC[this.#head] : byte === 0) throw new DecodeError("not an export");
      if (this.#head === MAGIC.length && byte > VERSION) throw snapshotRefused("newer-version");
    }
    return at;
  }
}

/**
 * Reads an export into a replica. Nothing is stored yet.
 *
 * @throws `snapshot-refused`, `machine-failed`
 */
export async function readImport(
  context: LifeContext,
  storage: Storage,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Replica> {
  const { runtime, compatibility, selfId } = context;
  if (storage.incarnation !== undefined) throw snapshotRefused("group-exists");
  const replica = emptyReplica(context);
  if (!replica.isPortable) throw snapshotRefused("no-snapshot");
  const state = await readState(context, source);
  const { machine, agreed } = state;
  if (machine.name !== runtime.name) throw snapshotRefused("other-machine");
  const isNewer = machine.version > runtime.version || (agreed?.version ?? 0) > runtime.version;
  if (isNewer || (agreed?.format ?? 0) > compatibility.own.format) throw snapshotRefused("newer-version");
  if (Math.max(state.position, state.timeMs) > NUMBER_MAX) throw snapshotRefused("damaged");
  replica.restore({ ...BEGIN, voters: [memberId(selfId, storage.storeId)] }, state);
  if (replica.failure !== undefined) throw machineFailed(replica.failure, "not-applied");
  return replica;
}

/**
 * Reads all of it, and lets the rest of the program have its turn: a source that has everything in memory would never do so. @internal
 *
 * @throws `snapshot-refused`
 */
export async function readState(
  context: Pick<LifeContext, "env" | "scope"> & { readonly runtime: Pick<LifeContext["runtime"], "intake"> },
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<ReplicaState> {
  const { scope, runtime } = context;
  const reader = new ExportReader(runtime.intake());
  const pause = new Pause(context, undefined);
  try {
    for await (const bytes of untilAborted(source, scope.signal)) {
      if (!(bytes instanceof Uint8Array)) throw new DecodeError("not bytes");
      for (let at = 0; at < bytes.length; at += LIMITS.snapshotChunkBytes) {
        reader.feed(bytes.subarray(at, at + LIMITS.snapshotChunkBytes));
        do if (pause.isDue) await pause.take();
        while (reader.decodeNext());
      }
    }
    return reader.end();
  } catch (cause) {
    if (cause instanceof DecodeError) throw snapshotRefused("damaged", cause);
    if (MosaikError.is(cause) || scope.isClosed) throw cause;
    throw snapshotRefused("source-failed", cause);
  }
}

/** What `for await` takes of it; but it may never answer, so after an abort it is not waited for. @throws the reason of `signal` */
async function* untilAborted<T>(
  source: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let isDone = false;
  try {
    while (!isDone) {
      signal.throwIfAborted();
      const next = await orAborted(Promise.resolve(iterator.next()), signal);
      isDone = next.done === true;
      if (next.done !== true) yield next.value;
    }
  } finally {
    if (!isDone) void (async () => iterator.return?.())().catch(() => undefined);
  }
}

/** Founds a group of one with this state, in one step. @throws what `writeBeginning` throws */
export async function writeImport(
  context: LifeContext,
  storage: Storage,
  incarnation: IncarnationId,
  replica: Replica,
): Promise<void> {
  replica.beginAnew(incarnation);
  const pieces = replica.encodeSnapshot();
  assert(pieces !== undefined, "what was restored can be given again");
  const pause = new Pause(context, undefined);
  await writeBeginning({ context, storage, incarnation, pieces, last: BEGIN, term: BEGIN.term, pause });
}
