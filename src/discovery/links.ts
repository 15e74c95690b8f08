import { Buffer } from "node:buffer";
import { LIMITS, type Scope } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { CLOSE, DecodeError, type Link, type LinkClose } from "../wire/index.ts";
import { encodeNews, FRAME, type News, newsBytes } from "./messages.ts";

/** News leave in frames of about this size, so that a slow peer is noticed early and none is blocked for long by a large one. */
const NEWS_FRAME_BYTES = 64 * 1024;
const NEWS_FRAME_ITEMS = 64;
/** How long a link that lost against another one of its pair is still listened to: its peer may have sent on it. */
const RETIRED_MS = 500;
/** A link of this age gives way to a newer one from the same side: it is probably dead on the other. */
const SETTLED_MS = 2_000;

/** An open link to a peer, and what it is still to be told. */
export class Neighbour {
  readonly link: Link;
  readonly upMs: number;
  /** Whose news it gets next. A set: however often a peer changes meanwhile, only its newest entry is sent. */
  readonly pending = new Set<PeerId>();
  isBlocked = false;

  constructor(link: Link, upMs: number) {
    this.link = link;
    this.upMs = upMs;
  }

  get id(): PeerId {
    return this.link.remoteId;
  }
}

export interface LinkTableOwner {
  /** The newest word on a peer, if there is one to pass on. */
  newsOf(id: PeerId): News | undefined;
  onUp(neighbour: Neighbour): void;
  /** The last link to this peer is gone. */
  onDown(id: PeerId, close: LinkClose): void;
  /** @throws DecodeError which closes that link */
  onFrame(link: Link, kind: number, payload: Uint8Array): void;
  /** The frame made no sense; its link closes. */
  onViolation(from: PeerId, cause: DecodeError): void;
}

/** One link a pair, whoever dialled; and news sent in batches, at the pace of each peer. */
export class LinkTable {
  readonly #selfId: PeerId;
  readonly #scope: Scope;
  readonly #owner: LinkTableOwner;
  readonly #nowMs: () => number;
  readonly #neighbours = new Map<PeerId, Neighbour>();
  readonly #retired = new Set<Link>();
  #isFlushDue = false;

  constructor(init: { selfId: PeerId; scope: Scope; owner: LinkTableOwner; nowMs: () => number }) {
    this.#selfId = init.selfId;
    this.#scope = init.scope;
    this.#owner = init.owner;
    this.#nowMs = init.nowMs;
  }

  get size(): number {
    return this.#neighbours.size;
  }

  get(id: PeerId): Neighbour | undefined {
    return this.#neighbours.get(id);
  }

  /** By id. */
  all(): readonly Neighbour[] {
    return [...this.#neighbours.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Takes a link that is up, from either side. Starts it in this turn. */
  adopt(link: Link): void {
    const neighbour = new Neighbour(link, this.#nowMs());
    const existing = this.#neighbours.get(link.remoteId);
    const isKept = existing === undefined || !existing.link.isOpen || this.#prefers(link, existing);
    if (isKept) this.#neighbours.set(link.remoteId, neighbour);
    this.#start(neighbour);
    if (!isKept) this.#retire(link);
    else {
      if (existing !== undefined) this.#retire(existing.link);
      this.#owner.onUp(neighbour);
    }
  }

  /** Puts a peer's newest word on the way to one neighbour, be it about that neighbour itself. */
  tell(to: PeerId, id: PeerId): void {
    const neighbour = this.#neighbours.get(to);
    if (neighbour === undefined) return;
    neighbour.pending.add(id);
    this.#flushSoon();
  }

  /** And to all neighbours but the peer itself, and the one that it came from. */
  spread(id: PeerId, from: PeerId | undefined): void {
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.id !== id && neighbour.id !== from) neighbour.pending.add(id);
    }
    this.#flushSoon();
  }

  /** Sends now what waits, as far as each link takes it. */
  flush(): void {
    for (const neighbour of this.all()) this.#flushOne(neighbour);
  }

  /** Closes all, flushed; resolves when all are closed. */
  async close(code: number, reason: string): Promise<void> {
    const links = [...this.all().map((neighbour) => neighbour.link), ...this.#retired];
    await Promise.all(links.map((link) => link.close(code, reason)));
  }

  destroy(): void {
    for (const { link } of this.all()) link.destroy();
    for (const link of this.#retired) link.destroy();
  }

  /**
   * Both ends must choose alike, whatever order the links came up in: the one dialled by the lower id. Two from the same side: by key
   * material that both ends share, unless one is old, and so is probably broken on the side that dialled again.
   */
  #prefers(link: Link, existing: Neighbour): boolean {
    if (link.isInitiator !== existing.link.isInitiator) return link.isInitiator === this.#selfId < link.remoteId;
    if (this.#nowMs() - existing.upMs > SETTLED_MS) return true;
    return Buffer.compare(tieBreak(link), tieBreak(existing.link)) > 0;
  }

  #start(neighbour: Neighbour): void {
    const { link } = neighbour;
    link.start({
      onFrame: (kind, payload) => {
        try {
          this.#owner.onFrame(link, kind, payload);
        } catch (cause) {
          if (cause instanceof DecodeError) this.#owner.onViolation(link.remoteId, cause);
          throw cause;
        }
      },
      onDrain: () => {
        neighbour.isBlocked = false;
        this.#flushOne(neighbour);
      },
      onClose: (close) => {
        this.#retired.delete(link);
        if (this.#neighbours.get(link.remoteId) !== neighbour) return;
        this.#neighbours.delete(link.remoteId);
        this.#owner.onDown(link.remoteId, close);
      },
    });
  }

  #retire(link: Link): void {
    if (!link.isOpen) return;
    this.#retired.add(link);
    this.#scope.after(RETIRED_MS, () => void link.close(CLOSE.success, "another link of this pair is kept"));
  }

  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    // After the input that waits now: what comes in one go leaves in one frame.
    this.#scope.after(0, () => {
      this.#isFlushDue = false;
      this.flush();
    });
  }

  #flushOne(neighbour: Neighbour): void {
    const { link, pending } = neighbour;
    while (pending.size > 0 && !neighbour.isBlocked && link.isOpen) {
      const batch: News[] = [];
      let bytes = 0;
      for (const id of [...pending].slice(0, NEWS_FRAME_ITEMS).sort()) {
        const news = this.#owner.newsOf(id);
        const size = news === undefined ? 0 : newsBytes(news);
        if (batch.length > 0 && bytes + size > NEWS_FRAME_BYTES) break;
        pending.delete(id);
        bytes += size;
        if (news !== undefined) batch.push(news);
      }
      if (batch.length > 0) neighbour.isBlocked = !link.send(FRAME.news, encodeNews(batch));
    }
  }
}

function tieBreak(link: Link): Uint8Array {
  return link.exportKey("mosaik/discovery/settle", new Uint8Array(0), 16);
}

/** Room for one more, whoever asks. */
export function hasRoom(table: LinkTable): boolean {
  return table.size < LIMITS.discoveryLinksMax;
}
