import { LIMITS, type Logger, type Scope, type Timer } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import type { DecodeError, Link } from "../wire/index.ts";
import type { Catalog, Now } from "./catalog.ts";
import type { DiscoveryCounters } from "./counters.ts";
import { type DigestRange, splitRanges } from "./digest.ts";
import { Gossip, type GossipEffect } from "./gossip.ts";
import { Intake } from "./intake.ts";
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
  type Suspicion,
} from "./messages.ts";
import { type KeyConflict, OwnKey } from "./own-key.ts";
import type { PeerEntry } from "./types.ts";
import { isNewer } from "./version.ts";

export interface ExchangeInit {
  readonly catalog: Catalog;
  readonly local: LocalEntry;
  readonly links: LinkTable;
  readonly scope: Scope;
  readonly logger: Logger;
  readonly counters: DiscoveryCounters;
  readonly expireAfterMs: number;
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

/** Between the links and the gossip: frames in, effects done. */
export class Exchange {
  readonly #init: ExchangeInit;
  readonly #catalog: Catalog;
  readonly #links: LinkTable;
  readonly #gossip: Gossip;
  readonly #intake: Intake;
  readonly #ownKey: OwnKey;
  #bidTimer: Timer | undefined;
  #hasToldYield = false;

  constructor(init: ExchangeInit) {
    const { catalog, local, counters, links, scope, now } = init;
    this.#init = init;
    this.#catalog = catalog;
    this.#links = links;
    this.#ownKey = new OwnKey(init.expireAfterMs);
    this.#gossip = new Gossip({ catalog, local, counters, isNeighbour: (id) => links.get(id) !== undefined });
    this.#intake = new Intake({
      scope,
      judge: (news) => this.#gossip.judge(news, now()),
      take: (from, news, verdict) => this.#apply(this.#gossip.take(from, news, verdict, now())),
      onViolation: init.onViolation,
      onProgress: init.onProgress,
    });
  }

  /** A new link: who we are, and, from one side, what we have. */
  open({ id, link }: Neighbour): void {
    this.#apply(this.#gossip.open(id, link.isInitiator));
  }

  /** Begins a comparison; both sides then have all that either had. */
  compare(neighbour: Neighbour): void {
    if (!neighbour.isBlocked) this.#apply([this.#gossip.compare(neighbour.id)]);
  }

  /** One signed update, on its way to all neighbours at the end of the turn. @throws `too-large` */
  changeLocal(change: Partial<LocalContent>): void {
    this.#apply(this.#gossip.change(change, this.#init.now()));
  }

  /** Every second or so. */
  sweep(): void {
    const neighbours = this.#links.all().map(({ id }) => id);
    this.#apply(this.#gossip.sweep(neighbours, this.#init.now()));
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
    else if (kind === FRAME.want) this.#onWant(link, decodeWant(payload));
    else if (kind === FRAME.suspect) this.#onSuspicion(link, decodeSuspicion(payload));
  }

  newsOf(id: PeerId): News | undefined {
    return this.#gossip.newsOf(id, this.#init.now());
  }

  /** Another node with our key, if one was heard of lately. */
  get keyConflict(): KeyConflict | undefined {
    return this.#ownKey.conflict(this.#init.now().monotonicMs);
  }

  #onDigest(link: Link, ranges: readonly DigestRange[]): void {
    // A peer that does not take what it asked for gets no more to choose from.
    if (this.#links.get(link.remoteId)?.isBlocked !== false) return;
    this.#apply(this.#gossip.onDigest(link.remoteId, ranges, this.#init.now()));
    this.#intake.answered(link, this.#catalog.ids().length);
  }

  #onWant(link: Link, ids: readonly PeerId[]): void {
    this.#apply(this.#gossip.onWant(link.remoteId, ids, this.#init.now()));
    this.#intake.answered(link, ids.length);
  }

  #onSuspicion(link: Link, { id, version }: Suspicion): void {
    this.#intake.answered(link, 1);
    const entry = this.#catalog.get(id);
    if (entry === undefined || this.#links.get(id) !== undefined) return;
    if (!isNewer(entry.version, version)) this.#init.onSuspected(id);
  }

  // ── Effects ──

  #apply(effects: readonly GossipEffect[]): void {
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: GossipEffect): void {
    const { logger, onJoined, onChanged, onLeft } = this.#init;
    switch (effect.type) {
      case "tell":
        return this.#links.tell(effect.to, effect.id);
      case "spread":
        return this.#links.spread(effect.id, effect.from);
      case "want":
        return this.#sendWant(effect.to, effect.ids);
      case "digest":
        return this.#sendDigest(effect.to, effect.ranges);
      case "joined":
        return onJoined(effect.entry);
      case "changed":
        return onChanged(effect.entry);
      case "left":
        return onLeft(effect.entry);
      case "rival":
        this.#ownKey.heard(effect.above, effect.addresses, this.#init.now().monotonicMs);
        return this.#bidInTime();
      case "refused":
        return logger.debug({ peer: effect.id, reason: effect.reason }, "news of a peer are refused");
      case "begun-anew":
        return logger.warn({ aheadMs: effect.aheadMs }, "the clock was set back; this peer announces itself anew");
      default:
        effect satisfies never;
    }
  }

  #sendWant(to: PeerId, ids: readonly PeerId[]): void {
    const link = this.#links.get(to)?.link;
    for (let first = 0; first < ids.length; first += LIMITS.frameEntriesMax) {
      link?.send(FRAME.want, encodeWant(ids.slice(first, first + LIMITS.frameEntriesMax)));
    }
  }

  #sendDigest(to: PeerId, ranges: readonly DigestRange[]): void {
    const link = this.#links.get(to)?.link;
    for (const message of splitRanges(ranges)) link?.send(FRAME.digest, encodeDigest(message));
  }

  #bidInTime(): void {
    const { scope, now } = this.#init;
    const waitMs = this.#ownKey.waitMs(now().monotonicMs);
    if (waitMs === undefined) return;
    this.#bidTimer?.cancel();
    this.#bidTimer = scope.after(waitMs, () => this.#bid());
    if (!this.#ownKey.hasYielded || this.#hasToldYield) return;
    this.#hasToldYield = true;
    this.#warn("duplicate identity: another node uses our key, and peers see it in our place");
  }

  #bid(): void {
    this.#warn("duplicate identity: another node, or an earlier life of this one, uses our key");
    this.#hasToldYield = false;
    const above = this.#ownKey.bid();
    if (above !== undefined) this.#apply(this.#gossip.raiseAbove(above, this.#init.now()));
  }

  #warn(text: string): void {
    const { logger, local } = this.#init;
    const fields = {
      peer: this.#catalog.selfId,
      theirs: this.keyConflict?.addresses ?? [],
      ours: local.entry.addresses,
    };
    logger.warn(fields, text);
  }
}
