import type { PeerId, UniqueId } from "../identity/index.ts";

/**
 * Why a link ended. Published numbers, compared by number only. Kept from the reference where the meaning is the same (spec network 2).
 */
export const CLOSE = {
  invalidAlpn: 100,
  differentNetwork: 101,
  cancelled: 102,
  unexpectedClose: 103,
  success: 200,
  gracefulShutdown: 204,
  protocolViolation: 400,
  unknownPeer: 401,
  invalidProof: 405,
  handshakeTimeout: 408,
  /** The peer reads too slowly for what it asked for. */
  tooSlow: 413,
  versionMismatch: 426,
  overloaded: 429,
  /** A peer that stays silent. */
  keepAliveTimeout: 440,
  streamNotAllowed: 10403,
  /** The peer produces no such stream, or not any more. */
  streamNotFound: 10404,
  /** Another codec. */
  streamMismatch: 10409,
  /** The consumer did not keep up, and the producer does not wait for it. */
  streamTooSlow: 10413,
  /** The producer has as many consumers as it takes. */
  streamNoCapacity: 10509,
  groupInvalidHandshake: 30400,
  groupNotAllowed: 30403,
  groupNotFound: 30404,
  groupInvalidProof: 30405,
  groupMismatch: 30409,
  /** The store is an older copy, or one of two copies: it forgot what it promised. */
  groupStaleStore: 30410,
  /** So many observers are bonded with this member that another one is better off elsewhere. */
  groupCrowded: 30413,
  groupAlreadyBonded: 30429,
} as const;

export interface LinkClose {
  readonly code: number;
  readonly reason: string;
  /** Who said it; `none`: the connection broke. */
  readonly by: "us" | "peer" | "none";
}

/** What each side says first. */
export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly network: UniqueId;
  /** One bit for each optional ability; unknown bits are ignored. */
  readonly features: number;
  /** Proof of the network's secret, or empty. */
  readonly proof: Uint8Array;
  /** The protocol's own opening, at most `LIMITS.helloBytesMax` less 1 KiB. */
  readonly payload: Uint8Array;
}

/**
 * A conversation of frames between two proven peers that agreed on network, secret and version. It exists only after both hellos.
 * All writes of one turn leave as one.
 */
export interface Link {
  readonly remoteId: PeerId;
  readonly remoteAddress: string;
  readonly protocol: string;
  /** Who dialled. */
  readonly isInitiator: boolean;
  readonly version: number;
  /** What both sides can do. */
  readonly features: number;
  /** The peer's `Hello.payload`. */
  readonly remotePayload: Uint8Array;
  exportKey(label: string, context: Uint8Array, length: number): Uint8Array;
  /** Begins delivery of frames; called exactly once, in the turn that the link was handed over. Frames that came earlier are kept until then. */
  start(handlers: LinkHandlers): void;
  /**
   * Sends one frame. `kind` is 16 to 255 (lower ones are the link's own). The payload is not copied: leave it alone.
   * False: the peer is slow, wait for `onDrain`. Beyond `LIMITS.linkQueuedBytesMax` the link closes itself (`tooSlow`).
   */
  send(kind: number, payload: Uint8Array): boolean;
  /**
   * As `send`, of a frame that is encoded already (`encodeFrame`, `finishFrame`): one that many links get is encoded once. Its buffer may be used again
   * once it has left each of them: when as many bytes have left (`sentBytes` less `queuedBytes`) as were sent with it and before.
   */
  sendEncoded(frame: Uint8Array): boolean;
  /** All bytes sent since the link began, headers included. */
  readonly sentBytes: number;
  /** Those of them that have not left yet. A link that is closed has none. */
  readonly queuedBytes: number;
  /** Stops delivery and reading (backpressure to the peer). */
  pause(): void;
  resume(): void;
  /**
   * Flushes what was sent, tells the peer why, waits for it to have read that. Idempotent: the first reason counts.
   * @param timeoutMs - at most so long. Default: `LIMITS.closeTimeoutMs`
   */
  close(code: number, reason: string, timeoutMs?: number): Promise<void>;
  /** At once, without a word. */
  destroy(): void;
  readonly isOpen: boolean;
  readonly closed: Promise<LinkClose>;
}

/** A handler that throws `DecodeError` closes the link with `protocolViolation`; any other throw is a bug and reaches the owner of the endpoint. */
export interface LinkHandlers {
  onFrame(kind: number, payload: Uint8Array): void;
  onDrain?(): void;
  /** Exactly once, last. */
  onClose(close: LinkClose): void;
}
