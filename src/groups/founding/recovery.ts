import type { PeerDirectory } from "../../discovery/index.ts";
import { LIMITS, type MosaikError, mosaikError, type RecoverRefusal } from "../../env/index.ts";
import { type PeerId, UniqueId } from "../../identity/index.ts";
import type { Index, LogPosition, Term } from "../../raft/index.ts";
import type { IncarnationId, Owner, Storage, Successor } from "../../storage/index.ts";
import { encodeConfiguration, memberId } from "../entries/index.ts";
import type { Life, LifeContext } from "../life/index.ts";
import { machineFailed, type Origin, Replica } from "../replica/index.ts";
import { loadLiveStore, type StoredLog } from "../snapshots/index.ts";
import { isNewer, type Seen } from "./founding.ts";

/** Terms that lost members may have come to without us. Leaders of the new incarnation come after them, since a term fences. */
const TERMS_LEFT_OUT = 1_000;
/** Who is up needs a moment to be found and bonded: nothing is left to ask for so long before nobody is taken to be there. */
const LOOK_AROUND_MS = 1_000;
const LOOK_EVERY_MS = 50;
/** Work between two turns of the rest of the program. */
const SLICE_US = 3_000;
const SLICE_ENTRIES = 64;
/** A store that changes while it is read is read so often. */
const LOADS_MAX = 3;

function refused(reason: RecoverRefusal, peers: readonly PeerId[] = []): MosaikError<"recover-refused"> {
  return mosaikError("recover-refused", REASONS[reason], { outcome: "not-applied", details: { reason, peers } });
}

const REASONS: Readonly<Record<RecoverRefusal, string>> = {
  leader: "the group has a leader in sight",
  majority: "a majority of the voters is in sight, and may elect a leader",
  "newer-log": "a member in sight has a newer log; recover there",
  recovered: "a member in sight has begun the group anew already, from this incarnation",
  "no-answer": "no bootstrap source answered, or a member not yet, so the others may be up; look, then `force`",
  observer: "an observer never votes, so no group begins with it",
  "no-log": "this member has no store of a group that is open",
  "no-snapshot": "the machine gives no snapshot that the group could begin with",
  "under-way": "another attempt is under way",
  changed: "this member's log or store changed meanwhile",
};

interface RecoverView {
  readonly life: Life | undefined;
  readonly others: readonly Seen[];
  readonly isEligible: boolean;
  readonly isForced: boolean;
}

/** @throws `recover-refused` */
function assertRecoverable({ life, others, isEligible, isForced }: RecoverView): Life {
  if (!isEligible) throw refused("observer");
  if (life?.isOpen !== true) throw refused("no-log");
  if (isForced) return life;
  const { last } = life.driver.raft;
  const begun = others.filter(({ status }) => isBegunFrom(life.incarnation, status)).map(({ peer }) => peer);
  if (begun.length > 0) throw refused("recovered", begun);
  const fellows = others.filter(({ status }) => status.incarnation === life.incarnation);
  const leaders = fellows.filter(({ peer, status }) => status.leader === peer).map(({ peer }) => peer);
  if (life.leader !== undefined || leaders.length > 0) throw refused("leader", leaders);
  if (life.seesQuorum) throw refused("majority");
  const newer = fellows.filter(({ status }) => isNewer(status.last, last)).map(({ peer }) => peer);
  if (newer.length > 0) throw refused("newer-log", newer);
  return life;
}

function isBegunFrom(incarnation: IncarnationId, { isOpen, origins }: Seen["status"]): boolean {
  return isOpen && origins.some((origin) => origin.incarnation === incarnation);
}

/** What recovery needs of the founder. */
interface RecoveryOptions {
  readonly context: LifeContext;
  readonly directory: PeerDirectory;
  readonly isEligible: boolean;
  /** Is the store open, and what it holds read? */
  readonly isLoaded: () => boolean;
  /** Undefined: there is none, or it is about to end. */
  readonly life: () => Life | undefined;
  readonly others: () => readonly Seen[];
  /** Ends this life, at once, and goes on in that store. */
  readonly begin: (life: Life, beginning: Beginning) => Promise<void>;
}

/**
 * Begins the group anew from this member's log: in another store, as another incarnation, of which it is the only voter. Nothing changes before that
 * store is whole.
 */
export class Recovery {
  readonly #o: RecoveryOptions;
  #isUnderWay = false;

  constructor(options: RecoveryOptions) {
    this.#o = options;
  }

  /**
   * @param timeoutMs - for the store to be read, and the surroundings to be known
   * @throws `recover-refused`; what `prepareRecovery` throws: nothing changed
   */
  async run(isForced: boolean, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#isUnderWay) throw refused("under-way");
    this.#isUnderWay = true;
    try {
      const life = await this.#lookAround(isForced, timeoutMs, signal);
      const beginning = await prepareRecovery(this.#o.context, life, signal);
      try {
        signal?.throwIfAborted();
        if (this.#recoverable(isForced) !== life) throw refused("changed");
        assertWhole(life, beginning.origin.last);
      } catch (cause) {
        await beginning.successor.discard();
        throw cause;
      }
      await this.#o.begin(life, beginning);
    } finally {
      this.#isUnderWay = false;
    }
  }

  /**
   * A member that has just started sees nobody yet, which does not mean that nobody is there. What speaks against it is told as soon as it is seen.
   *
   * @throws `recover-refused`; the reason of `signal`, or of the member's end
   */
  async #lookAround(isForced: boolean, timeoutMs: number, signal: AbortSignal | undefined): Promise<Life> {
    const { context, isLoaded } = this.#o;
    const deadlineUs = context.env.clock.monotonicUs() + timeoutMs * 1_000;
    let knownSinceUs: number | undefined;
    for (;;) {
      const nowUs = context.env.clock.monotonicUs();
      if (isLoaded()) {
        const life = this.#recoverable(isForced);
        knownSinceUs = this.#isSurroundingsKnown ? (knownSinceUs ?? nowUs) : undefined;
        if (isForced || (knownSinceUs !== undefined && nowUs - knownSinceUs >= LOOK_AROUND_MS * 1_000)) return life;
      }
      if (nowUs >= deadlineUs) throw isLoaded() ? refused("no-answer", context.bonds.untried) : refused("no-log");
      await context.scope.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** As for a lone founder: a bootstrap source answered (or there is none), and each advertised member was bonded or refused the dial. */
  get #isSurroundingsKnown(): boolean {
    return this.#o.directory.isBootstrapped && this.#o.context.bonds.untried.length === 0;
  }

  /** @throws `recover-refused` */
  #recoverable(isForced: boolean): Life {
    const { context, life, others, isEligible } = this.#o;
    const present = context.scope.isClosed ? undefined : life();
    return assertRecoverable({ life: present, others: others(), isEligible, isForced });
  }
}

/** A store in which the group begins anew, whole and durable, but not in its place yet. */
export interface Beginning {
  readonly successor: Successor;
  readonly incarnation: IncarnationId;
  readonly origin: Origin;
  /** That it was begun from. */
  readonly log: StoredLog;
}

/**
 * Writes the state that the whole log of this life leads to, also what is not committed in it: the lost members may have acknowledged that.
 * The life goes on meanwhile, and is not touched.
 *
 * @throws `machine-failed`, `recover-refused`, `storage-full`, `storage-failed`; the reason of `signal`, or of the member's end
 */
async function prepareRecovery(context: LifeContext, life: Life, signal: AbortSignal | undefined): Promise<Beginning> {
  const pause = new Pause(context, signal);
  await life.driver.written();
  const replayed = await replayStore(context, life.storage, pause);
  if (replayed === undefined) throw refused("changed");
  const { log, replica, last } = replayed;
  assertWhole(life, last);
  const { term } = life.driver.raft;
  const origin = { incarnation: life.incarnation, last, position: replica.position };
  const incarnation = drawIncarnation(context);
  replica.beginAnew(incarnation, origin);
  const successor = await life.storage.createSuccessor();
  try {
    await writeBeginning({ context, storage: successor.storage, incarnation, replica, last, term, pause });
    return { successor, incarnation, origin, log };
  } catch (cause) {
    await successor.discard().catch(() => undefined);
    throw cause;
  }
}

/** Entries of one index may differ, so the terms are compared too. @throws `recover-refused` unless the log of this life ends there */
function assertWhole({ driver }: Life, end: LogPosition): void {
  const { last } = driver.raft;
  if (last.index !== end.index || last.term !== end.term) throw refused("changed");
}

export function drawIncarnation({ env }: LifeContext): IncarnationId {
  return UniqueId.fromBytes(env.random.bytes(32)) as IncarnationId;
}

/** Lets the rest of the program have its turn, and ends the work when nobody wants it any more. */
export class Pause {
  readonly #context: LifeContext;
  readonly #signal: AbortSignal | undefined;
  #sinceUs: number;

  constructor(context: LifeContext, signal: AbortSignal | undefined) {
    this.#context = context;
    this.#signal = signal;
    this.#sinceUs = context.env.clock.monotonicUs();
  }

  get isDue(): boolean {
    return this.#context.env.clock.monotonicUs() - this.#sinceUs >= SLICE_US;
  }

  /** @throws the reason */
  async take(): Promise<void> {
    await this.#context.scope.sleep(0, this.#signal);
    this.#sinceUs = this.#context.env.clock.monotonicUs();
  }
}

/** Of its own, so that the one in use knows nothing of it. */
export function emptyReplica({ runtime, groupId, networkId, compatibility }: LifeContext): Replica {
  const ignore = (): void => {};
  const events = { onBatch: ignore, onSession: ignore, onSessionEnd: ignore, onFailure: ignore };
  return new Replica({ runtime, groupId, networkId, events, format: compatibility.own.format });
}

/** What a store led to when it was read. */
interface Replayed {
  readonly log: StoredLog;
  readonly replica: Replica;
  /** Of the last entry applied. */
  readonly last: LogPosition;
}

/**
 * A replica of what is stored, in a store that is written to meanwhile: if that lets go of what is being read, it is read again.
 *
 * @param range - later entries than `upTo` are left out, and `from` is reached at least
 * @returns undefined: it changed each time
 * @throws `machine-failed`
 */
export async function replayStore(
  context: LifeContext,
  storage: Storage,
  pause: Pause,
  { from = 0, upTo = Number.POSITIVE_INFINITY }: { from?: Index; upTo?: Index } = {},
): Promise<Replayed | undefined> {
  for (let load = 0; load < LOADS_MAX; load++) {
    const log = await loadLiveStore(storage, context.runtime);
    const replayed = log && (await replay(context, log, pause, upTo));
    if (replayed !== undefined && replayed.last.index >= from) return replayed;
  }
  return undefined;
}

/** @returns undefined: an entry is missing */
async function replay(context: LifeContext, log: StoredLog, pause: Pause, upTo: Index): Promise<Replayed | undefined> {
  const { snapshot, entries } = log;
  const replica = emptyReplica(context);
  let last: LogPosition = { index: 0, term: 0 };
  if (snapshot !== undefined) {
    replica.restore(snapshot.mark, snapshot.state);
    last = { index: snapshot.mark.index, term: snapshot.mark.term };
  }
  for (const [at, entry] of entries.entries()) {
    if (entry.index > upTo) break;
    if (entry.index > last.index) {
      if (entry.index !== last.index + 1) return undefined;
      replica.apply(entry);
      last = { index: entry.index, term: entry.term };
    }
    if (replica.failure !== undefined) throw machineFailed(replica.failure, "not-applied");
    if (at % SLICE_ENTRIES === 0 && pause.isDue) await pause.take();
  }
  return { log, replica, last };
}

/** Binds a free store to an incarnation that begins with this state, and has this member as its only voter. */
export async function writeBeginning(options: {
  readonly context: LifeContext;
  readonly storage: Storage;
  readonly incarnation: IncarnationId;
  readonly replica: Replica;
  readonly last: LogPosition;
  readonly term: Term;
  readonly pause: Pause;
}): Promise<void> {
  const { context, storage, incarnation, replica, last, pause } = options;
  const pieces = replica.encodeSnapshot();
  if (pieces === undefined) throw refused("no-snapshot");
  const configuration = encodeConfiguration([memberId(context.selfId, storage.storeId)]);
  const writer = await storage.createSnapshot({ ...last, configuration });
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    gathered.push(piece);
    bytes += piece.length;
    if (bytes >= LIMITS.snapshotChunkBytes) {
      await writer.write(Buffer.concat(gathered));
      gathered = [];
      bytes = 0;
    }
    if (pause.isDue) await pause.take();
  }
  await writer.write(Buffer.concat(gathered));
  const owner: Owner = { incarnation, hardState: { term: options.term + TERMS_LEFT_OUT, votedFor: undefined } };
  await writer.install(owner);
}

export function tellProbe({ probe, selfId, groupId }: LifeContext, former: Life, beginning: Beginning): void {
  const { incarnation, log, successor } = beginning;
  const peer = { peer: selfId, group: groupId };
  const later = { ...peer, incarnation, member: memberId(selfId, successor.storage.storeId) };
  const source = { ...peer, incarnation: former.incarnation, member: former.self };
  probe?.onRecover(source, later, { base: log.base.index, entries: log.entries });
}

export function logRecovered(
  { logger, groupId }: LifeContext,
  { incarnation, origin }: Beginning,
  commit: Index,
): void {
  const { incarnation: succeeds, last, position } = origin;
  logger.warn(
    { group: groupId, incarnation, succeeds, position, index: last.index, commit },
    "recovered: the group was begun anew from this member's log; what lost members alone had acknowledged is gone",
  );
}
