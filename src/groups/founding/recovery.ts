import type { PeerDirectory } from "../../discovery/index.ts";
import { MosaikError, mosaikError, type RecoverRefusal } from "../../env/index.ts";
import { type PeerId, UniqueId } from "../../identity/index.ts";
import type { Index, LogPosition } from "../../raft/index.ts";
import type { IncarnationId, Successor } from "../../storage/index.ts";
import { memberId } from "../entries/index.ts";
import type { Life, LifeContext } from "../life/index.ts";
import type { Origin } from "../replica/index.ts";
import type { StoredLog } from "../snapshots/index.ts";
import { writeBeginning } from "./beginning.ts";
import { isNewer, type Seen } from "./founding.ts";
import { Pause, replayStore } from "./replay.ts";

/** Who is up needs a moment to be found and bonded: nothing is left to ask for so long before nobody is taken to be there. */
const LOOK_AROUND_MS = 1_000;
const LOOK_EVERY_MS = 50;

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
  leaving: "this member is about to leave the group",
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
      // A store that is drawn meanwhile must not outlive the member.
      await this.#o.context.scope.run(() => this.#recover(isForced, timeoutMs, signal));
    } finally {
      this.#isUnderWay = false;
    }
  }

  async #recover(isForced: boolean, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const life = await this.#lookAround(isForced, timeoutMs, signal);
    const beginning = await this.#prepare(life, signal);
    try {
      signal?.throwIfAborted();
      if (this.#recoverable(isForced) !== life) throw refused("changed");
      assertWhole(life, beginning.origin.last);
    } catch (cause) {
      await beginning.successor.discard().catch(() => undefined);
      throw cause;
    }
    await this.#o.begin(life, beginning);
  }

  /** What a store that was set aside meanwhile says of itself is nothing that the caller did, or could mend. @throws as `prepareRecovery` */
  async #prepare(life: Life, signal: AbortSignal | undefined): Promise<Beginning> {
    const { context } = this.#o;
    try {
      return await prepareRecovery(context, life, signal);
    } catch (cause) {
      context.scope.signal.throwIfAborted();
      signal?.throwIfAborted();
      const isOfStore = MosaikError.is(cause, "closed", "storage-failed");
      throw isOfStore && this.#o.life() !== life ? refused("changed") : cause;
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

  /** @throws `recover-refused`; the reason of the member's end */
  #recoverable(isForced: boolean): Life {
    const { context, life, others, isEligible } = this.#o;
    context.scope.signal.throwIfAborted();
    // Its store is to be set aside: one that takes its place would be left behind.
    if (context.isLeaving()) throw refused("leaving");
    return assertRecoverable({ life: life(), others: others(), isEligible, isForced });
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
  const pieces = replica.encodeSnapshot();
  if (pieces === undefined) throw refused("no-snapshot");
  const successor = await life.storage.createSuccessor();
  try {
    await writeBeginning({ context, storage: successor.storage, incarnation, pieces, last, term, pause });
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
