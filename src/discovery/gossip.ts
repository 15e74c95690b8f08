import type { PeerId } from "../identity/index.ts";
import type { Catalog, MergeResult, Now, Rejection } from "./catalog.ts";
import type { DiscoveryCounters } from "./counters.ts";
import { answerDigest, type DigestRange, openDigest } from "./digest.ts";
import { checkDeparture, decodeSignedEntry, isKnownForm, peekEntry } from "./entry.ts";
import type { LocalContent, LocalEntry } from "./local.ts";
import type { News, RawNews } from "./messages.ts";
import type { EntryVersion, PeerEntry, SignedEntry } from "./types.ts";

/** What news would come to, if their signature holds. `skipped`: of a form that we do not read. */
export type Verdict = "news" | "skipped" | Rejection;

/** What the driver is to do, in this order. */
export type GossipEffect =
  /** Our newest word on this peer is for that neighbour. */
  | { readonly type: "tell"; readonly to: PeerId; readonly id: PeerId }
  /** And for all neighbours but the one that it came from. */
  | { readonly type: "spread"; readonly id: PeerId; readonly from: PeerId | undefined }
  | { readonly type: "want"; readonly to: PeerId; readonly ids: readonly PeerId[] }
  | { readonly type: "digest"; readonly to: PeerId; readonly ranges: readonly DigestRange[] }
  | { readonly type: "joined" | "changed" | "left"; readonly entry: PeerEntry }
  /** Our key has signed something later than what we say. `addresses` undefined: a goodbye. */
  | { readonly type: "rival"; readonly above: EntryVersion; readonly addresses: readonly string[] | undefined }
  | { readonly type: "refused"; readonly id: PeerId; readonly reason: Rejection }
  /** Our clock was set back, so we began anew. */
  | { readonly type: "begun-anew"; readonly aheadMs: number };

export interface GossipInit {
  readonly catalog: Catalog;
  readonly local: LocalEntry;
  readonly counters: DiscoveryCounters;
  readonly isNeighbour: (id: PeerId) => boolean;
  /** Reads and proves. Default: `decodeSignedEntry`, `checkDeparture`. */
  readonly prove?: { readonly entry: typeof decodeSignedEntry; readonly departure: typeof checkDeparture };
}

/**
 * What neighbours tell each other, and what becomes of it: news, spread to all other neighbours as soon as they are heard (flooding over the
 * active view), and digests, by which two catalogs find what was missed. Pure: no link, no timer, no clock. What it needs comes in with each
 * call, what it wants done goes out as effects; so it runs alike over links and in a simulation that loses messages.
 */
export class Gossip {
  readonly #init: GossipInit;
  readonly #catalog: Catalog;
  readonly #local: LocalEntry;
  readonly #counters: DiscoveryCounters;
  readonly #prove: NonNullable<GossipInit["prove"]>;
  /** The start of the life that each neighbour told of itself over its link: a link is a sign of that life, and of no former one. */
  readonly #linkedLives = new Map<PeerId, number>();

  constructor(init: GossipInit) {
    this.#init = init;
    this.#catalog = init.catalog;
    this.#local = init.local;
    this.#counters = init.counters;
    this.#prove = init.prove ?? { entry: decodeSignedEntry, departure: checkDeparture };
    init.catalog.setSelf(init.local.signed);
  }

  // ── A link ──

  /** A new link: who we are, and, from one side, what we have. */
  open(to: PeerId, isInitiator: boolean): GossipEffect[] {
    this.#catalog.unsilence(to);
    this.#linkedLives.delete(to);
    const hello: GossipEffect = { type: "tell", to, id: this.#catalog.selfId };
    return isInitiator ? [hello, this.compare(to)] : [hello];
  }

  /** Begins a comparison; both sides then have all that either had. */
  compare(to: PeerId): GossipEffect {
    return { type: "digest", to, ranges: openDigest(this.#catalog) };
  }

  /** The newest word on a peer, if there is one to pass on. */
  newsOf(id: PeerId, now: Now): News | undefined {
    if (id === this.#catalog.selfId) return { type: "entry", ageMs: 0, signed: this.#local.signed };
    const record = this.#catalog.record(id);
    if (record === undefined || record.state === "silenced") return undefined;
    const silentMs = this.#catalog.ageMs(record, now);
    if (record.state === "departed") return { type: "departure", ageMs: silentMs, departure: record.departure };
    return { type: "entry", ageMs: this.#isLinkedTo(record.signed) ? 0 : silentMs, signed: record.signed };
  }

  onDigest(from: PeerId, ranges: readonly DigestRange[], now: Now): GossipEffect[] {
    this.#counters.digests += 1;
    const answer = answerDigest(this.#catalog, ranges, now);
    const effects: GossipEffect[] = answer.give.map((id) => ({ type: "tell", to: from, id }));
    if (answer.want.length > 0) effects.push({ type: "want", to: from, ids: answer.want });
    if (answer.ranges.length > 0) effects.push({ type: "digest", to: from, ranges: answer.ranges });
    return effects;
  }

  /** Only what there is to give: names that mean nothing here would pile up for a peer that does not read. */
  onWant(from: PeerId, ids: readonly PeerId[], now: Now): GossipEffect[] {
    return ids.flatMap((id) => (this.newsOf(id, now) === undefined ? [] : [{ type: "tell", to: from, id }]));
  }

  // ── News ──

  /** Cheap: no signature is verified. @throws DecodeError */
  judge(news: RawNews, now: Now): Verdict {
    if (news.type === "departure") {
      return this.#catalog.judgeDeparture(news.departure.id, news.departure.startMs, news.ageMs, now);
    }
    if (!isKnownForm(news.bytes)) return "skipped";
    const { id, version } = peekEntry(news.bytes);
    return this.#catalog.judge(id, version, news.signature, news.ageMs, now);
  }

  /** Verifies what is `news`, or about ourselves, and nothing else. @throws DecodeError */
  take(from: PeerId, news: RawNews, verdict: Verdict, now: Now): GossipEffect[] {
    if (news.type === "entry" && verdict !== "skipped") this.#noteLife(from, news.bytes);
    if (verdict === "news" || verdict === "self") {
      return news.type === "entry" ? this.#onEntry(from, news, now) : this.#onDeparture(from, news, now);
    }
    if (verdict !== "skipped") return this.#refuse(from, news, verdict, now);
    this.#counters.entriesSkipped += 1;
    return [];
  }

  #onEntry(from: PeerId, news: Extract<RawNews, { type: "entry" }>, now: Now): GossipEffect[] {
    const signed = this.#prove.entry(news.bytes, news.signature, this.#catalog.network);
    this.#counters.entriesVerified += 1;
    const result = this.#catalog.merge(signed, news.ageMs, now, this.#init.isNeighbour);
    return this.#merged(from, signed.entry.id, result, signed);
  }

  #onDeparture(from: PeerId, news: Extract<RawNews, { type: "departure" }>, now: Now): GossipEffect[] {
    const departure = this.#prove.departure(news.departure);
    const { id, startMs } = departure;
    if (id !== this.#catalog.selfId) {
      return this.#merged(from, id, this.#catalog.mergeDeparture(departure, news.ageMs, now), undefined);
    }
    // An earlier life of ours said goodbye, with a clock ahead of this one's; or another node with our key did.
    return [this.#rival({ startMs, updateMs: Number.MAX_SAFE_INTEGER }, undefined)];
  }

  #merged(from: PeerId, id: PeerId, result: MergeResult, signed: SignedEntry | undefined): GossipEffect[] {
    switch (result.type) {
      case "rejected":
        this.#counters.entriesRejected += 1;
        if (result.reason !== "self" || signed === undefined) return [{ type: "refused", id, reason: result.reason }];
        return [this.#rival(signed.entry.version, signed.entry.addresses)];
      case "noted":
        return [{ type: "spread", id, from }];
      case "new": {
        const effects: GossipEffect[] = [{ type: "spread", id, from }];
        if (result.evicted !== undefined) effects.push({ type: "left", entry: result.evicted });
        return [...effects, { type: "joined", entry: result.entry }];
      }
      case "updated":
        return [
          { type: "spread", id, from },
          { type: "changed", entry: result.entry },
        ];
      case "left":
        return [
          { type: "spread", id, from },
          { type: "left", entry: result.entry },
        ];
    }
  }

  #refuse(from: PeerId, news: RawNews, reason: Rejection, now: Now): GossipEffect[] {
    const { id } = news.type === "entry" ? peekEntry(news.bytes) : news.departure;
    if (reason === "stale" || reason === "clock-drift") {
      this.#counters.entriesRejected += 1;
      return [{ type: "refused", id, reason }];
    }
    this.#counters.entriesKnown += 1;
    if (reason === "known") this.#catalog.hearAgain(id, news.ageMs, now);
    // The sender holds something that ours wins over: it should hear from us. So should the peer itself, restarted with a clock behind.
    else if (this.newsOf(id, now) !== undefined) return [{ type: "tell", to: from, id }];
    return [];
  }

  #rival(above: EntryVersion, addresses: readonly string[] | undefined): GossipEffect {
    this.#counters.identityConflicts += 1;
    return { type: "rival", above, addresses };
  }

  /** Also of an entry that is refused: the link is its word already, and says that the life before it is over. */
  #noteLife(from: PeerId, bytes: Uint8Array): void {
    const { id, version } = peekEntry(bytes);
    if (id === from && this.#init.isNeighbour(id)) this.#linkedLives.set(id, version.startMs);
  }

  /** Is that life at the other end of a link now? */
  #isLinkedTo({ entry }: SignedEntry): boolean {
    return this.#init.isNeighbour(entry.id) && this.#linkedLives.get(entry.id) === entry.version.startMs;
  }

  // ── Ourselves, and time ──

  /** One signed update. @throws `too-large` */
  change(content: Partial<LocalContent>, now: Now): GossipEffect[] {
    return this.#spreadSelf(this.#local.change(now.wallMs, content));
  }

  /** A later life than another one of our key. */
  raiseAbove(other: EntryVersion, now: Now): GossipEffect[] {
    return this.#spreadSelf(this.#local.raiseAbove(other, now.wallMs));
  }

  /** Neighbours are alive; what was silent for too long goes; and our own entry follows our clock. To be called every second or so. */
  sweep(neighbours: readonly PeerId[], now: Now): GossipEffect[] {
    const aheadMs = this.#local.aheadMs(now.wallMs);
    const effects: GossipEffect[] = [];
    if (aheadMs > 0) {
      effects.push({ type: "begun-anew", aheadMs }, ...this.#spreadSelf(this.#local.beginAnew(now.wallMs)));
    }
    for (const id of this.#linkedLives.keys()) if (!this.#init.isNeighbour(id)) this.#linkedLives.delete(id);
    for (const id of neighbours) {
      const record = this.#catalog.record(id);
      if (record?.state === "live" && this.#isLinkedTo(record.signed)) this.#catalog.touch(id, now);
    }
    for (const entry of this.#catalog.expire(now)) effects.push({ type: "left", entry });
    return effects;
  }

  #spreadSelf(signed: SignedEntry): GossipEffect[] {
    this.#catalog.setSelf(signed);
    return [{ type: "spread", id: this.#catalog.selfId, from: undefined }];
  }
}
