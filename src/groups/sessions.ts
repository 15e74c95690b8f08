import type { Entry, Index } from "../raft/index.ts";
import { decodeRun, decodeSession, ENTRY_COMMANDS, ENTRY_SESSION } from "./entries.ts";

/**
 * A session is named by the index of the entry that opened it, so its name cannot come twice in one log. `key` is what its owner drew, to
 * recognize it.
 */
export type SessionIndex = Index;

/** What every replica knows of the sessions: part of the replicated state, changed by `apply` alone. */
export class SessionTable {
  readonly #byIndex = new Map<SessionIndex, { readonly key: string; last: number }>();
  readonly #byKey = new Map<string, SessionIndex>();

  get size(): number {
    return this.#byIndex.size;
  }

  /** Applies an opening. A key that is known keeps its session: the opening was sent twice. */
  open(index: SessionIndex, key: string): SessionIndex {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    this.#byIndex.set(index, { key, last: 0 });
    this.#byKey.set(key, index);
    return index;
  }

  indexOf(key: string): SessionIndex | undefined {
    return this.#byKey.get(key);
  }

  /** The number of the last batch that was applied; undefined for an unknown session. */
  lastOf(session: SessionIndex): number | undefined {
    return this.#byIndex.get(session)?.last;
  }

  /**
   * May batch `number` of this session be applied now? Notes it if so.
   *
   * `duplicate`: it was. `unknown`: no such session. `gap`: an earlier number is missing, which leaders never let happen.
   */
  admit(session: SessionIndex, number: number): "apply" | "duplicate" | "unknown" | "gap" {
    const entry = this.#byIndex.get(session);
    if (entry === undefined) return "unknown";
    if (number <= entry.last) return "duplicate";
    if (number !== entry.last + 1) return "gap";
    entry.last = number;
    return "apply";
  }
}

/**
 * What a leader knows beyond that: the numbers in its log that are not applied yet. So it appends each session's batches without gaps and
 * without repetition, whichever leader its owner sent them to before.
 */
export class AppendedSessions {
  readonly #applied: SessionTable;
  readonly #last = new Map<SessionIndex, number>();
  readonly #keys = new Map<string, SessionIndex>();

  /** @param tail - the log after what is applied, at the moment of election */
  constructor(applied: SessionTable, tail: readonly Entry[]) {
    this.#applied = applied;
    for (const entry of tail) this.note(entry);
  }

  /** A session that is open, or will be once its opening commits. */
  indexOf(key: string): SessionIndex | undefined {
    return this.#applied.indexOf(key) ?? this.#keys.get(key);
  }

  /** The last number in the log; undefined for an unknown session. */
  lastOf(session: SessionIndex): number | undefined {
    const applied = this.#applied.lastOf(session);
    const appended = this.#last.get(session);
    if (appended === undefined) return applied;
    return applied === undefined ? appended : Math.max(applied, appended);
  }

  /** An entry went into our log. */
  note(entry: Entry): void {
    if (entry.kind === ENTRY_SESSION) {
      const key = decodeSession(entry.data);
      if (this.indexOf(key) !== undefined) return;
      this.#keys.set(key, entry.index);
      this.#last.set(entry.index, 0);
    } else if (entry.kind === ENTRY_COMMANDS) {
      const { session, number, batches } = decodeRun(entry.data);
      this.advance(session, number + batches.length - 1);
    }
  }

  /** As `note`, for what we just made ourselves. */
  advance(session: SessionIndex, number: number): void {
    if (number > (this.lastOf(session) ?? 0)) this.#last.set(session, number);
  }

  openedAt(key: string, index: SessionIndex): void {
    this.#keys.set(key, index);
    this.#last.set(index, 0);
  }
}
