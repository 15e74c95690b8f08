import type { EntryVersion, Peer, PeerRule } from "../../discovery/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { CLOSE, type LinkClose } from "../../wire/index.ts";
import { type Candidate, isOlder } from "./candidate.ts";
import { compareRanks, isClearlyBetter } from "./ranking.ts";
import { type Ended, endedBy } from "./retry.ts";
import { RuleCheck } from "./rule.ts";
import { Source, type SourceView } from "./source.ts";
import type { Verdict } from "./tickets.ts";

/** A dial, its hello, and the producer's look at our tickets: who takes longer does not answer. */
const ACCEPT_MS_MAX = 20_000;
/** Who takes longer than this does not hold up the next one. */
const SLOW_AFTER_MS = 2_000;
/** So many are tried at a time, the slow ones not counted: a handshake is work, and all at once would all be late. */
const TRYING_MAX = 64;
/** A producer is heard for at least so long before we move to a better one. */
const STAY_MS_MIN = 5_000;
/** A producer that refuses us so soon after our entry changed may have judged the one before. */
const SPREADS_WITHIN_MS = 10_000;
/** Timers do not reach as far as some tickets do. */
const LOOK_AGAIN_MS = 3_600_000;

export type SourcesEffect =
  | { readonly type: "connect" | "introduce"; readonly id: PeerId }
  | { readonly type: "disconnect"; readonly id: PeerId; readonly code: number; readonly reason: string }
  /** To be answered by `onVerdict`, once, with this one's version. */
  | { readonly type: "validate"; readonly id: PeerId; readonly candidate: Candidate };

export interface SourcesOptions {
  readonly rule: PeerRule;
  readonly needsTickets: boolean;
  /** Undefined: all that fit. */
  readonly maxProducers: number | undefined;
  /** Higher is better. */
  readonly prefer: ((peer: Peer) => number) | undefined;
  /** In [0, 1). */
  readonly random: () => number;
}

/**
 * To which producers a consumer connects. Pure: events in, effects out, all times on one clock that never goes back.
 *
 * Events change facts, and `takeEffects` decides. What always holds:
 *
 * 1. There is state only for peers that advertise the stream, and an effect but `disconnect` only for one of them.
 * 2. `connect` is told only of a peer without a link. After it comes one end: the driver's `onClosed`, or our `disconnect`.
 * 3. At most `maxProducers` have a place, and one more: for a move to a clearly better one, or beside one that is slow to answer.
 * 4. A move makes before it breaks: the worst one goes when more than `maxProducers` have accepted us.
 * 5. Who waits has no place, so one that fails keeps no other one out.
 * 6. A link stays only with a peer that advertises, fits, and whose tickets were not refused.
 *
 * The driver: executes the effects, in order; answers each `validate` once; reports nothing more of a link once it was told to
 * disconnect it; calls `takeEffects` after events until there are none, and `tick` at `nextAtMs`.
 */
export class Sources {
  readonly #options: SourcesOptions;
  readonly #max: number;
  readonly #check: RuleCheck;
  readonly #sources = new Map<PeerId, Source>();
  /** Peers that are gone, while the driver does not know yet that their link is to end. */
  readonly #leaving = new Set<PeerId>();
  /** Peers that do not know us. */
  readonly #strangers = new Set<PeerId>();
  #effects: SourcesEffect[] = [];
  #nowMs = Number.NEGATIVE_INFINITY;
  /** Our own entry changed, or we began: undefined, not yet. */
  #selfChangedMs: number | undefined;
  #isDecided = true;
  #nextAtMs: number | undefined;

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#max = options.maxProducers ?? Number.POSITIVE_INFINITY;
    this.#check = new RuleCheck(options.rule, options.prefer);
  }

  /** It began to advertise the stream, or its entry or round trip changed. */
  onPeer(candidate: Candidate, nowMs: number): void {
    this.#at(nowMs);
    const { peer } = candidate;
    const known = this.#sources.get(peer.id);
    // Who comes back may have begun to count anew.
    if (known !== undefined && !known.isGone && isOlder(candidate, known.candidate)) return;
    const facts = { candidate, fit: this.#check.fit(peer), score: this.#check.score(peer) };
    if (known === undefined) this.#sources.set(peer.id, new Source(facts, this.#options));
    else known.update(facts, this.#nowMs);
  }

  /** The catalog has it no more, but it has a link: better proof of life. What was last known of it counts. */
  onLost(id: PeerId, nowMs: number): void {
    this.#at(nowMs);
    const source = this.#sources.get(id);
    if (source !== undefined) source.isGone = true;
  }

  /** The newest that is known of a producer, also of one that left the catalog while it has a link. */
  peer(id: PeerId): Peer | undefined {
    return this.#sources.get(id)?.candidate.peer;
  }

  /** It left, or does not advertise the stream any more. */
  onGone(id: PeerId, nowMs: number): void {
    this.#at(nowMs);
    const source = this.#sources.get(id);
    if (source === undefined) return;
    if (source.isLinked) this.#leaving.add(id);
    this.#strangers.delete(id);
    this.#sources.delete(id);
  }

  /** Our own entry changed: who refused us may take us now. */
  onSelfChanged(nowMs: number): void {
    this.#at(nowMs);
    this.#selfChangedMs = this.#nowMs;
    for (const { retry } of this.#sources.values()) retry.onChange("self", this.#nowMs);
  }

  /** The producer admitted us. */
  onAccepted(id: PeerId, nowMs: number): void {
    this.#at(nowMs);
    const source = this.#sources.get(id);
    if (source?.phase !== "connecting") return;
    source.become("connected", this.#nowMs);
    source.retry.onAccepted(this.#nowMs);
  }

  /** The link ended, or never came to be: then with `unexpectedClose`. */
  onClosed(id: PeerId, close: Pick<LinkClose, "code">, nowMs: number): void {
    this.#at(nowMs);
    if (this.#leaving.delete(id)) return;
    const source = this.#sources.get(id);
    if (!source?.isLinked) return;
    this.#end(source, close.code, this.#meaningOf(close.code));
    if (close.code === CLOSE.unknownPeer) this.#strangers.add(id);
  }

  /** What the validators say of the tickets that this version of its entry shows; on our clock. */
  onVerdict(id: PeerId, version: EntryVersion, verdict: Verdict, nowMs: number): void {
    this.#at(nowMs);
    this.#sources.get(id)?.review?.answer(version, verdict, this.#nowMs);
  }

  tick(nowMs: number): void {
    this.#at(nowMs);
  }

  /** Decides, and hands over what is to be done. Once empty it stays so until something happens. */
  takeEffects(): readonly SourcesEffect[] {
    if (!this.#isDecided) this.#decide();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When `tick` is wanted: now, if something has happened since effects were taken. Undefined: nothing is waited for. */
  get nextAtMs(): number | undefined {
    return this.#isDecided ? this.#nextAtMs : this.#nowMs;
  }

  /** The first thing that `where` or `prefer` threw; told once. */
  takeProblem(): { readonly cause: unknown } | undefined {
    return this.#check.takeProblem();
  }

  /** By id. */
  inspect(): readonly SourceView[] {
    const sources = [...this.#sources.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return sources.map((source) => source.view(this.#nowMs));
  }

  #at(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#selfChangedMs ??= this.#nowMs;
    this.#isDecided = false;
  }

  /** Gossip may be behind: a producer that refused us for what we were is asked again soon. */
  #meaningOf(code: number): Ended {
    const isSpreading = this.#nowMs - (this.#selfChangedMs ?? this.#nowMs) < SPREADS_WITHIN_MS;
    return code === CLOSE.streamNotAllowed && isSpreading ? "early-refusal" : endedBy(code);
  }

  #decide(): void {
    for (const id of this.#leaving) this.#disconnect(id, "does not produce this stream any more");
    for (const id of this.#strangers) this.#effects.push({ type: "introduce", id });
    this.#leaving.clear();
    this.#strangers.clear();
    for (const source of this.#sources.values()) {
      source.review?.tick(this.#nowMs);
      this.#proceed(source);
    }
    this.#trim();
    this.#fill();
    this.#isDecided = true;
    this.#nextAtMs = this.#earliestMs();
  }

  /** Those with a place: on to the next phase, or out. */
  #proceed(source: Source): void {
    const nowMs = this.#nowMs;
    if (source.phase === "idle") return source.review?.rest();
    const objection = source.objection(nowMs);
    if (objection !== undefined) {
      if (source.isLinked) this.#drop(source, objection);
      else source.become("idle", nowMs);
    } else if (source.phase === "connecting" && nowMs >= source.sinceMs + ACCEPT_MS_MAX) {
      this.#disconnect(source.id, "did not admit us in time");
      this.#end(source, CLOSE.handshakeTimeout, "outage");
    } else if (source.phase === "validating" && source.isSettled(nowMs)) this.#connect(source);
    else this.#validate(source);
  }

  #trim(): void {
    const connected = [...this.#sources.values()].filter(({ phase }) => phase === "connected");
    for (let excess = connected.length - this.#max; excess > 0; excess -= 1) {
      const worst = worstOf(connected);
      if (worst === undefined) return;
      connected.splice(connected.indexOf(worst), 1);
      this.#drop(worst, "others are preferred");
    }
  }

  #fill(): void {
    const all = [...this.#sources.values()];
    const open = all.filter((source) => source.isOpen(this.#nowMs)).sort(compareRanks);
    const placed = all.filter(({ phase }) => phase !== "idle");
    const trying = placed.filter(({ phase }) => phase !== "connected");
    const slow = trying.filter(({ sinceMs }) => this.#nowMs >= sinceMs + SLOW_AFTER_MS);
    const free = Math.min(this.#max - placed.length, TRYING_MAX - (trying.length - slow.length));
    const started = open.splice(0, Math.max(0, free));
    for (const source of started) this.#start(source);

    const [next] = open;
    if (next === undefined || placed.length + started.length !== this.#max) return;
    if (slow.length > 0 || this.#isWorthAMove(next, placed)) this.#start(next);
  }

  #isWorthAMove(next: Source, placed: readonly Source[]): boolean {
    const worst = worstOf(placed.filter(({ phase }) => phase === "connected"));
    if (worst === undefined || this.#nowMs < worst.sinceMs + STAY_MS_MIN) return false;
    return isClearlyBetter(next.score, worst.score);
  }

  #start(source: Source): void {
    if (source.isSettled(this.#nowMs)) return this.#connect(source);
    source.become("validating", this.#nowMs);
    this.#validate(source);
  }

  #connect(source: Source): void {
    source.become("connecting", this.#nowMs);
    this.#effects.push({ type: "connect", id: source.id });
  }

  #validate({ id, review, candidate }: Source): void {
    if (!review?.isWanted(this.#nowMs)) return;
    review.ask(this.#nowMs);
    this.#effects.push({ type: "validate", id, candidate });
  }

  #drop(source: Source, reason: string): void {
    this.#disconnect(source.id, reason);
    source.lastCode = CLOSE.cancelled;
    source.become("idle", this.#nowMs);
    source.retry.onDropped(this.#nowMs);
  }

  #disconnect(id: PeerId, reason: string): void {
    this.#effects.push({ type: "disconnect", id, code: CLOSE.cancelled, reason });
  }

  #end(source: Source, code: number, ended: Ended): void {
    source.lastCode = code;
    source.become("idle", this.#nowMs);
    source.retry.onEnded(ended, this.#nowMs);
  }

  #earliestMs(): number | undefined {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const source of this.#sources.values()) {
      for (const atMs of this.#datesOf(source)) if (atMs > this.#nowMs) earliestMs = Math.min(earliestMs, atMs);
    }
    return earliestMs === Number.POSITIVE_INFINITY ? undefined : Math.min(earliestMs, this.#nowMs + LOOK_AGAIN_MS);
  }

  /** When something may be to do about it; some of these may be past. */
  #datesOf({ phase, sinceMs, fit, retry, review, measuredByMs }: Source): readonly number[] {
    const reviewMs = review?.nextAtMs ?? Number.POSITIVE_INFINITY;
    switch (phase) {
      case "idle":
        return fit === "fits" ? [retry.notBeforeMs, reviewMs] : [];
      case "validating":
        return [reviewMs, sinceMs + SLOW_AFTER_MS];
      case "connecting":
        return [reviewMs, measuredByMs, sinceMs + SLOW_AFTER_MS, sinceMs + ACCEPT_MS_MAX];
      case "connected":
        return [reviewMs, measuredByMs, sinceMs + STAY_MS_MIN];
    }
  }
}

/** The lowest score; of equal ones the latest, then the highest id. */
function worstOf(sources: readonly Source[]): Source | undefined {
  let worst: Source | undefined;
  for (const source of sources) {
    const isWorse =
      worst === undefined ||
      source.score < worst.score ||
      (source.score === worst.score &&
        (source.sinceMs > worst.sinceMs || (source.sinceMs === worst.sinceMs && source.id > worst.id)));
    if (isWorse) worst = source;
  }
  return worst;
}
