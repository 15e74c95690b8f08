import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Index } from "../../raft/index.ts";

/**
 * A session is named by the index of the entry that opened it, so its name cannot come twice in one log. `key` is what its owner drew, to
 * recognize it.
 */
export type SessionIndex = Index;

/** How many of a session's last batches are remembered with their positions, for those who ask with a receipt. */
export const SESSION_RECENT_MAX = 32;

/** What is known of one session. */
export interface SessionRecord {
  readonly key: string;
  /** Whose it is: the leader ends it when this peer stays away. */
  readonly owner: PeerId;
  /** The number of the last batch that was applied. */
  last: number;
  /**
   * Batch `n` is at `(n - 1) % SESSION_RECENT_MAX`: the position of its last command, negative if one of its commands was rejected. 0: the
   * machine was halted, and there is none.
   */
  readonly recent: number[];
}

/** What became of a batch, as far as a replica can ever tell. */
export type BatchFate =
  /** `position` undefined: too long ago. */
  | { readonly type: "applied"; readonly position: number | undefined; readonly isRejected: boolean }
  /** Its session ended before it: it never will be. */
  | { readonly type: "never" }
  /** It may still come. */
  | { readonly type: "pending" }
  /** The session is not known, or not any more. */
  | { readonly type: "forgotten" };

/**
 * What every replica knows of the sessions: part of the replicated state, changed by `apply` alone.
 *
 * Bounded: leaders keep the number of open sessions within `LIMITS.sessionsMax`, and as many ended ones are remembered, the latest, so that an
 * owner that was away learns which of its batches were applied. A record has at most some 300 bytes.
 */
export class SessionTable {
  /** Both in a fixed order, by opening and by end: it is part of the state. */
  readonly #open: Map<SessionIndex, SessionRecord>;
  readonly #ended: Map<SessionIndex, SessionRecord>;
  readonly #byKey = new Map<string, SessionIndex>();

  /** @param state - of a snapshot; the table's own from now on */
  constructor(state?: {
    readonly open: Map<SessionIndex, SessionRecord>;
    readonly ended: Map<SessionIndex, SessionRecord>;
  }) {
    this.#open = state?.open ?? new Map();
    this.#ended = state?.ended ?? new Map();
    for (const [session, { key }] of this.#open) this.#byKey.set(key, session);
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }
  /** By opening. */
  get open(): ReadonlyMap<SessionIndex, Readonly<SessionRecord>> {
    return this.#open;
  }
  /** By end; the oldest ones are forgotten. */
  get ended(): ReadonlyMap<SessionIndex, Readonly<SessionRecord>> {
    return this.#ended;
  }

  /** Applies an opening. A key that is known keeps its session: the opening was sent twice. */
  begin(index: SessionIndex, key: string, owner: PeerId): SessionIndex {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    this.#open.set(index, { key, owner, last: 0, recent: [] });
    this.#byKey.set(key, index);
    return index;
  }

  /** Applies an end: nothing of this session is applied from now on. The number of its last batch; undefined if it was not open. */
  end(session: SessionIndex): number | undefined {
    const record = this.#open.get(session);
    if (record === undefined) return undefined;
    this.#open.delete(session);
    this.#byKey.delete(record.key);
    this.#ended.set(session, record);
    if (this.#ended.size > LIMITS.sessionsMax) this.#ended.delete(this.#ended.keys().next().value as SessionIndex);
    return record.last;
  }

  /** Of an open session. */
  indexOf(key: string): SessionIndex | undefined {
    return this.#byKey.get(key);
  }

  /** The number of the last batch that was applied; undefined if the session is not open. */
  lastOf(session: SessionIndex): number | undefined {
    return this.#open.get(session)?.last;
  }

  ownerOf(session: SessionIndex): PeerId | undefined {
    return this.#open.get(session)?.owner;
  }

  /**
   * May batch `number` of this session be applied now? Notes it if so.
   *
   * `duplicate`: it was. `unknown`: the session was never opened, or ended. `gap`: an earlier number is missing, which leaders never let
   * happen.
   */
  admit(session: SessionIndex, number: number): "apply" | "duplicate" | "unknown" | "gap" {
    const record = this.#open.get(session);
    if (record === undefined) return "unknown";
    if (number <= record.last) return "duplicate";
    if (number !== record.last + 1) return "gap";
    record.last = number;
    record.recent[(number - 1) % SESSION_RECENT_MAX] = 0;
    return "apply";
  }

  /** Where batch `number`, which was just admitted, ended. */
  place(session: SessionIndex, number: number, position: number, isRejected: boolean): void {
    const record = this.#open.get(session);
    if (record !== undefined) record.recent[(number - 1) % SESSION_RECENT_MAX] = isRejected ? -position : position;
  }

  /** Says `never` only once that is final. Asked of a replica that has applied the session's opening. */
  fateOf(session: SessionIndex, key: string, number: number): BatchFate {
    const isOpen = this.#open.has(session);
    const record = this.#open.get(session) ?? this.#ended.get(session);
    if (record?.key !== key) return { type: "forgotten" };
    if (number > record.last) return { type: isOpen ? "pending" : "never" };
    const place = number > record.last - SESSION_RECENT_MAX ? record.recent[(number - 1) % SESSION_RECENT_MAX] : 0;
    if (place === undefined || place === 0) return { type: "applied", position: undefined, isRejected: false };
    return { type: "applied", position: Math.abs(place), isRejected: place < 0 };
  }
}
