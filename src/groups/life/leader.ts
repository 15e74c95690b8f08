import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Entry, Index, MemberId, Term } from "../../raft/index.ts";
import { DecodeError } from "../../wire/index.ts";
import {
  decodeGenesis,
  decodeRun,
  decodeVersion,
  ENTRY_COMMANDS,
  ENTRY_CONFIGURATION,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  ENTRY_SESSION_END,
  ENTRY_VERSION,
  encodeConfiguration,
  encodeOpen,
  encodeRun,
  encodeSession,
  encodeSessionEnd,
  encodeVersion,
  type NumberedBatch,
  type Support,
} from "../entries/index.ts";
import type { Replica } from "../replica/index.ts";
import type { SessionIndex } from "../sessions/index.ts";
import { AppendedSessions } from "./appended-sessions.ts";
import type { Draft } from "./driver.ts";
import { RequestQueue } from "./request-queue.ts";

/** The session that has to make room for another, if there is one: none that is at its end already. */
export type OldestSession = (isEnding: (session: SessionIndex) => boolean) => SessionIndex | undefined;

/**
 * One term of leadership: turns requests into entries.
 *
 * It appends each session's batches in order, without gaps and once; stamps the group's clock; and opens a provisional incarnation. It lives
 * from the election to the loss of leadership, and knows the log of that moment: the applied part through the replica, the tail by reading it.
 */
export class LeaderTerm {
  readonly term: Term;
  readonly #sessions: AppendedSessions;
  readonly #nowUs: () => number;
  readonly #electedUs: number;
  readonly #baseTimeMs: number;
  /** Sessions to open: key and owner. */
  readonly #openings = new Map<string, PeerId>();
  /** Sessions to end. */
  readonly #endings = new Set<SessionIndex>();
  /** What waits for the next step. */
  readonly #queue = new RequestQueue();
  /** Runs that we appended and that are not committed yet. */
  readonly #uncommitted: { readonly index: Index; readonly bytes: number }[] = [];
  #uncommittedBytes = 0;
  #openAt: Index | undefined;
  /** The second *open* entry: nothing is promised before it is committed. It tells later leaders what a voter that is gone cannot. */
  #establishedAt: Index | undefined;
  #wantsOpen = false;
  #wantsEstablished = false;
  #change: readonly MemberId[] | undefined;
  /** The last one in our log, applied or not. */
  #agreed: Support | undefined;
  #nextAgreed: Support | undefined;
  #isServing = false;

  /** @param tail - the log after what the replica applied */
  constructor(term: Term, replica: Replica, tail: readonly Entry[], nowUs: () => number) {
    this.term = term;
    this.#sessions = new AppendedSessions(replica.sessions, tail);
    this.#nowUs = nowUs;
    this.#electedUs = nowUs();
    this.#baseTimeMs = tail.reduce((latest, entry) => Math.max(latest, timeOf(entry)), replica.timeMs);
    const opens = [replica.openIndex, replica.establishedIndex].filter((index) => index !== undefined);
    opens.push(...tail.filter((entry) => entry.kind === ENTRY_OPEN).map(({ index }) => index));
    [this.#openAt, this.#establishedAt] = opens;
    const version = tail.findLast(({ kind }) => kind === ENTRY_VERSION);
    this.#agreed = version === undefined ? replica.agreed : decodeVersion(version.data);
  }

  /** Takes commands and strong reads now. Once true, true for the rest of the term. */
  get isServing(): boolean {
    return this.#isServing;
  }
  /** The group's clock: goes on from the log's last time with the monotonic clock, whatever wall clocks do. */
  get timeMs(): number {
    return this.#baseTimeMs + Math.floor((this.#nowUs() - this.#electedUs) / 1000);
  }
  /** There is something for the next step. */
  get wantsToAppend(): boolean {
    if (this.#change !== undefined || this.#nextAgreed !== undefined) return true;
    if (this.#wantsOpen && this.#openAt === undefined) return true;
    if (this.#wantsEstablished && this.#establishedAt === undefined) return true;
    if (!this.#isServing) return false;
    if (this.#openings.size > 0 || (this.#queue.count > 0 && this.#room > 0)) return true;
    return this.#endings.size > 0 && [...this.#endings].some((session) => !this.#queue.has(session));
  }
  get isOpening(): boolean {
    return this.#openAt !== undefined;
  }

  /**
   * Ignored while it does not serve, or is full: whoever asks asks again.
   *
   * @param oldest - the session that must end first, if there is no room for another; undefined: none can
   */
  openSession(key: string, owner: PeerId, oldest: OldestSession = () => undefined): void {
    if (!this.#isServing || this.#openings.has(key)) return;
    if (this.#sessions.size + this.#openings.size - this.#endings.size >= LIMITS.sessionsMax) {
      const session = oldest((ended) => this.#endings.has(ended) || this.#sessions.lastOf(ended) === undefined);
      if (session === undefined) return;
      this.#endings.add(session);
    }
    this.#openings.set(key, owner);
  }

  /** Is there a session of this key, now or with the next step? */
  hasSession(key: string): boolean {
    return this.#openings.has(key) || this.#sessions.indexOf(key) !== undefined;
  }

  /** Its owner closes it: what came before is appended first. Ignored if it is not the owner's. */
  closeSession(key: string, owner: PeerId): void {
    const session = this.#sessions.indexOf(key);
    if (this.#isServing && session !== undefined && this.#sessions.ownerOf(session) === owner)
      this.#endings.add(session);
  }

  /** Ends them with the next step. */
  endSessions(sessions: readonly SessionIndex[]): void {
    if (this.#isServing) for (const session of sessions) this.#endings.add(session);
  }

  /** Opens the incarnation with the next step, if it is not open. Nothing is promised before, so nothing is taken. */
  wantOpen(): void {
    this.#wantsOpen = true;
  }

  /**
   * Takes what fits. The number that is expected next, if something before it is missing (0: the session is unknown here, or at its end).
   *
   * @throws DecodeError if the session is another's
   */
  takeBatches(session: SessionIndex, owner: PeerId, batches: readonly NumberedBatch[]): number | undefined {
    const last = this.#sessions.lastOf(session);
    if (last === undefined || this.#endings.has(session)) return 0;
    if (this.#sessions.ownerOf(session) !== owner) throw new DecodeError("commands in a session of somebody else");
    let expected = (this.#queue.lastOf(session) ?? last) + 1;
    for (const batch of batches) {
      if (batch.number < expected) continue;
      if (batch.number > expected || !this.#queue.push(session, batch)) return expected;
      expected++;
    }
    return undefined;
  }

  /** So much of the log is committed: there is room for more. */
  onCommit(commit: Index): void {
    let count = 0;
    for (const { index, bytes } of this.#uncommitted) {
      if (index > commit) break;
      this.#uncommittedBytes -= bytes;
      count++;
    }
    if (count > 0) this.#uncommitted.splice(0, count);
  }

  /** Are all voters, and how many, known to hold the log up to `index`? From Raft's progress, the leader included. */
  updateServing(view: {
    readonly commit: Index;
    readonly holders: (index: Index) => number;
    readonly voters: number;
    readonly isLone: boolean;
  }): void {
    if (this.#isServing) return;
    if (this.#openAt === undefined) {
      if (!view.isLone && view.holders(1) === view.voters) this.#wantsOpen = true;
      return;
    }
    if (view.commit < this.#openAt) return;
    if (this.#establishedAt === undefined) this.#wantsEstablished = view.holders(this.#openAt) === view.voters;
    else this.#isServing = view.commit >= this.#establishedAt;
  }

  /** Puts these voters in force with the next step. The last change must be committed, and an entry of this term. */
  changeVoters(voters: readonly MemberId[]): void {
    this.#change = voters;
  }

  /** What the log may hold from the last such entry in it on. */
  get agreed(): Support | undefined {
    return this.#agreed;
  }

  /** With the next step. All voters and spares support it. */
  agreeOn(support: Support): void {
    if (this.#establishedAt === undefined) return;
    // What waits was checked by what was agreed before: whoever asked asks again.
    if (this.#agreed?.commands.some((name) => !support.commands.includes(name))) this.#queue.clear();
    this.#nextAgreed = support;
    this.#agreed = support;
  }

  /** All that can be appended now, from `firstIndex` on. */
  takeDrafts(firstIndex: Index): readonly Draft[] {
    const drafts: Draft[] = [];
    if (this.#wantsOpen && this.#openAt === undefined) {
      this.#openAt = firstIndex;
      drafts.push({ kind: ENTRY_OPEN, data: encodeOpen() });
    }
    if (this.#wantsEstablished && this.#establishedAt === undefined) {
      this.#establishedAt = firstIndex + drafts.length;
      drafts.push({ kind: ENTRY_OPEN, data: encodeOpen() });
    }
    if (this.#change !== undefined) {
      drafts.push({ kind: ENTRY_CONFIGURATION, data: encodeConfiguration(this.#change) });
      this.#change = undefined;
    }
    if (this.#nextAgreed !== undefined) {
      drafts.push({ kind: ENTRY_VERSION, data: encodeVersion(this.#nextAgreed) });
      this.#nextAgreed = undefined;
    }
    if (!this.#isServing) return drafts;
    if (this.#queue.count > 0) this.#draftRuns(firstIndex, drafts);
    // After the last commands of those that end, and before the first of those that take their places.
    this.#draftEndings(drafts);
    this.#draftOpenings(firstIndex, drafts);
    return drafts;
  }

  /** Bytes that may be appended before more is committed: what followers cannot take in must not grow the log without end. */
  get #room(): number {
    return LIMITS.leaderUncommittedBytesMax - this.#uncommittedBytes;
  }

  #draftEndings(drafts: Draft[]): void {
    if (this.#endings.size === 0) return;
    // Those of which something waits end after it.
    const due = [...this.#endings].filter((session) => !this.#queue.has(session));
    for (const session of due) this.#endings.delete(session);
    const sessions = due.filter((session) => this.#sessions.lastOf(session) !== undefined);
    sessions.sort((a, b) => a - b);
    for (let at = 0; at < sessions.length; at += LIMITS.sessionEndsMax) {
      const some = sessions.slice(at, at + LIMITS.sessionEndsMax);
      drafts.push({ kind: ENTRY_SESSION_END, data: encodeSessionEnd(some) });
    }
    for (const session of sessions) this.#sessions.end(session);
  }

  #draftOpenings(firstIndex: Index, drafts: Draft[]): void {
    for (const [key, owner] of this.#openings) {
      if (this.#sessions.indexOf(key) !== undefined) continue;
      this.#sessions.begin(firstIndex + drafts.length, key, owner);
      drafts.push({ kind: ENTRY_SESSION, data: encodeSession(key, owner) });
    }
    this.#openings.clear();
  }

  /** An entry for each run, as far as there is room. */
  #draftRuns(firstIndex: Index, drafts: Draft[]): void {
    const { timeMs } = this;
    for (const { session, batches } of this.#queue.take(this.#room)) {
      const number = (this.#sessions.lastOf(session) ?? Number.NaN) + 1;
      if (batches[0]?.number !== number) continue;
      const data = encodeRun({ session, number, timeMs, batches });
      this.#uncommitted.push({ index: firstIndex + drafts.length, bytes: data.length });
      this.#uncommittedBytes += data.length;
      drafts.push({ kind: ENTRY_COMMANDS, data });
      this.#sessions.advance(session, number + batches.length - 1);
    }
  }
}

function timeOf(entry: Entry): number {
  if (entry.kind === ENTRY_COMMANDS) return decodeRun(entry.data).timeMs;
  return entry.kind === ENTRY_GENESIS ? decodeGenesis(entry.data).timeMs : 0;
}
