import type { PeerId } from "../identity/index.ts";
import type { ByteStream } from "../wire/index.ts";

/** Text: `host:port`, IPv6 in brackets. */
export type Address = string;
/** A TLS application protocol (ALPN), such as `mosaik/discovery/1`. One connection carries one. */
export type Protocol = string;

export interface PeerAddress {
  /** Undefined: learnt from the handshake. */
  readonly id: PeerId | undefined;
  /** Tried in order. */
  readonly addresses: readonly Address[];
}

/** An open, mutually authenticated connection. */
export interface Connection extends ByteStream {
  readonly protocol: Protocol;
}

export interface Transport {
  /** Where peers can reach us, with the bound port. Empty before `listen`. */
  readonly localAddresses: readonly Address[];
  /**
   * Called once. Connections that offer no protocol of the list, no certificate, or one that is not Ed25519, never get here.
   * @throws `address-in-use`, `bad-option` (`listen`: does not resolve, not ours)
   */
  listen(protocols: readonly Protocol[], onConnection: (connection: Connection) => void): Promise<void>;
  /**
   * Resolves when the peer has proved its id. That the peer accepts us is known only when it answers.
   * @throws DialError; the reason of `signal`
   */
  dial(peer: PeerAddress, protocol: Protocol, options: { readonly signal: AbortSignal }): Promise<Connection>;
  /** Stops listening and destroys what is open. Idempotent. */
  close(): Promise<void>;
  /** Plain numbers for metrics, which only grow. */
  readonly counters: Readonly<TransportCounters>;
}

export interface TransportCounters {
  /** Incoming connections handed over. */
  accepted: number;
  dialled: number;
  dialsFailed: number;
  /** Incoming: dropped at once, since a limit was reached. */
  overLimit: number;
  /** Incoming: ended or refused before they were handed over, those out of time among them. */
  handshakesFailed: number;
  handshakesTimedOut: number;
}

export function newTransportCounters(): TransportCounters {
  return { accepted: 0, dialled: 0, dialsFailed: 0, overLimit: 0, handshakesFailed: 0, handshakesTimedOut: 0 };
}

export type DialFailure =
  /** No address answered, or none resolves. */
  | "unreachable"
  /** Somebody else answered there. */
  | "wrong-peer"
  /** The peer does not speak this protocol. */
  | "alpn-refused"
  /** TLS failed otherwise. */
  | "handshake-failed"
  /** It is ourselves. */
  | "self";

/** An expected failure between peers: data for the caller, never shown to users as it is. */
export class DialError extends Error {
  override readonly name = "DialError";
  readonly failure: DialFailure;
  constructor(failure: DialFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.failure = failure;
  }
}
