import type { Index, LogPosition } from "../../raft/index.ts";
import type { Storage } from "../../storage/index.ts";
import type { LifeContext } from "../life/index.ts";
import { machineFailed, Replica, SLICE_US } from "../replica/index.ts";
import { loadLiveStore, type StoredLog } from "../snapshots/index.ts";

/** Entries, at most, between two turns of the rest of the program. */
const SLICE_ENTRIES = 64;
/** A store that changes while it is read is read so often. */
const LOADS_MAX = 3;

/** Lets the rest of the program have its turn, and ends the work when nobody wants it any more. */
export class Pause {
  readonly #context: Pick<LifeContext, "env" | "scope">;
  readonly #signal: AbortSignal | undefined;
  #sinceUs: number;

  constructor(context: Pick<LifeContext, "env" | "scope">, signal: AbortSignal | undefined) {
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
    const log = await loadLiveStore(storage, context);
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
