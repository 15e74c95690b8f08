import { Buffer } from "node:buffer";
import { assert, LIMITS } from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import { SortedIds } from "./sorted.ts";
import type { Departure, EntryVersion, PeerEntry, SignedEntry } from "./types.ts";
import { compareVersions, isNewer } from "./version.ts";

/** Both clocks of the moment: `wallMs` judges what peers claim, `monotonicMs` measures silence. */
export interface Now {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export interface CatalogOptions {
  readonly network: UniqueId;
  readonly selfId: PeerId;
  /** Without a sign of life for this long an entry goes. Default 300,000. */
  readonly expireAfterMs?: number;
  readonly entriesMax?: number;
  readonly tombstonesMax?: number;
}

/**
 * What we know of one peer. The states are ordered, per peer, by (start, update), where a departure counts as the last update of its
 * life; the greater one wins. So merging is commutative, associative and idempotent, and all catalogs that heard the same agree.
 */
export type CatalogRecord =
  | { readonly state: "live"; readonly signed: SignedEntry; readonly aliveMs: number; readonly heardMs: number }
  /** Said by the peer itself. */
  | { readonly state: "departed"; readonly departure: Departure; readonly sinceMs: number; readonly heardMs: number }
  /** Our own verdict (expired, or out of reach): no news up to this version brings it back. Never passed on. */
  | { readonly state: "silenced"; readonly version: EntryVersion; readonly sinceMs: number };

/**
 * `known`: nothing new. `older`: we have newer. Both of them, and `departed`, may mean that the sender should hear from us. `self`: our
 * own key says something later than we do.
 */
export type Rejection =
  | "known"
  | "older"
  | "departed"
  | "silenced"
  | "clock-drift"
  | "stale"
  | "full"
  | "self"
  | "network";

export type MergeResult =
  | { readonly type: "new"; readonly entry: PeerEntry; readonly evicted: PeerEntry | undefined }
  | { readonly type: "updated"; readonly entry: PeerEntry }
  | { readonly type: "left"; readonly entry: PeerEntry }
  /** A departure of somebody that we did not list: worth passing on. */
  | { readonly type: "noted" }
  | { readonly type: "rejected"; readonly reason: Rejection };

const rejected = (reason: Rejection): MergeResult => ({ type: "rejected", reason });

/** All peers of the network, as far as we have heard. Pure: no clock, no randomness, no I/O. */
export class Catalog {
  readonly network: UniqueId;
  readonly selfId: PeerId;
  readonly #expireAfterMs: number;
  readonly #entriesMax: number;
  readonly #tombstonesMax: number;
  readonly #records = new Map<PeerId, CatalogRecord>();
  /** Of all records, so that ranges of the digest are cheap. */
  readonly #ids = new SortedIds();
  #self: SignedEntry | undefined;
  #liveCount = 0;
  #sorted: readonly PeerEntry[] | undefined;

  constructor(options: CatalogOptions) {
    this.network = options.network;
    this.selfId = options.selfId;
    this.#expireAfterMs = options.expireAfterMs ?? 300_000;
    this.#entriesMax = options.entriesMax ?? LIMITS.catalogEntriesMax;
    this.#tombstonesMax = options.tombstonesMax ?? LIMITS.tombstonesMax;
    assert(
      this.#expireAfterMs > 0 && this.#entriesMax > 0 && this.#tombstonesMax > 0,
      "limits of a catalog are positive",
    );
  }

  /** Our own entry; it is part of the digest, and of nothing else here. */
  setSelf(signed: SignedEntry): void {
    assert(signed.entry.id === this.selfId, "our own entry");
    this.#self = signed;
    this.#ids.add(this.selfId);
  }

  get self(): SignedEntry | undefined {
    return this.#self;
  }

  /** The others that are listed. */
  get size(): number {
    return this.#liveCount;
  }

  get tombstones(): number {
    return this.#records.size - this.#liveCount;
  }

  get(id: PeerId): PeerEntry | undefined {
    const record = this.#records.get(id);
    return record?.state === "live" ? record.signed.entry : undefined;
  }

  record(id: PeerId): CatalogRecord | undefined {
    return this.#records.get(id);
  }

  /** The others, by id. The same array until something changes. */
  entries(): readonly PeerEntry[] {
    this.#sorted ??= this.#ids.all().flatMap((id) => this.get(id) ?? []);
    return this.#sorted;
  }

  /** Of which anything is known, our own included. Sorted. */
  ids(): readonly PeerId[] {
    return this.#ids.all();
  }

  /** Ids with `after` < id <= `upTo` of which anything is known, our own included. Sorted. */
  idsBetween(after: UniqueId, upTo: UniqueId): readonly PeerId[] {
    return this.#ids.between(after, upTo);
  }

  /**
   * What an entry of this version would come to. Cheap: asked before its signature is verified.
   *
   * @param ageMs - since the peer's last sign of life, as the sender counts: so that an entry that is handed on and on ends all the same
   * @returns `self`: later than what we say ourselves
   */
  judge(id: PeerId, version: EntryVersion, signature: Uint8Array, ageMs: number, now: Now): "news" | Rejection {
    if (isBeyond(version, now)) return "clock-drift";
    if (id === this.selfId) {
      const order = this.#self === undefined ? 1 : compareToSigned(version, signature, this.#self);
      return order > 0 ? "self" : order === 0 ? "known" : "older";
    }
    const record = this.#records.get(id);
    const order = record === undefined ? 1 : compareToRecord(version, signature, record);
    if (order > 0) return ageMs >= this.#expireAfterMs ? "stale" : "news";
    if (record !== undefined && record.state !== "live") return record.state;
    return order === 0 ? "known" : "older";
  }

  /**
   * The same for a departure.
   *
   * @param ageMs - since then, as the sender counts
   */
  judgeDeparture(id: PeerId, startMs: number, ageMs: number, now: Now): "news" | Rejection {
    if (isBeyond({ startMs, updateMs: 0 }, now)) return "clock-drift";
    if (id === this.selfId) return startMs >= (this.#self?.entry.version.startMs ?? 0) ? "self" : "older";
    const record = this.#records.get(id);
    if (record?.state === "departed" && record.departure.startMs >= startMs) return "known";
    if (record?.state === "live" && record.signed.entry.version.startMs > startMs) return "older";
    if (record?.state === "silenced" && record.version.startMs > startMs) return "older";
    return ageMs >= this.#tombstoneMs ? "stale" : "news";
  }

  /**
   * @param ageMs - as in `judge`
   * @param isPinned - never evicted (neighbours)
   */
  merge(signed: SignedEntry, ageMs: number, now: Now, isPinned: (id: PeerId) => boolean = () => false): MergeResult {
    const { entry } = signed;
    if (entry.network !== this.network) return rejected("network");
    const verdict = this.judge(entry.id, entry.version, signed.signature, ageMs, now);
    if (verdict !== "news") return rejected(verdict);

    const aliveMs = now.monotonicMs - ageMs;
    const wasLive = this.#records.get(entry.id)?.state === "live";
    let evicted: PeerEntry | undefined;
    if (!wasLive && this.#liveCount >= this.#entriesMax) {
      evicted = this.#evictBefore(aliveMs, isPinned);
      if (evicted === undefined) return rejected("full");
    }
    this.#put(entry.id, { state: "live", signed, aliveMs, heardMs: now.monotonicMs });
    return wasLive ? { type: "updated", entry } : { type: "new", entry, evicted };
  }

  /** @param ageMs - as in `judgeDeparture` */
  mergeDeparture(departure: Departure, ageMs: number, now: Now): MergeResult {
    const { id, startMs } = departure;
    if (departure.network !== this.network) return rejected("network");
    const verdict = this.judgeDeparture(id, startMs, ageMs, now);
    if (verdict !== "news") return rejected(verdict);
    const record = this.#records.get(id);
    this.#put(id, { state: "departed", departure, sinceMs: now.monotonicMs - ageMs, heardMs: now.monotonicMs });
    return record?.state === "live" ? { type: "left", entry: record.signed.entry } : { type: "noted" };
  }

  /**
   * The same again, from another peer. Ages are nobody's signature, so they are only ever believed within bounds: the youngest one counts,
   * which undoes one that was too old, but never past the moment at which we first heard this word. So the same entry again is no sign
   * of life, and whoever repeats it for ever keeps no dead peer alive.
   */
  hearAgain(id: PeerId, ageMs: number, now: Now): void {
    const record = this.#records.get(id);
    if (record === undefined || record.state === "silenced") return;
    const atMs = Math.min(record.heardMs, now.monotonicMs - ageMs);
    if (record.state === "live" && atMs > record.aliveMs) this.#records.set(id, { ...record, aliveMs: atMs });
    if (record.state === "departed" && atMs > record.sinceMs) this.#records.set(id, { ...record, sinceMs: atMs });
  }

  /** A sign of life at first hand: an open link. */
  touch(id: PeerId, now: Now): void {
    const record = this.#records.get(id);
    if (record?.state === "live") this.#records.set(id, { ...record, aliveMs: now.monotonicMs });
  }

  /** Nobody can reach it: gone, until something newer is heard of it. */
  silence(id: PeerId, now: Now): PeerEntry | undefined {
    const record = this.#records.get(id);
    if (record?.state !== "live") return undefined;
    const { entry } = record.signed;
    this.#put(id, { state: "silenced", version: entry.version, sinceMs: now.monotonicMs });
    return entry;
  }

  /** It speaks to us itself: our verdict was wrong. */
  unsilence(id: PeerId): void {
    if (this.#records.get(id)?.state === "silenced") this.#drop(id);
  }

  /** Lets go of what is too old. Returns the entries that left, by id. */
  expire(now: Now): readonly PeerEntry[] {
    const left: PeerEntry[] = [];
    for (const id of [...this.#ids.all()]) {
      const record = this.#records.get(id);
      if (record?.state === "live") {
        if (now.monotonicMs - record.aliveMs < this.#expireAfterMs) continue;
        left.push(record.signed.entry);
        this.#put(id, { state: "silenced", version: record.signed.entry.version, sinceMs: now.monotonicMs });
      } else if (record !== undefined && now.monotonicMs - record.sinceMs >= this.#tombstoneMs) this.#drop(id);
    }
    return left;
  }

  /** Milliseconds since the peer's last sign of life, or since its departure: what goes along when it is passed on. */
  ageMs(record: CatalogRecord, now: Now): number {
    return Math.max(0, now.monotonicMs - (record.state === "live" ? record.aliveMs : record.sinceMs));
  }

  /** Longer than any entry lives anywhere, so that no copy outlives its tombstone. */
  get #tombstoneMs(): number {
    return 2 * this.#expireAfterMs;
  }

  /** The one silent for longest goes, if it is silent for longer than the newcomer. */
  #evictBefore(aliveMs: number, isPinned: (id: PeerId) => boolean): PeerEntry | undefined {
    let oldest: { readonly entry: PeerEntry; readonly aliveMs: number } | undefined;
    for (const id of this.#ids.all()) {
      const record = this.#records.get(id);
      if (record?.state !== "live" || isPinned(id)) continue;
      if (record.aliveMs < (oldest?.aliveMs ?? aliveMs))
        oldest = { entry: record.signed.entry, aliveMs: record.aliveMs };
    }
    if (oldest !== undefined) this.#drop(oldest.entry.id);
    return oldest?.entry;
  }

  #put(id: PeerId, record: CatalogRecord): void {
    const wasLive = this.#records.get(id)?.state === "live";
    this.#records.delete(id); // so that the order of the map is the order of age
    this.#records.set(id, record);
    this.#ids.add(id);
    this.#liveCount += (record.state === "live" ? 1 : 0) - (wasLive ? 1 : 0);
    this.#sorted = undefined;
    if (record.state !== "live" && this.tombstones > this.#tombstonesMax) this.#dropOldestTombstone();
  }

  #drop(id: PeerId): void {
    if (this.#records.get(id)?.state === "live") this.#liveCount -= 1;
    this.#records.delete(id);
    if (id !== this.selfId) this.#ids.delete(id);
    this.#sorted = undefined;
  }

  #dropOldestTombstone(): void {
    for (const [id, record] of this.#records) {
      if (record.state === "live") continue;
      this.#drop(id);
      return;
    }
  }
}

/** An entry or departure from a clock that is too far ahead would win over everything for too long. */
export function isBeyond(version: EntryVersion, now: Now): boolean {
  return Math.max(version.startMs, version.updateMs) > now.wallMs + LIMITS.clockDriftMsMax;
}

function compareToRecord(version: EntryVersion, signature: Uint8Array, record: CatalogRecord): number {
  switch (record.state) {
    case "live":
      return compareToSigned(version, signature, record.signed);
    case "departed":
      return version.startMs > record.departure.startMs ? 1 : -1;
    case "silenced":
      return isNewer(version, record.version) ? 1 : -1;
  }
}

/** Two entries of one version are the work of a faulty peer; the signature decides, so that all agree on one of them. */
function compareToSigned(version: EntryVersion, signature: Uint8Array, known: SignedEntry): number {
  return compareVersions(version, known.entry.version) || Buffer.compare(signature, known.signature);
}
