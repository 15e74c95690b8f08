import type { PeerId, UniqueId } from "../identity/index.ts";
import type { Address } from "../transport/index.ts";
import type { Peer } from "./peer.ts";

/** Lexicographic: a later start wins over any update. Milliseconds of the peer's own wall clock. */
export interface EntryVersion {
  readonly startMs: number;
  readonly updateMs: number;
}

/** Shown to peers, and judged by their validators of its class; nobody else looks inside. */
export interface Ticket {
  readonly class: UniqueId;
  /** At most `LIMITS.ticketBytesMax`. */
  readonly data: Uint8Array;
}

/** What a peer says of itself, signed. */
export interface PeerEntry {
  readonly network: UniqueId;
  readonly id: PeerId;
  readonly version: EntryVersion;
  /** In the order in which to try them. */
  readonly addresses: readonly Address[];
  /** Sorted. */
  readonly tags: readonly string[];
  /** Keys sorted. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Groups it is in, sorted. */
  readonly groups: readonly UniqueId[];
  /** Streams it produces, sorted. */
  readonly streams: readonly UniqueId[];
  /** Sorted by class, then data. */
  readonly tickets: readonly Ticket[];
}

/** An entry with the exact bytes that its peer signed. Made only by `signEntry` and by `decodeSignedEntry`, which verifies. */
export interface SignedEntry {
  readonly entry: PeerEntry;
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
}

/** A peer's last word: its life that began at `startMs`, and every earlier one, is over. Verified when decoded. */
export interface Departure {
  readonly network: UniqueId;
  readonly id: PeerId;
  readonly startMs: number;
  readonly signature: Uint8Array;
}

export interface DirectoryChange {
  readonly type: "joined" | "changed" | "left";
  /** The newest that we have; with `left`, the last that we had. */
  readonly entry: PeerEntry;
}

/** What the layers above need of discovery. The public `network.discovery` is made over it. */
export interface PeerDirectory {
  readonly selfId: PeerId;
  /** Our own newest entry. */
  readonly self: PeerEntry;
  /** Of another peer. */
  get(id: PeerId): PeerEntry | undefined;
  /** As users see it; ourselves included. The same object until something of it changes. */
  peer(id: PeerId): Peer | undefined;
  /** The others that advertise this group, by id. */
  inGroup(group: UniqueId): readonly PeerEntry[];
  /** The others that advertise this stream, by id. */
  producing(stream: UniqueId): readonly PeerEntry[];
  /** Called after any change of another peer's entry, or of its round trip, in the same turn. The result unsubscribes. */
  onChange(listener: (change: DirectoryChange) => void): () => void;
  /** Called after any change of what our own entry says, in the same turn; not for a new version of the same. The result unsubscribes. */
  onSelfChange(listener: () => void): () => void;
  /** One signed update, pushed to all neighbours promptly. @throws `too-large` above `LIMITS.entryGroupsMax`, or for the whole entry */
  advertiseGroup(group: UniqueId): void;
  withdrawGroup(group: UniqueId): void;
  /** One signed update, pushed to all neighbours promptly. @throws `too-large` above `LIMITS.entryStreamsMax`, or for the whole entry */
  advertiseStream(stream: UniqueId): void;
  withdrawStream(stream: UniqueId): void;
  /**
   * Makes this peer know us, who has told us that it does not: dials a discovery link, over which it hears our entry first. A hint, not a
   * promise: nothing happens if there is a link, if one is being dialled, if `LIMITS.introductionsMax` are, or if we do not know the peer.
   */
  introduce(id: PeerId): void;
  /**
   * Measures the round trips to the others that `wants` gives true for, for as long as the result is not called: `Peer.rttMs`. Each is probed
   * at once, and again every 30 s or so; `onChange` tells a first measurement, and one that differs by more than a fifth and 1 ms, as `changed`.
   *
   * @param wants - must not throw; asked at each change of an entry
   */
  measure(wants: (entry: PeerEntry) => boolean): () => void;
  /** Has any bootstrap source answered, or is none configured? A lone founder waits for it. */
  readonly isBootstrapped: boolean;
}
