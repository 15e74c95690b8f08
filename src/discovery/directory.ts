import { LIMITS, mosaikError } from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import type { Driver } from "./driver.ts";
import type { LocalEntry } from "./local.ts";
import { makePeer, type Peer } from "./peer.ts";
import type { RoundTrips } from "./round-trips.ts";
import type { DirectoryChange, PeerDirectory, PeerEntry } from "./types.ts";

/** The catalog as the layers above see it. */
export class Directory implements PeerDirectory {
  readonly selfId: PeerId;
  readonly #local: LocalEntry;
  readonly #roundTrips: RoundTrips;
  readonly #driver: () => Driver;
  readonly #listeners = new Set<(change: DirectoryChange) => void>();
  readonly #selfListeners = new Set<() => void>();
  /** Made once for each version of an entry, and for each round trip. */
  readonly #peers = new WeakMap<PeerEntry, Peer>();

  /** @param driver - a function, since the driver reports its changes here and so comes second */
  constructor(init: {
    readonly local: LocalEntry;
    readonly roundTrips: RoundTrips;
    readonly driver: () => Driver;
  }) {
    this.selfId = init.local.entry.id;
    this.#local = init.local;
    this.#roundTrips = init.roundTrips;
    this.#driver = init.driver;
  }

  get isBootstrapped(): boolean {
    return this.#driver().sources.isBootstrapped;
  }

  get self(): PeerEntry {
    return this.#local.entry;
  }

  get(id: PeerId): PeerEntry | undefined {
    return this.#driver().catalog.get(id);
  }

  inGroup(group: UniqueId): readonly PeerEntry[] {
    return this.#entries().filter((entry) => entry.groups.includes(group));
  }

  producing(stream: UniqueId): readonly PeerEntry[] {
    return this.#entries().filter((entry) => entry.streams.includes(stream));
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    // Wrapped, so that a listener given twice is two.
    const own = (change: DirectoryChange): void => listener(change);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  onSelfChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#selfListeners.add(own);
    return () => {
      this.#selfListeners.delete(own);
    };
  }

  advertiseGroup(group: UniqueId): void {
    this.#advertise("groups", group, LIMITS.entryGroupsMax);
  }

  withdrawGroup(group: UniqueId): void {
    this.#withdraw("groups", group);
  }

  advertiseStream(stream: UniqueId): void {
    this.#advertise("streams", stream, LIMITS.entryStreamsMax);
  }

  withdrawStream(stream: UniqueId): void {
    this.#withdraw("streams", stream);
  }

  introduce(id: PeerId): void {
    this.#driver().introduce(id);
  }

  measure(wants: (entry: PeerEntry) => boolean): () => void {
    return this.#roundTrips.measure(wants);
  }

  /** Calls the listeners there are now. */
  tell(change: DirectoryChange): void {
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) listener(change);
  }

  /** Our own entry says something else. */
  tellSelf(): void {
    for (const listener of [...this.#selfListeners]) if (this.#selfListeners.has(listener)) listener();
  }

  peer(id: PeerId): Peer | undefined {
    const entry = id === this.selfId ? this.self : this.get(id);
    return entry === undefined ? undefined : this.peerOf(entry);
  }

  /** By id. */
  peers(): readonly Peer[] {
    return this.#entries().map((entry) => this.peerOf(entry));
  }

  #entries(): readonly PeerEntry[] {
    return this.#driver().catalog.entries();
  }

  #advertise(kind: "groups" | "streams", id: UniqueId, max: number): void {
    const ids = this.self[kind];
    if (ids.includes(id)) return;
    if (ids.length >= max) throw mosaikError("too-large", `a peer tells of at most ${max} ${kind}`);
    this.#driver().changeLocal({ [kind]: [...ids, id] });
  }

  #withdraw(kind: "groups" | "streams", id: UniqueId): void {
    const ids = this.self[kind];
    if (!ids.includes(id) || this.#driver().isClosed) return;
    this.#driver().changeLocal({ [kind]: ids.filter((other) => other !== id) });
  }

  /** As users see it. */
  peerOf(entry: PeerEntry): Peer {
    const known = this.#peers.get(entry);
    const rttMs = entry.id === this.selfId ? 0 : this.#roundTrips.of(entry.id);
    if (known !== undefined && known.rttMs === rttMs) return known;
    const peer = makePeer(entry, rttMs);
    this.#peers.set(entry, peer);
    return peer;
  }
}
