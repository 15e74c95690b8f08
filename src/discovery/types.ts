import type { PeerId, UniqueId } from "../identity/index.ts";
import type { Address } from "../transport/index.ts";

/** What a peer says of itself, signed. */
export interface PeerEntry {
  readonly network: UniqueId;
  readonly id: PeerId;
  /** Lexicographic: a later start wins over any update. Milliseconds of the peer's own wall clock. */
  readonly version: { readonly startMs: number; readonly updateMs: number };
  readonly addresses: readonly Address[];
  readonly tags: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  /** Groups it is in, sorted. */
  readonly groups: readonly UniqueId[];
  /** Streams it produces, sorted. */
  readonly streams: readonly UniqueId[];
}

/** What the layers above need of discovery. The public `network.discovery` is made over it. */
export interface PeerDirectory {
  readonly selfId: PeerId;
  get(id: PeerId): PeerEntry | undefined;
  /** The others that advertise this group, by id. */
  inGroup(group: UniqueId): readonly PeerEntry[];
  /** Called after any change of another peer's entry, in the same turn. The result unsubscribes. */
  onChange(
    listener: (change: { readonly type: "joined" | "changed" | "left"; readonly entry: PeerEntry }) => void,
  ): () => void;
  /** One signed update, pushed to all neighbours promptly. */
  advertiseGroup(group: UniqueId): void;
  withdrawGroup(group: UniqueId): void;
  /** Has any bootstrap source answered, or is none configured? A lone founder waits for it. */
  readonly isBootstrapped: boolean;
}
