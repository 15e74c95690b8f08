import { LIMITS, type Logger, type Scope } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import type { DecodeError, Link } from "../wire/index.ts";
import type { Catalog, MergeResult, Now, Rejection } from "./catalog.ts";
import type { DiscoveryCounters } from "./counters.ts";
import { answerDigest, type DigestRange, openDigest, splitRanges } from "./digest.ts";
import { checkDeparture, decodeSignedEntry, isKnownForm, peekEntry } from "./entry.ts";
import { Intake, type Verdict } from "./intake.ts";
import type { LinkTable, Neighbour } from "./links.ts";
import type { LocalContent, LocalEntry } from "./local.ts";
import {
  decodeDigest,
  decodeNews,
  decodeSuspicion,
  decodeWant,
  encodeDigest,
  encodeSuspicion,
  encodeWant,
  FRAME,
  type News,
  type RawNews,
  type Suspicion,
} from "./messages.ts";
import type { EntryVersion, PeerEntry, SignedEntry } from "./types.ts";
import { isNewer } from "./version.ts";

export interface ExchangeInit {
  readonly catalog: Catalog;
  readonly local: LocalEntry;
  readonly links: LinkTable;
  readonly scope: Scope;
  readonly logger: Logger;
  readonly counters: DiscoveryCounters;
  readonly now: () => Now;
  readonly onJoined: (entry: PeerEntry) => void;
  readonly onChanged: (entry: PeerEntry) => void;
  readonly onLeft: (entry: PeerEntry) => void;
  /** A neighbour cannot reach this peer any more, and we are not linked to it. */
  readonly onSuspected: (id: PeerId) => void;
  /** News that had to wait made no sense. */
  readonly onViolation: (link: Link, cause: DecodeError) => void;
  /** News that had to wait were taken. */
  readonly onProgress: () => void;
}

/**
 * What is said on a link: news, pushed to all other neighbours as soon as they are heard (flooding over the active view), and digests,
 * by which two catalogs find what a push missed.
 */
export class Exchange {
  readonly #init: ExchangeInit;
  readonly #catalog: Catalog;
  readonly #links: LinkTable;
  readonly #local: LocalEntry;
  readonly #counters: DiscoveryCounters;
  readonly #intake: Intake;
  #raises = 0;
  #isRaiseDue = false;

  constructor(init: ExchangeInit) {
    this.#init = init;
    this.#catalog = init.catalog;
    this.#links = init.links;
    this.#local = init.local;
    this.#counters = init.counters;
    this.#intake = new Intake({
      scope: init.scope,
      judge: (news) => this.#judge(news),
      take: (from, news, verdict) => this.#take(from, news, verdict),
      onViolation: init.onViolation,
      onProgress: init.onProgress,
    });
    init.catalog.setSelf(init.local.signed);
  }

  /** A new link: who we are, and, from one side, what we have. */
  open(neighbour: Neighbour): void {
    this.#links.queue(this.#catalog.selfId, [neighbour]);
    if (neighbour.link.isInitiator) this.compare(neighbour);
  }

  /** Begins a comparison; both sides then have all that either had. */
  compare(neighbour: Neighbour): void {
    if (!neighbour.isBlocked) this.#sendDigest(neighbour, openDigest(this.#catalog));
  }

  /** One signed update, on its way to all neighbours at the end of the turn. @throws `too-large` */
  changeLocal(change: Partial<LocalContent>): void {
    this.#tellLocal(this.#local.change(this.#init.now().wallMs, change));
  }

  /** Asks all neighbours to look for a peer that we cannot reach any more. */
  suspect(id: PeerId): void {
    const entry = this.#catalog.get(id);
    if (entry === undefined) return;
    const payload = encodeSuspicion({ id, version: entry.version });
    for (const { link } of this.#links.all()) link.send(FRAME.suspect, payload);
  }

  /** @throws DecodeError */
  onFrame(link: Link, kind: number, payload: Uint8Array): void {
    if (kind === FRAME.news) this.#intake.push(link, decodeNews(payload, this.#catalog.network));
    else if (kind === FRAME.digest) this.#onDigest(link, decodeDigest(payload));
    else if (kind === FRAME.want) this.#onWant(link.remoteId, decodeWant(payload));
    else if (kind === FRAME.suspect) this.#onSuspicion(decodeSuspicion(payload));
  }

  newsOf(id: PeerId): News | undefined {
    if (id === this.#catalog.selfId) return { type: "entry", ageMs: 0, signed: this.#local.signed };
    const record = this.#catalog.record(id);
    if (record === undefined || record.state === "silenced") return undefined;
    const silentMs = this.#catalog.ageMs(record, this.#init.now());
    if (record.state === "departed") return { type: "departure", ageMs: silentMs, departure: record.departure };
    // A neighbour is alive now.
    const ageMs = this.#links.get(id) === undefined ? silentMs : 0;
    return { type: "entry", ageMs, signed: record.signed };
  }

  /** Links whose news wait. */
  get waiting(): number {
    return this.#intake.waiting;
  }

  #judge(news: RawNews): Verdict {
    const now = this.#init.now();
    if (news.type === "departure") {
      return this.#catalog.judgeDeparture(news.departure.id, news.departure.startMs, news.ageMs, now);
    }
    if (!isKnownForm(news.bytes)) return "skipped";
    const { id, version } = peekEntry(news.bytes);
    return this.#catalog.judge(id, version, news.signature, news.ageMs, now);
  }

  #take(from: PeerId, news: RawNews, verdict: Verdict): void {
    if (verdict === "skipped") this.#counters.entriesSkipped += 1;
    else if (verdict !== "news" && verdict !== "self") this.#refuse(from, news, verdict);
    else if (news.type === "entry") this.#onEntry(from, news);
    else this.#onDeparture(from, news);
  }

  #refuse(from: PeerId, news: RawNews, reason: Rejection): void {
    const { id } = news.type === "entry" ? peekEntry(news.bytes) : news.departure;
    if (reason === "stale" || reason === "clock-drift") {
      this.#counters.entriesRejected += 1;
      if (reason === "clock-drift")
        this.#init.logger.debug({ peer: id }, "a peer whose clock is too far ahead is refused");
      return;
    }
    this.#counters.entriesKnown += 1;
    if (reason === "known") this.#catalog.hearAgain(id, news.ageMs, this.#init.now());
    else this.#correct(from, id);
  }

  #onEntry(from: PeerId, news: Extract<RawNews, { type: "entry" }>): void {
    const signed = decodeSignedEntry(news.bytes, news.signature, this.#catalog.network);
    this.#counters.entriesVerified += 1;
    const isPinned = (other: PeerId): boolean => this.#links.get(other) !== undefined;
    const result = this.#catalog.merge(signed, news.ageMs, this.#init.now(), isPinned);
    this.#onMerged(from, signed.entry.id, result, signed);
  }

  #onDeparture(from: PeerId, news: Extract<RawNews, { type: "departure" }>): void {
    const departure = checkDeparture(news.departure);
    const { id, startMs } = departure;
    const result = this.#catalog.mergeDeparture(departure, news.ageMs, this.#init.now());
    // An earlier life of ours said goodbye, with a clock ahead of this one's.
    if (id === this.#catalog.selfId) this.#raise({ startMs, updateMs: Number.MAX_SAFE_INTEGER }, []);
    else this.#onMerged(from, id, result, undefined);
  }

  #onMerged(from: PeerId, id: PeerId, result: MergeResult, signed: SignedEntry | undefined): void {
    if (result.type === "rejected") {
      this.#counters.entriesRejected += 1;
      if (result.reason === "self" && signed !== undefined) this.#raise(signed.entry.version, signed.entry.addresses);
      return;
    }
    const others = this.#links.all().filter((neighbour) => neighbour.id !== from);
    this.#links.queue(id, others);
    if (result.type === "new") {
      if (result.evicted !== undefined) this.#init.onLeft(result.evicted);
      this.#init.onJoined(result.entry);
    } else if (result.type === "updated") this.#init.onChanged(result.entry);
    else if (result.type === "left") this.#init.onLeft(result.entry);
  }

  /** The sender holds something that ours wins over: it should hear from us. */
  #correct(from: PeerId, id: PeerId): void {
    const neighbour = this.#links.get(from);
    if (neighbour === undefined || this.newsOf(id) === undefined) return;
    // The peer itself, restarted with a clock behind, must hear it too: `queue` would leave it out.
    neighbour.pending.add(id);
    this.#links.queue(id, []);
  }

  #onDigest(link: Link, ranges: readonly DigestRange[]): void {
    const neighbour = this.#links.get(link.remoteId);
    // A peer that does not take what it asked for gets no more to choose from.
    if (neighbour === undefined || neighbour.isBlocked) return;
    this.#counters.digests += 1;
    const answer = answerDigest(this.#catalog, ranges, this.#init.now());
    for (const id of answer.give) this.#links.queue(id, [neighbour]);
    for (let first = 0; first < answer.want.length; first += LIMITS.frameEntriesMax) {
      neighbour.link.send(FRAME.want, encodeWant(answer.want.slice(first, first + LIMITS.frameEntriesMax)));
    }
    this.#sendDigest(neighbour, answer.ranges);
    this.#intake.compared(link, this.#catalog.size + this.#catalog.tombstones + 1);
  }

  #onWant(from: PeerId, ids: readonly PeerId[]): void {
    const neighbour = this.#links.get(from);
    if (neighbour === undefined) return;
    // Only what there is to give: names that mean nothing here would pile up for a peer that does not read.
    for (const id of ids) if (this.newsOf(id) !== undefined) this.#links.queue(id, [neighbour]);
  }

  /**
   * Our key has signed something later than what we say: another node has it too, or an earlier life of ours had a clock ahead of this
   * one's. Ours wins. Two nodes with one key would outbid each other for ever, so each new bid waits longer.
   */
  #raise(above: EntryVersion, addresses: readonly string[]): void {
    this.#counters.identityConflicts += 1;
    if (this.#isRaiseDue) return;
    this.#isRaiseDue = true;
    const { scope, logger, now } = this.#init;
    const fields = { peer: this.#catalog.selfId, theirs: addresses, ours: this.#local.entry.addresses };
    logger.warn(fields, "duplicate identity: another node, or an earlier life of this one, uses our key");
    const delayMs = this.#raises === 0 ? 0 : Math.min(60_000, 1_000 * 2 ** Math.min(10, this.#raises));
    this.#raises += 1;
    scope.after(delayMs, () => {
      this.#isRaiseDue = false;
      this.#tellLocal(this.#local.raiseAbove(above, now().wallMs));
    });
  }

  #onSuspicion({ id, version }: Suspicion): void {
    const entry = this.#catalog.get(id);
    if (entry === undefined || this.#links.get(id) !== undefined) return;
    if (!isNewer(entry.version, version)) this.#init.onSuspected(id);
  }

  #tellLocal(signed: SignedEntry): void {
    this.#catalog.setSelf(signed);
    this.#links.queue(this.#catalog.selfId, this.#links.all());
  }

  #sendDigest(to: Neighbour, ranges: readonly DigestRange[]): void {
    for (const message of splitRanges(ranges)) to.link.send(FRAME.digest, encodeDigest(message));
  }
}
