import { isIP } from "node:net";
import type { SecureContext } from "node:tls";
import { assert, badOption, type Env, mosaikError, OpenWaits } from "../../env/index.ts";
import type { Identity } from "../../identity/index.ts";
import { parseAddress } from "../address.ts";
import { type TransportLimits, transportLimits } from "../admission.ts";
import { dialInOrder } from "../dialing.ts";
import {
  type Address,
  type Connection,
  DialError,
  newTransportCounters,
  type PeerAddress,
  type Protocol,
  type Transport,
} from "../types.ts";
import { Acceptor, reachableAddresses } from "./acceptor.ts";
import { makeCredentials, makeSecureContext } from "./certificate.ts";
import type { TlsConnection } from "./connection.ts";
import { dialAddress } from "./dialer.ts";
import { OpenSockets } from "./open-sockets.ts";

export interface TlsTransportOptions {
  readonly env: Env;
  readonly identity: Identity;
  /** `host:port`; port 0 is a free one. Undefined: a free port on loopback. */
  readonly listen: Address | undefined;
  /** Instead of `LIMITS`, for tests. */
  readonly limits?: Partial<TransportLimits>;
}

/** TLS 1.3 over TCP. Does nothing before `listen` or `dial`. @throws `bad-option` (`listen` is no `host:port`) */
export function tlsTransport(options: TlsTransportOptions): Transport {
  return new TlsTransport(options);
}

class TlsTransport implements Transport {
  readonly counters = newTransportCounters();
  readonly #env: Env;
  readonly #identity: Identity;
  readonly #limits: TransportLimits;
  readonly #listen: { readonly host: string; readonly port: number };
  readonly #sockets = new OpenSockets();
  readonly #connections = new Set<TlsConnection>();
  readonly #dials = new OpenWaits();
  #context: SecureContext | undefined;
  #isListening = false;
  #acceptor: Acceptor | undefined;
  #localAddresses: readonly Address[] = [];
  #closing: Promise<void> | undefined;

  constructor({ env, identity, listen = "127.0.0.1:0", limits }: TlsTransportOptions) {
    const parsed = parseAddress(listen);
    if (parsed === undefined) throw badOption("listen", `is no host:port: ${listen}`);
    this.#listen = parsed;
    this.#env = env;
    this.#identity = identity;
    this.#limits = transportLimits(limits);
  }

  get localAddresses(): readonly Address[] {
    return this.#localAddresses;
  }

  async listen(protocols: readonly Protocol[], onConnection: (connection: Connection) => void): Promise<void> {
    this.#refuseIfClosed();
    assert(!this.#isListening, "a transport listens once");
    this.#isListening = true;
    const context = this.#secureContext();
    const acceptor = new Acceptor({
      env: this.#env,
      selfId: this.#identity.peerId,
      context,
      limits: this.#limits,
      counters: this.counters,
      protocols,
      onConnection: (connection) => {
        this.#own(connection);
        onConnection(connection);
      },
      sockets: this.#sockets,
    });
    this.#acceptor = acceptor;
    const port = await acceptor.listen(this.#listen);
    this.#localAddresses = reachableAddresses({ host: this.#listen.host, port });
  }

  async dial(peer: PeerAddress, protocol: Protocol, { signal }: { readonly signal: AbortSignal }): Promise<Connection> {
    try {
      const connection = await this.#dials.run(signal, (either) => this.#dial(peer, protocol, either));
      this.#own(connection);
      this.counters.dialled++;
      return connection;
    } catch (cause) {
      this.counters.dialsFailed++;
      throw cause;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #dial(peer: PeerAddress, protocol: Protocol, signal: AbortSignal): Promise<TlsConnection> {
    const options = {
      env: this.#env,
      selfId: this.#identity.peerId,
      context: this.#secureContext(),
      timeoutMs: this.#limits.handshakeTimeoutMs,
      bindHost: this.#bindHost(),
      sockets: this.#sockets,
    };
    return dialInOrder(peer, options.selfId, signal, (address) =>
      dialAddress(options, { id: peer.id, address, protocol, signal }),
    );
  }

  async #close(): Promise<void> {
    this.#dials.endAll(new DialError("unreachable", "the transport is closed"));
    this.#acceptor?.close();
    this.#localAddresses = [];
    for (const connection of this.#connections) connection.destroy();
    await this.#sockets.destroyAll();
  }

  /** Made once, when it is first needed, and never on import. */
  #secureContext(): SecureContext {
    this.#context ??= makeSecureContext(makeCredentials(this.#identity));
    return this.#context;
  }

  #bindHost(): string | undefined {
    const { host } = this.#listen;
    return isIP(host) === 0 || host === "0.0.0.0" || host === "::" ? undefined : host;
  }

  #refuseIfClosed(): void {
    if (this.#closing !== undefined) throw mosaikError("closed", "the transport is closed");
  }

  #own(connection: TlsConnection): void {
    this.#connections.add(connection);
    connection.onceClosed(() => this.#connections.delete(connection));
  }
}
