import { type Env, LIMITS, type Logger, Scope } from "../env/index.ts";
import { type Identity, type PeerId, UniqueId } from "../identity/index.ts";
import type { Endpoint, PeerAddress } from "../transport/index.ts";
import { CLOSE, DecodeError, type Link, type LinkClose } from "../wire/index.ts";
import { jitterMs } from "./backoff.ts";
import { Catalog, type Now } from "./catalog.ts";
import { newCounters } from "./counters.ts";
import { Dialer } from "./dialer.ts";
import { signDeparture } from "./entry.ts";
import { Exchange } from "./exchange.ts";
import { Introductions } from "./introductions.ts";
import { hasRoom, LinkTable, type LinkTableOwner, type Neighbour } from "./links.ts";
import { isSameContent, type LocalContent, type LocalEntry } from "./local.ts";
import { DISCOVERY_PROTOCOL, decodeOpening, encodeNews, encodeOpening, FRAME, type News } from "./messages.ts";
import type { KeyConflict } from "./own-key.ts";
import type { Settings } from "./settings.ts";
import { Sources } from "./sources.ts";
import type { DirectoryChange, PeerEntry } from "./types.ts";

/** Closing waits for peers no longer than this. */
const CLOSE_WAIT_MS = 800;
/** A new link is not asked to go: its peer may have no other yet. */
const SETTLED_MS = 2_000;

export interface DriverInit {
  readonly env: Env;
  readonly logger: Logger;
  readonly endpoint: Endpoint;
  readonly identity: Identity;
  readonly network: UniqueId;
  readonly local: LocalEntry;
  readonly bootstrap: readonly { readonly text: string; readonly address: PeerAddress }[];
  readonly settings: Settings;
  readonly onChange: (change: DirectoryChange) => void;
  /** Our own entry says something else. */
  readonly onSelfChange: () => void;
  /** A bug of ours, not a peer's fault. */
  readonly onFailure: (cause: unknown) => void;
}

/** The I/O around the catalog: links to neighbours, and the few timers that keep all catalogs alike. */
export class Driver implements LinkTableOwner {
  readonly catalog: Catalog;
  readonly links: LinkTable;
  readonly sources: Sources;
  readonly dialer: Dialer;
  readonly counters = newCounters();
  readonly #init: DriverInit;
  readonly #scope: Scope;
  readonly #exchange: Exchange;
  readonly #introductions: Introductions;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(init: DriverInit) {
    const { env, logger, settings } = init;
    this.#init = init;
    this.#scope = new Scope(env, init.onFailure);
    const scope = this.#scope;
    const selfId = init.identity.peerId;
    const nowMs = (): number => this.#now().monotonicMs;
    this.catalog = new Catalog({ network: init.network, selfId, expireAfterMs: settings.expireAfterMs });
    this.links = new LinkTable({ selfId, scope, owner: this, nowMs });
    this.#exchange = new Exchange({
      catalog: this.catalog,
      local: init.local,
      links: this.links,
      scope,
      logger,
      counters: this.counters,
      expireAfterMs: settings.expireAfterMs,
      now: () => this.#now(),
      onJoined: (entry) => this.#joined(entry),
      onChanged: (entry) => this.#changed(entry),
      onLeft: (entry) => this.#left(entry),
      onSuspected: (id) => this.dialer.onSuspected(id),
      onViolation: (link, cause) => {
        this.onViolation(link.remoteId, cause);
        void link.close(cause.closeCode, cause.message);
      },
      onProgress: () => this.dialer.fill(),
    });
    const shared = {
      env,
      scope,
      logger,
      dial: (address: PeerAddress) => this.dial(address, scope.signal),
      adopt: (link: Link) => this.adopt(link),
      isLinked: (id: PeerId) => this.links.get(id) !== undefined,
      entryOf: (id: PeerId) => this.catalog.get(id),
    };
    this.sources = new Sources({
      ...shared,
      addresses: init.bootstrap,
      isKnown: (id) => this.links.get(id) !== undefined || this.catalog.get(id) !== undefined,
      hasNeighbours: () => this.links.size > 0,
    });
    this.#introductions = new Introductions(shared);
    this.dialer = new Dialer({
      ...shared,
      selfId,
      nowMs,
      neighboursMax: settings.neighboursMax,
      unreachableAfterMs: settings.unreachableAfterMs,
      entries: () => this.catalog.entries(),
      linkCount: () => this.links.size,
      onSuspect: (id) => this.#exchange.suspect(id),
      onUnreachable: (id) => this.#onUnreachable(id),
    });
    this.#handle(init.endpoint);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Aborts when discovery closes. */
  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  /** Once the endpoint listens. */
  start(): void {
    const { endpoint, settings } = this.#init;
    this.changeLocal({ addresses: endpoint.addresses.slice(0, LIMITS.addressesMax) });
    this.sources.poke();
    // A new version of the same: proof of life for those who are not our neighbours.
    this.#repeat(settings.announceMs, () => this.changeLocal({}));
    this.#repeat(settings.antiEntropyMs, () => this.#compareWithOne());
    this.#scope.every(settings.sweepMs, () => this.#sweep());
  }

  /** One signed update, on its way to all neighbours at the end of the turn. @throws `too-large` */
  changeLocal(change: Partial<LocalContent>): void {
    const { local, onSelfChange } = this.#init;
    const before = local.entry;
    this.#exchange.changeLocal(change);
    if (!isSameContent(before, local.entry)) onSelfChange();
  }

  /** As `PeerDirectory.introduce`. */
  introduce(id: PeerId): void {
    this.#introductions.begin(id);
  }

  /** The link must be handed to `adopt` in the turn that it comes. */
  dial(address: PeerAddress, signal: AbortSignal): Promise<Link> {
    const payload = (): Uint8Array => encodeOpening(this.#now().wallMs);
    this.counters.dials += 1;
    return this.#init.endpoint.dial(address, DISCOVERY_PROTOCOL, { signal, payload });
  }

  /** Takes a link that is up, in that turn. */
  adopt(link: Link): void {
    if (!this.isClosed && this.#checkOpening(link)) {
      this.links.adopt(link);
      return;
    }
    link.start({ onFrame: () => {}, onClose: () => {} });
    void link.close(this.isClosed ? CLOSE.gracefulShutdown : CLOSE.protocolViolation, "not welcome");
  }

  /** Says goodbye and closes all links. Ends within a second, whatever the peers do. Idempotent. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  // ── What the links tell ──

  onUp(neighbour: Neighbour): void {
    const { id } = neighbour;
    this.counters.linksUp += 1;
    this.dialer.forget(id);
    this.sources.onLinked(id);
    this.#exchange.open(neighbour);
  }

  onDown(id: PeerId, close: LinkClose): void {
    this.counters.linksDown += 1;
    if (this.isClosed) return;
    this.#init.logger.debug({ peer: id, code: close.code, by: close.by }, "discovery link closed");
    const isMeant = isDeliberate(close);
    if (this.catalog.get(id) !== undefined) {
      if (isMeant) this.dialer.onParted(id);
      else this.dialer.onLost(id);
    }
    if (this.links.size === 0) {
      if (isMeant) this.sources.wait();
      else this.sources.hurry();
    }
    this.dialer.fill();
  }

  onFrame(link: Link, kind: number, payload: Uint8Array): void {
    if (this.isClosed) return;
    this.counters.framesReceived += 1;
    this.#exchange.onFrame(link, kind, payload);
    this.dialer.fill();
  }

  onViolation(from: PeerId, cause: DecodeError): void {
    this.counters.badFrames += 1;
    this.#init.logger.warn({ peer: from, problem: cause.message }, "a peer sent bytes that make no sense");
  }

  /** Another node with our key, if one was heard of lately. */
  get keyConflict(): KeyConflict | undefined {
    return this.#exchange.keyConflict;
  }

  newsOf(id: PeerId): News | undefined {
    return this.#exchange.newsOf(id);
  }

  // ── Timers ──

  #compareWithOne(): void {
    const neighbours = this.links.all();
    if (neighbours.length === 0) return;
    const chosen = neighbours[this.#init.env.random.below(neighbours.length)];
    if (chosen !== undefined) this.#exchange.compare(chosen);
  }

  #sweep(): void {
    this.#exchange.sweep();
    this.#shed();
    this.sources.poke();
    this.dialer.fill();
  }

  #repeat(baseMs: number, callback: () => void): void {
    this.#scope.after(jitterMs(this.#init.env.random, baseMs), () => {
      this.#repeat(baseMs, callback);
      callback();
    });
  }

  // ── Peers that come and go ──

  #joined(entry: PeerEntry): void {
    this.counters.peersJoined += 1;
    this.dialer.onJoined();
    this.#init.onChange({ type: "joined", entry });
  }

  #changed(entry: PeerEntry): void {
    this.dialer.onNews(entry.id);
    this.#init.onChange({ type: "changed", entry });
  }

  #left(entry: PeerEntry): void {
    this.counters.peersLeft += 1;
    this.dialer.forget(entry.id);
    this.#init.onChange({ type: "left", entry });
  }

  #onUnreachable(id: PeerId): void {
    const entry = this.catalog.silence(id, this.#now());
    if (entry !== undefined) this.#left(entry);
  }

  /** Above what is good for one node, some neighbours are asked to look elsewhere; a few at a time, so that they find others. */
  #shed(): void {
    const { env, settings } = this.#init;
    const all = this.links.all();
    const excess = all.length - settings.linksMax;
    if (excess <= 0) return;
    const nowMs = this.#now().monotonicMs;
    const settled = all.filter((neighbour) => nowMs - neighbour.upMs > SETTLED_MS);
    for (let left = Math.ceil(excess / 4); left > 0 && settled.length > 0; left -= 1) {
      const [chosen] = settled.splice(env.random.below(settled.length), 1);
      if (chosen !== undefined) void chosen.link.close(CLOSE.success, "enough neighbours");
    }
  }

  // ── Beginning and end ──

  #handle(endpoint: Endpoint): void {
    endpoint.handle(DISCOVERY_PROTOCOL, {
      frameBytesMax: LIMITS.discoveryFrameBytesMax,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: (hello) => {
        decodeOpening(hello.payload);
        if (this.isClosed) return { refuse: CLOSE.gracefulShutdown, reason: "this peer leaves the network" };
        if (!hasRoom(this.links)) return { refuse: CLOSE.overloaded, reason: "too many discovery links" };
        return { payload: encodeOpening(this.#now().wallMs) };
      },
      onLink: (link) => this.adopt(link),
    });
  }

  async #close(): Promise<void> {
    const { env, identity, network, local } = this.#init;
    const departure = signDeparture(network, local.entry.version.startMs, identity);
    const farewell = encodeNews([{ type: "departure", ageMs: 0, departure }]);
    this.links.flush();
    for (const { link } of this.links.all()) link.send(FRAME.news, farewell);
    const ended = Promise.all([
      this.links.close(CLOSE.gracefulShutdown, "this peer leaves the network"),
      this.#scope.close(),
    ]);
    await new Promise<void>((resolve, reject) => {
      const timer = env.after(CLOSE_WAIT_MS, () => {
        this.links.destroy();
        resolve();
      });
      ended.then(() => {
        timer.cancel();
        resolve();
      }, reject);
    });
  }

  /** A clock that is wrong by minutes makes entries be refused; people should hear why. False: its hello made no sense. */
  #checkOpening(link: Link): boolean {
    try {
      const aheadMs = decodeOpening(link.remotePayload).wallMs - this.#now().wallMs;
      if (Math.abs(aheadMs) <= LIMITS.clockDriftMsMax) return true;
      const fields = { peer: UniqueId.short(link.remoteId), aheadMs, allowedMs: LIMITS.clockDriftMsMax };
      this.#init.logger.warn(
        fields,
        "this peer's clock and ours differ too much: entries of the later one are refused",
      );
      return true;
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause;
      this.onViolation(link.remoteId, cause);
      return false;
    }
  }

  #now(): Now {
    const { clock } = this.#init.env;
    return { wallMs: clock.wallMs(), monotonicMs: Math.floor(clock.monotonicUs() / 1_000) };
  }
}

/** Closed for a reason, not broken: the peer is alive, and is not dialled again at once. */
function isDeliberate(close: LinkClose): boolean {
  const reasons: readonly number[] = [CLOSE.success, CLOSE.protocolViolation, CLOSE.overloaded, CLOSE.versionMismatch];
  return close.by !== "none" && reasons.includes(close.code);
}
