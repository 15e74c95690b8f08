import { assert, type Env, LIMITS, type Logger, OpenWaits } from "../env/index.ts";
import { type PeerId, type Secret, UniqueId } from "../identity/index.ts";
import {
  acceptLink,
  type ByteStream,
  CLOSE,
  HandshakeError,
  initiateLink,
  type Link,
  type LinkClose,
  type LinkOptions,
} from "../wire/index.ts";
import { dialInOrder } from "./dialing.ts";
import { countCode, type EndpointCounters, newEndpointCounters } from "./endpoint-counters.ts";
import { type Endpoint, LinkRefused, type ProtocolHandler } from "./endpoint-types.ts";
import { type Address, type Connection, DialError, type PeerAddress, type Protocol, type Transport } from "./types.ts";

export interface EndpointOptions {
  readonly env: Env;
  readonly selfId: PeerId;
  /** Closed with the endpoint. */
  readonly transport: Transport;
  readonly network: UniqueId;
  /** The first is ours; all are accepted, so that they can be rotated one node at a time. Empty: none is proved, and none accepted. */
  readonly secrets: readonly Secret[];
  /** Where peers reach us, instead of where the transport listens. */
  readonly advertise?: readonly Address[];
  readonly logger: Logger;
  /** A handler threw what is no `DecodeError`. Its link is destroyed already. */
  readonly onBug: (cause: unknown) => void;
}

type DialOptions = Parameters<Endpoint["dial"]>[2];

const EXPORT_LABEL = "mosaik network";
const NOTHING = new Uint8Array(0);
/** What an operator has to know of, and how often at most. */
const MISCONFIGURED: readonly number[] = [CLOSE.invalidProof, CLOSE.versionMismatch];
const WARN_INTERVAL_US = 10_000_000;

/** An endpoint that counts what it does. */
export interface CountingEndpoint extends Endpoint {
  readonly counters: Readonly<EndpointCounters>;
}

export function createEndpoint(options: EndpointOptions): CountingEndpoint {
  return new LinkEndpoint(options);
}

class LinkEndpoint implements CountingEndpoint {
  readonly counters = newEndpointCounters();
  readonly #options: EndpointOptions;
  readonly #networkBytes: Uint8Array;
  readonly #handlers = new Map<Protocol, ProtocolHandler>();
  readonly #links = new Set<Link>();
  readonly #handshakes = new OpenWaits();
  readonly #warnedAtUs = new Map<number, number>();
  #isListening = false;
  #closing: Promise<void> | undefined;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#networkBytes = UniqueId.toBytes(options.network);
  }

  get addresses(): readonly Address[] {
    return this.#options.advertise ?? this.#options.transport.localAddresses;
  }

  get links(): ReadonlySet<Link> {
    return this.#links;
  }

  handle(protocol: Protocol, handler: ProtocolHandler): void {
    assert(!this.#isListening, "protocols are known before they are offered");
    assert(!this.#handlers.has(protocol), "a protocol has one handler");
    this.#handlers.set(protocol, handler);
  }

  async listen(): Promise<void> {
    this.#isListening = true;
    const protocols = [...this.#handlers.keys()];
    await this.#options.transport.listen(protocols, (connection) => this.#onConnection(connection));
  }

  dial(peer: PeerAddress, protocol: Protocol, options: DialOptions): Promise<Link> {
    return this.#handshakes.run(options.signal, (signal) =>
      dialInOrder(peer, this.#options.selfId, signal, (address) =>
        this.#dialAddress({ id: peer.id, addresses: [address] }, protocol, { ...options, signal }),
      ),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#handshakes.endAll(endpointClosed());
    await Promise.all([...this.#links].map((link) => link.close(CLOSE.gracefulShutdown, "the node shuts down")));
    await this.#options.transport.close();
  }

  // ── Out ──

  async #dialAddress(peer: PeerAddress, protocol: Protocol, { signal, payload }: DialOptions): Promise<Link> {
    const { env, transport } = this.#options;
    const deadlineUs = env.clock.monotonicUs() + LIMITS.handshakeTimeoutMs * 1000;
    const connection = await transport.dial(peer, protocol, { signal });
    const leftMs = Math.max(1, (deadlineUs - env.clock.monotonicUs()) / 1000);
    try {
      const link = await initiateLink(connection, {
        ...this.#linkOptions(protocol, signal),
        handshakeTimeoutMs: leftMs,
        payload: payload?.(connection) ?? NOTHING,
      });
      if (this.#closing !== undefined) throw endpointClosed();
      this.#adopt(link);
      return link;
    } catch (cause) {
      throw this.#refusal(cause, connection);
    }
  }

  /** What the dialler hears. Who broke off or kept silent has refused nothing, so that another address may be tried. */
  #refusal(cause: unknown, connection: Connection): unknown {
    if (!(cause instanceof HandshakeError)) {
      connection.destroy();
      return cause;
    }
    // The stream is left alone: its close frame may be on its way, and it ends by itself.
    const { close } = cause;
    this.#onRefused(close, connection);
    const isSilence = close.by === "none" || (close.by === "us" && close.code === CLOSE.handshakeTimeout);
    if (!isSilence) return new LinkRefused(close);
    return new DialError("handshake-failed", `${connection.remoteAddress}: ${close.reason}`, cause);
  }

  // ── In ──

  #onConnection(connection: Connection): void {
    this.#accept(connection).catch((cause: unknown) => {
      if (cause instanceof HandshakeError) {
        this.#onRefused(cause.close, connection);
        return;
      }
      connection.destroy();
      if (this.#closing === undefined) this.#options.onBug(cause);
    });
  }

  async #accept(connection: Connection): Promise<void> {
    const handler = this.#handlers.get(connection.protocol);
    assert(handler !== undefined, "the transport agrees on no other protocol");
    const link = await this.#handshakes.run(undefined, (signal) =>
      acceptLink(connection, {
        ...this.#linkOptions(connection.protocol, signal),
        accept: (hello) => handler.accept(hello, connection),
      }),
    );
    if (this.#closing === undefined) {
      this.#adopt(link);
      handler.onLink(link);
    } else {
      link.destroy();
    }
  }

  // ── Both ──

  #linkOptions(protocol: Protocol, signal: AbortSignal): LinkOptions {
    const { env, network, onBug } = this.#options;
    const handler = this.#handlers.get(protocol);
    assert(handler !== undefined, "a protocol that is dialled is handled");
    const { frameBytesMax, highWaterBytes, versionMin, versionMax, features } = handler;
    return {
      env,
      protocol,
      frameBytesMax,
      highWaterBytes,
      hello: { versionMin, versionMax, network, features },
      proofs: {
        prove: (stream) => this.#prove(stream),
        verify: (stream, proof) => this.#verify(stream, proof),
      },
      signal,
      onBug,
    };
  }

  #prove(stream: ByteStream): Uint8Array {
    const [ours] = this.#options.secrets;
    return ours === undefined ? NOTHING : ours.prove(this.#options.selfId, this.#exported(stream));
  }

  /** Nobody who has a secret talks to somebody who has none, in either direction: such a network would be half open. */
  #verify(stream: ByteStream, proof: Uint8Array): boolean {
    const { secrets } = this.#options;
    if (secrets.length === 0) return proof.length === 0;
    const exported = this.#exported(stream);
    return secrets.some((secret) => secret.verify(stream.remoteId, exported, proof));
  }

  #exported(stream: ByteStream): Uint8Array {
    return stream.exportKey(EXPORT_LABEL, this.#networkBytes, 32);
  }

  #adopt(link: Link): void {
    this.counters.linksOpened++;
    this.#links.add(link);
    void link.closed.then(({ code }) => {
      this.#links.delete(link);
      this.counters.linksClosed++;
      countCode(this.counters.closed, code);
    });
  }

  #onRefused(close: LinkClose, { remoteId, remoteAddress, protocol }: Connection): void {
    countCode(this.counters.refused, close.code);
    const fields = { peer: UniqueId.short(remoteId), address: remoteAddress, protocol, ...close };
    if (this.#isWorthWarning(close.code)) this.#options.logger.warn(fields, "a link was refused");
    else this.#options.logger.debug(fields, "a link was refused");
  }

  /** A stranger must not be able to fill the log. */
  #isWorthWarning(code: number): boolean {
    if (!MISCONFIGURED.includes(code)) return false;
    const nowUs = this.#options.env.clock.monotonicUs();
    const lastUs = this.#warnedAtUs.get(code);
    if (lastUs !== undefined && nowUs - lastUs < WARN_INTERVAL_US) return false;
    this.#warnedAtUs.set(code, nowUs);
    return true;
  }
}

function endpointClosed(): DialError {
  return new DialError("unreachable", "the endpoint is closed");
}
