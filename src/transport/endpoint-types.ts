import type { Hello, Link, LinkClose } from "../wire/index.ts";
import type { PeerAddress, Protocol } from "./types.ts";

/** How one protocol is spoken at this endpoint. */
export interface ProtocolHandler {
  readonly frameBytesMax: number;
  /** As `LinkOptions`. */
  readonly highWaterBytes?: number;
  readonly versionMin: number;
  readonly versionMax: number;
  readonly features: number;
  /**
   * Decides about an incoming link, synchronously, network and secret being checked already: the payload of our own hello, or why not.
   * May throw `DecodeError` for a payload that makes no sense (`protocolViolation`).
   */
  accept(
    hello: Hello,
    stream: { readonly remoteId: Link["remoteId"]; exportKey: Link["exportKey"] },
  ): { readonly payload: Uint8Array } | { readonly refuse: number; readonly reason: string };
  /** The link is up; `link.start` must be called before this returns. */
  onLink(link: Link): void;
}

/** The peer refused us, or we it, during the hello. */
export class LinkRefused extends Error {
  override readonly name = "LinkRefused";
  readonly close: LinkClose;
  constructor(close: LinkClose) {
    super(`link refused: ${close.code} ${close.reason}`);
    this.close = close;
  }
}

/**
 * All links of one network, whatever the transport: one hello, one set of limits, one proof of the network's secret.
 */
export interface Endpoint {
  /** Where peers reach us: what `advertise` says, or what is bound. */
  readonly addresses: readonly string[];
  /** Before `listen`. One handler a protocol. */
  handle(protocol: Protocol, handler: ProtocolHandler): void;
  listen(): Promise<void>;
  /**
   * Resolves with a link once the peer said hello; `link.start` must be called in the continuation's same turn.
   * Ends within `LIMITS.handshakeTimeoutMs` an address.
   * @param payload - made when the connection is up, since it may need `exportKey`
   * @throws DialError, LinkRefused, the reason of `signal`
   */
  dial(
    peer: PeerAddress,
    protocol: Protocol,
    options: {
      readonly signal: AbortSignal;
      readonly payload?: (stream: { readonly remoteId: Link["remoteId"]; exportKey: Link["exportKey"] }) => Uint8Array;
    },
  ): Promise<Link>;
  /** Closes all links with `gracefulShutdown`, flushed, then the transport. Ends within `LIMITS.closeTimeoutMs`. Idempotent. */
  close(): Promise<void>;
  /** For `inspect` and metrics. */
  readonly links: ReadonlySet<Link>;
}
