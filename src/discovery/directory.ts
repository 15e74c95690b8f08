import { LIMITS, mosaikError } from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import type { Driver } from "./driver.ts";
import type { LocalEntry } from "./local.ts";
import { makePeer, type Peer } from "./peer.ts";
import type { DirectoryChange, PeerDirectory, PeerEntry } from "./types.ts";

/** The catalog as the layers above see it. */
export class Directory implements PeerDirectory {
  readonly selfId: PeerId;
  readonly #local: LocalEntry;
  readonly #driver: () => Driver;
  readonly #listeners = new Set<(change: DirectoryChange) => void>();
  /** Made once for each version of an entry. */
  readonly #peers = new WeakMap<PeerEntry, Peer>();

  /** @param driver - a function, since the driver reports its changes here and so comes second */
  constructor(init: { readonly local: LocalEntry; readonly driver: () => Driver }) {
    this.selfId = init.local.entry.id;
    this.#local = init.local;
    this.#driver = init.driver;
  }

  get isBootstrapped(): boolean {
    return this.#driver().sources.isBootstrapped;
  }

  get(id: PeerId): PeerEntry | undefined {
    return this.#driver().catalog.get(id);
  }

  inGroup(group: UniqueId): readonly PeerEntry[] {
    return this.#driver()
      .catalog.entries()
      .filter((entry) => entry.groups.includes(group));
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    // Wrapped, so that a listener given twice is two.
    const own = (change: DirectoryChange): void => listener(change);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  /** @throws `too-large` */
  advertiseGroup(group: UniqueId): void {
    const { groups } = this.#local.entry;
    if (groups.includes(group)) return;
    if (groups.length >= LIMITS.entryGroupsMax) {
      throw mosaikError("too-large", `a peer is in at most ${LIMITS.entryGroupsMax} groups`);
    }
    this.#driver().changeLocal({ groups: [...groups, group] });
  }

  withdrawGroup(group: UniqueId): void {
    const { groups } = this.#local.entry;
    if (!groups.includes(group) || this.#driver().isClosed) return;
    this.#driver().changeLocal({ groups: groups.filter((other) => other !== group) });
  }

  /** Calls the listeners there are now. */
  tell(change: DirectoryChange): void {
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) listener(change);
  }

  peer(id: PeerId): Peer | undefined {
    const entry = this.get(id);
    return entry === undefined ? undefined : this.#peerOf(entry);
  }

  /** By id. */
  peers(): readonly Peer[] {
    return this.#driver()
      .catalog.entries()
      .map((entry) => this.#peerOf(entry));
  }

  #peerOf(entry: PeerEntry): Peer {
    const known = this.#peers.get(entry);
    if (known !== undefined) return known;
    const peer = makePeer(entry, undefined);
    this.#peers.set(entry, peer);
    return peer;
  }
}
