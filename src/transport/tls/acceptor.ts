import { createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { type SecureContext, TLSSocket } from "node:tls";
import { badOption, type Env, LIMITS, type MosaikError, mosaikError } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { formatAddress, type HostAndPort } from "../address.ts";
import { Admission, type TransportLimits } from "../admission.ts";
import type { Address, Protocol, TransportCounters } from "../types.ts";
import { TlsConnection } from "./connection.ts";
import { HandshakeQueue } from "./handshake-queue.ts";
import type { OpenSockets } from "./open-sockets.ts";
import { checkPeer } from "./peer-check.ts";
import { EventReads } from "./reads.ts";

export interface AcceptorOptions {
  readonly env: Env;
  readonly selfId: PeerId;
  readonly context: SecureContext;
  readonly limits: TransportLimits;
  readonly counters: TransportCounters;
  readonly protocols: readonly Protocol[];
  readonly onConnection: (connection: TlsConnection) => void;
  readonly sockets: OpenSockets;
}

/**
 * Takes TCP connections, holds them to the limits, and lets through those that prove a peer.
 *
 * States of a socket: refused at once (a limit) | silent, then waiting for its turn, then in its handshake (one deadline for all three)
 * | refused (a check) | handed over.
 */
export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #admission: Admission;
  readonly #queue: HandshakeQueue;
  readonly #server: Server;
  #isClosed = false;
  #rejectListen: ((cause: unknown) => void) | undefined;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits);
    this.#queue = new HandshakeQueue(options.env, LIMITS.handshakesPerTurnMax);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (tcp) => this.#onTcp(tcp));
  }

  /** @returns the bound port. @throws `address-in-use`, `bad-option` */
  listen({ host, port }: HostAndPort): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      this.#rejectListen = reject;
      // Later ones are of single connections, and not the listener's end; a settled promise ignores them.
      server.on("error", (cause) => reject(listenError(formatAddress(host, port), cause)));
      server.listen({ host, port, exclusive: true }, () => {
        // Node goes on listening if it was closed while it resolved the name.
        if (this.#isClosed) server.close();
        const bound = server.address();
        resolve(typeof bound === "object" && bound !== null ? bound.port : port);
      });
    });
  }

  /** Takes no more. What was handed over stays. */
  close(): void {
    this.#isClosed = true;
    this.#rejectListen?.(mosaikError("closed", "the transport is closed"));
    this.#server.close();
  }

  #onTcp(tcp: Socket): void {
    // On `::` an IPv4 peer comes as `::ffff:a.b.c.d`, which nobody could dial back from elsewhere.
    const host = tcp.remoteAddress?.replace(/^::ffff:(?=[0-9.]+$)/i, "");
    const port = tcp.remotePort;
    const slot = host === undefined ? undefined : this.#admission.enter(host);
    if (host === undefined || port === undefined || slot === undefined) {
      this.#options.counters.overLimit++;
      tcp.on("error", () => {});
      tcp.resetAndDestroy();
      return;
    }
    tcp.on("close", slot.release);
    tcp.on("error", () => {});
    this.#awaitHello(tcp, host, formatAddress(host, port), slot.establish);
  }

  /** Who says nothing costs a TCP socket and no TLS; who speaks waits for its turn. */
  #awaitHello(tcp: Socket, host: string, remoteAddress: Address, establish: () => void): void {
    const { env, limits, counters, sockets } = this.#options;
    sockets.add(tcp);
    let leave = (): void => {};
    let socket: Socket = tcp;
    const deadline = env.after(limits.handshakeTimeoutMs, () => {
      counters.handshakesTimedOut++;
      socket.destroy();
    });
    const onEarlyClose = (): void => {
      deadline.cancel();
      leave();
      counters.handshakesFailed++;
    };
    tcp.once("close", onEarlyClose);
    tcp.once("readable", () => {
      // Half-open sockets are for later: who ends now has nothing to say.
      if (tcp.readableLength === 0) tcp.destroy();
      if (tcp.destroyed) return;
      leave = this.#queue.add(host, () => {
        tcp.off("close", onEarlyClose);
        socket = this.#handshake(tcp, remoteAddress, onEarlyClose, () => {
          deadline.cancel();
          establish();
        });
      });
    });
  }

  /** TLS takes over the TCP socket, with what that has read. */
  #handshake(tcp: Socket, remoteAddress: Address, onEarlyClose: () => void, onDone: () => void): TLSSocket {
    const { context, protocols, sockets } = this.#options;
    const socket = new TLSSocket(tcp, {
      isServer: true,
      secureContext: context,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: [...protocols],
    });
    sockets.wrap(tcp, socket);
    socket.on("error", () => {});
    const onEarlyEnd = (): void => {
      socket.destroy();
    };
    socket.once("close", onEarlyClose);
    socket.once("end", onEarlyEnd);
    socket.once("secure", () => {
      socket.off("close", onEarlyClose).off("end", onEarlyEnd);
      onDone();
      this.#onSecure(socket, remoteAddress);
    });
    return socket;
  }

  #onSecure(socket: TLSSocket, remoteAddress: Address): void {
    const { selfId, protocols, counters, onConnection } = this.#options;
    const check = checkPeer(socket, protocols, selfId);
    if (!check.ok) {
      counters.handshakesFailed++;
      socket.destroy();
      return;
    }
    counters.accepted++;
    const facts = { remoteId: check.peerId, remoteAddress, protocol: check.protocol };
    onConnection(new TlsConnection(socket, new EventReads(socket), facts));
  }
}

function listenError(address: Address, cause: Error & { code?: string }): MosaikError {
  if (cause.code === "EADDRINUSE") {
    return mosaikError("address-in-use", `another socket listens on ${address}`, { details: { address }, cause });
  }
  return badOption("listen", `cannot be bound: ${address} (${cause.code ?? cause.message})`);
}

/** Where a listener can be reached: itself if it is specific, else all of this machine's addresses, loopback last. */
export function reachableAddresses({ host, port }: HostAndPort): readonly Address[] {
  if (host !== "0.0.0.0" && host !== "::") return [formatAddress(host, port)];
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all
    .filter(({ family, scopeid }) => family === "IPv4" || (host === "::" && (scopeid ?? 0) === 0))
    .sort((a, b) => Number(a.internal) - Number(b.internal))
    .map(({ address }) => formatAddress(address, port));
}
