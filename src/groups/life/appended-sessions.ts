import type { PeerId } from "../../identity/index.ts";
import type { Entry } from "../../raft/index.ts";
import {
  decodeRun,
  decodeSession,
  decodeSessionEnd,
  ENTRY_COMMANDS,
  ENTRY_SESSION,
  ENTRY_SESSION_END,
} from "../entries/index.ts";
import type { SessionIndex, SessionTable } from "../sessions/index.ts";

interface Opening {
  readonly key: string;
  readonly owner: PeerId;
}

/**
 * What a leader knows beyond the applied table: openings, numbers and ends in its log that are not applied yet. So it appends each session's
 * batches without gaps and without repetition, whichever leader its owner sent them to before, and none after the session's end.
 */
export class AppendedSessions {
  readonly #applied: SessionTable;
  readonly #last = new Map<SessionIndex, number>();
  readonly #openings = new Map<SessionIndex, Opening>();
  readonly #keys = new Map<string, SessionIndex>();
  readonly #ended = new Set<SessionIndex>();

  /** @param tail - the log after what is applied, at the moment of election */
  constructor(applied: SessionTable, tail: readonly Entry[]) {
    this.#applied = applied;
    for (const entry of tail) this.note(entry);
  }

  /** How many are open, or will be once all is applied. */
  get size(): number {
    this.#forgetApplied();
    return this.#applied.size + this.#openings.size - this.#ended.size;
  }

  /** A session that is open, or will be once its opening commits. */
  indexOf(key: string): SessionIndex | undefined {
    const session = this.#applied.indexOf(key) ?? this.#keys.get(key);
    return session === undefined || this.#ended.has(session) ? undefined : session;
  }

  ownerOf(session: SessionIndex): PeerId | undefined {
    return this.#applied.ownerOf(session) ?? this.#openings.get(session)?.owner;
  }

  /** The last number in the log; undefined for a session that is unknown, or at its end. */
  lastOf(session: SessionIndex): number | undefined {
    if (this.#ended.size > 0 && this.#ended.has(session)) return undefined;
    const applied = this.#applied.lastOf(session);
    const appended = this.#last.get(session);
    if (appended === undefined) return applied;
    return applied === undefined ? appended : Math.max(applied, appended);
  }

  /** An entry went into our log. */
  note(entry: Entry): void {
    if (entry.kind === ENTRY_SESSION) {
      const { key, owner } = decodeSession(entry.data);
      if (this.indexOf(key) === undefined) this.begin(entry.index, key, owner);
    } else if (entry.kind === ENTRY_SESSION_END) {
      for (const session of decodeSessionEnd(entry.data)) this.end(session);
    } else if (entry.kind === ENTRY_COMMANDS) {
      const { session, number, batches } = decodeRun(entry.data);
      this.advance(session, number + batches.length - 1);
    }
  }

  /** As `note`, for what we just made ourselves. */
  advance(session: SessionIndex, number: number): void {
    const last = this.lastOf(session);
    if (last !== undefined && number > last) this.#last.set(session, number);
  }

  begin(index: SessionIndex, key: string, owner: PeerId): void {
    this.#openings.set(index, { key, owner });
    this.#keys.set(key, index);
    this.#last.set(index, 0);
  }

  end(session: SessionIndex): void {
    if (this.lastOf(session) === undefined) return;
    this.#ended.add(session);
    this.#last.delete(session);
  }

  /** What the applied table says itself by now. */
  #forgetApplied(): void {
    for (const session of [...this.#openings.keys()]) {
      if (!this.#applied.open.has(session) && !this.#applied.ended.has(session)) continue;
      this.#keys.delete((this.#openings.get(session) as Opening).key);
      this.#openings.delete(session);
    }
    for (const session of [...this.#ended]) {
      if (this.#openings.has(session) || this.#applied.open.has(session)) continue;
      this.#ended.delete(session);
    }
  }
}
