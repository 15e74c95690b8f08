import type { Env, Scope, Timer } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Entry, Index, LogPosition } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { type Bond, type BondFrame, DISTANCE_MAX } from "../bonds/index.ts";

/** A source that has no news for so long, though somebody told of some, is left: it may be cut off without knowing. */
const SILENT_MS = 1_000;
/** What others told of so long ago a good source has given us by now. */
const SLOW_US = 3_000_000;
/** A source that was left, or that has no room, is not asked again for so long, as long as there is another. */
const AVOIDED_US = 5_000_000;
/** More are not told apart. */
const LIARS_MAX = 64;

/** Whom to ask first. */
const RANK = { voter: 0, reader: 1, leader: 2 } as const;
type Rank = (typeof RANK)[keyof typeof RANK];

export interface PullerOptions {
  readonly env: Env;
  readonly scope: Scope;
  readonly incarnation: IncarnationId;
  readonly bonds: () => readonly Bond[];
  readonly leader: () => PeerId | undefined;
  /** Where our log ends, and how far it is known to be committed. */
  readonly last: () => LogPosition;
  readonly committed: () => LogPosition;
  readonly termAt: (index: Index) => number | undefined;
  /** Whoever was asked has a snapshot up to here instead of what comes next. */
  readonly onSnapshotNeeded: (index: Index) => void;
  readonly onLearnt: (prev: LogPosition, entries: readonly Entry[], commit: Index) => void;
}

/**
 * Follows an incarnation without being fed by a leader: pulls what is committed from one member at a time. Acknowledges nothing, so it costs
 * the leader nothing.
 *
 * Voters are asked first, then readers that are no farther from them than we are, the leader last; in each of these anybody, so that
 * many who follow spread. A source is kept until it dies, has no room, is silent or slow while others have more, or lies.
 *
 * It asks from the end of its own log. A log may end in entries that were never committed; then nobody answers, and it asks from its commit
 * index next.
 */
export class Puller {
  readonly #o: PullerOptions;
  readonly #avoided = new Map<Bond, number>();
  readonly #liars = new Set<PeerId>();
  /** For people. */
  readonly counts = { refused: 0, left: 0, liars: 0 };
  #isActive = false;
  #source: Bond | undefined;
  /** After this, and more than that being committed. */
  #asked: { readonly after: LogPosition; readonly commit: Index } | undefined;
  #fromCommit = false;
  #hasNews = false;
  /** What comes next is in a snapshot up to here. */
  #missing: Index | undefined;
  #remoteCommit: Index = 0;
  /** What others told of, and when. */
  #goal: { readonly index: Index; readonly sinceUs: number } | undefined;
  #timer: Timer | undefined;
  /** Nobody is left to ask; the timer ends that. */
  #isWaiting = false;

  constructor(options: PullerOptions) {
    this.#o = options;
  }

  get source(): PeerId | undefined {
    return this.#source?.peer;
  }

  /** Ours from a voter: one more than our source's. */
  get distance(): number {
    return Math.min((this.#source?.status.distance ?? DISTANCE_MAX) + 1, DISTANCE_MAX);
  }

  /** Holds all that its source had committed at its last answer, and when it last told: if nothing is missing, it does not answer. */
  get isCaughtUp(): boolean {
    if (this.#source === undefined) return false;
    const told = Math.max(this.#remoteCommit, this.#source.status.index);
    return told > 0 && this.#o.committed().index >= told;
  }

  /** Called after each step and each change of a bond. */
  update(isWanted: boolean): void {
    if (!isWanted) return this.stop();
    this.#isActive = true;
    if (this.#source === undefined || this.#rankOf(this.#source) === undefined) this.#askAnother();
    else if (this.#hasNews || this.#hasSnapshot) this.#askOn(this.#source);
  }

  /** @throws DecodeError what no member sends that tells only what is committed, and what it was asked for */
  onEntries(bond: Bond, frame: BondFrame & { type: "entries" }): void {
    if (!this.#isActive || bond !== this.#source || frame.incarnation !== this.#o.incarnation) return;
    const asked = this.#asked;
    if (frame.prev.index !== asked?.after.index || frame.prev.term !== asked.after.term) return;
    this.#asked = undefined;
    if (frame.commit <= asked.commit || !this.#isCredible(frame)) {
      this.#note(bond.peer);
      throw new DecodeError("committed entries that are none");
    }
    this.#hasNews = true;
    this.#fromCommit = false;
    this.#remoteCommit = frame.commit;
    this.#o.onLearnt(frame.prev, frame.entries, frame.commit);
  }

  /** That source has it no longer; another one may, and it is asked in its time. */
  onLogBegins(bond: Bond, frame: BondFrame & { type: "log-begins" }): void {
    if (!this.#isActive || bond !== this.#source || frame.incarnation !== this.#o.incarnation) return;
    if (frame.index <= this.#o.committed().index) return;
    this.#missing = frame.index;
    this.#o.onSnapshotNeeded(frame.index);
  }

  /** That source feeds as many as it can. */
  onRefused(bond: Bond, { incarnation }: BondFrame & { type: "fetch-refused" }): void {
    if (!this.#isActive || bond !== this.#source || incarnation !== this.#o.incarnation) return;
    this.counts.refused++;
    this.#avoid(bond);
    this.#askAnother();
  }

  onBondDown(bond: Bond): void {
    this.#avoided.delete(bond);
  }

  stop(): void {
    this.#isActive = false;
    this.#source = undefined;
    this.#missing = undefined;
    this.#goal = undefined;
    this.#isWaiting = false;
    this.#timer?.cancel();
  }

  /** The snapshot that was missing is installed: what follows it need not wait for the next question. */
  get #hasSnapshot(): boolean {
    return this.#missing !== undefined && this.#o.committed().index >= this.#missing;
  }

  /** It gives what it tells to be committed, nothing beyond that, and nothing else where we know better. */
  #isCredible({ prev, entries, commit }: BondFrame & { type: "entries" }): boolean {
    const known = this.#o.committed().index;
    const last = entries[entries.length - 1]?.index ?? prev.index;
    if (last > commit || (entries.length === 0 && commit > prev.index)) return false;
    return entries.every(({ index, term }) => index > known || (this.#o.termAt(index) ?? term) === term);
  }

  #note(liar: PeerId): void {
    this.counts.liars++;
    if (this.#liars.size >= LIARS_MAX) this.#liars.clear();
    this.#liars.add(liar);
    this.#source = undefined;
  }

  /** Undefined: not to be asked. Whoever pulls from us, over others too, is farther from the voters than we are. */
  #rankOf({ isOpen, peer, status }: Bond): Rank | undefined {
    if (!isOpen || status.incarnation !== this.#o.incarnation || !status.isOpen || this.#liars.has(peer))
      return undefined;
    if (peer === this.#o.leader()) return RANK.leader;
    if (status.role === "voter") return RANK.voter;
    return status.distance < DISTANCE_MAX && status.distance <= this.distance ? RANK.reader : undefined;
  }

  /** One of the best. @param all - those too that are better avoided, the longest avoided first */
  #choose(all: boolean): Bond | undefined {
    const nowUs = this.#nowUs();
    let best: Bond[] = [];
    let least: readonly [number, number] = [Number.POSITIVE_INFINITY, 0];
    for (const bond of this.#o.bonds()) {
      const rank = this.#rankOf(bond);
      const avoidedUs = this.#avoided.get(bond) ?? 0;
      const until = avoidedUs > nowUs ? avoidedUs : 0;
      if (rank === undefined || (until > 0 && !all)) continue;
      const difference = until - least[0] || rank - least[1];
      if (difference > 0) continue;
      if (difference < 0) best = [];
      least = [until, rank];
      best.push(bond);
    }
    return best.length > 0 ? best[this.#o.env.random.below(best.length)] : undefined;
  }

  #askAnother(all = false): void {
    const source = this.#choose(all);
    // However often this is called, the wait comes to its end.
    if (source === undefined && this.#isWaiting) return;
    this.#timer?.cancel();
    this.#goal = undefined;
    this.#source = source;
    this.#isWaiting = source === undefined;
    if (source !== undefined) return this.#ask(source);
    this.#timer = this.#o.scope.after(SILENT_MS, () => {
      this.#isWaiting = false;
      if (this.#isActive) this.#askAnother(true);
    });
  }

  /** The same one, unless it is slow, or leads now and there is another. */
  #askOn(source: Bond): void {
    if (this.#isSlow()) return this.#leave(source);
    const isLeader = this.#rankOf(source) === RANK.leader;
    const other = isLeader ? this.#choose(false) : undefined;
    this.#source = other !== undefined && this.#rankOf(other) !== RANK.leader ? other : source;
    this.#ask(this.#source);
  }

  #ask(bond: Bond): void {
    this.#hasNews = false;
    const committed = this.#o.committed();
    if (this.#hasSnapshot) this.#missing = undefined;
    const after = this.#fromCommit ? committed : this.#o.last();
    this.#asked = { after, commit: committed.index };
    this.#timer?.cancel();
    this.#timer = this.#o.scope.after(SILENT_MS, () => this.#onSilence(bond));
    bond.send({ type: "fetch", incarnation: this.#o.incarnation, after, commit: committed.index });
  }

  /** Nobody has more: all is well, and asking again keeps our place. */
  #onSilence(source: Bond): void {
    if (!this.#isActive || this.#source !== source) return;
    if (this.#told() <= this.#o.committed().index) return this.#ask(source);
    this.#fromCommit = !this.#fromCommit;
    this.#leave(source);
  }

  #leave(source: Bond): void {
    this.counts.left++;
    this.#avoid(source);
    this.#askAnother(true);
  }

  #avoid(source: Bond): void {
    this.#avoided.set(source, this.#nowUs() + AVOIDED_US);
  }

  #isSlow(): boolean {
    const nowUs = this.#nowUs();
    const goal = this.#goal;
    if (goal !== undefined && this.#o.committed().index < goal.index) return nowUs - goal.sinceUs > SLOW_US;
    this.#goal = { index: this.#told(), sinceUs: nowUs };
    return false;
  }

  /** The most that anybody in sight says is committed. */
  #told(): Index {
    let most = 0;
    for (const { status, peer } of this.#o.bonds()) {
      const isOurs = status.incarnation === this.#o.incarnation && !this.#liars.has(peer);
      if (isOurs && status.index > most) most = status.index;
    }
    return most;
  }

  #nowUs(): number {
    return this.#o.env.clock.monotonicUs();
  }
}
