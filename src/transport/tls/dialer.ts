import { lookup } from "node:dns/promises";
import { isIP, type OnReadOpts } from "node:net";
import { connect as connectTls, type SecureContext, type TLSSocket } from "node:tls";
import { type Env, LIMITS } from "../../env/index.ts";
import { type PeerId, UniqueId } from "../../identity/index.ts";
import { formatAddress, parseAddress } from "../address.ts";
import { attemptWithin } from "../dialing.ts";
import { type Address, DialError, type Protocol } from "../types.ts";
import { TlsConnection } from "./connection.ts";
import type { OpenSockets } from "./open-sockets.ts";
import { checkPeer } from "./peer-check.ts";
import { LentReads } from "./reads.ts";

export interface DialerOptions {
  readonly env: Env;
  readonly selfId: PeerId;
  readonly context: SecureContext;
  /** For one address, names, TCP and TLS together. */
  readonly timeoutMs: number;
  /** The specific address that we listen on, which outgoing connections carry too. */
  readonly bindHost: string | undefined;
  readonly sockets: OpenSockets;
}

export interface DialTarget {
  readonly id: PeerId | undefined;
  readonly address: Address;
  readonly protocol: Protocol;
  readonly signal: AbortSignal;
}

/** RFC 7301, section 3.2. */
const NO_ALPN_ALERT = "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL";

/** One address: its name resolved, its hosts tried in order, each with an equal share of the time that is left. @throws DialError; the reason of the signal */
export async function dialAddress(options: DialerOptions, target: DialTarget): Promise<TlsConnection> {
  const { env, timeoutMs } = options;
  const parsed = parseAddress(target.address);
  if (parsed === undefined) throw new DialError("unreachable", `${target.address} is no host:port`);
  const deadlineUs = env.clock.monotonicUs() + timeoutMs * 1000;
  const hosts = await resolveHost(options, target, parsed.host);
  let last = new DialError("unreachable", `${parsed.host} has no address`);
  for (const [i, host] of hosts.entries()) {
    const leftMs = (deadlineUs - env.clock.monotonicUs()) / 1000;
    try {
      return await dialHost(
        { ...options, timeoutMs: Math.max(1, leftMs / (hosts.length - i)) },
        target,
        host,
        parsed.port,
      );
    } catch (cause) {
      if (!(cause instanceof DialError)) throw cause;
      last = cause;
    }
    target.signal.throwIfAborted();
  }
  throw last;
}

async function resolveHost(options: DialerOptions, target: DialTarget, host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const onTimeout = (): DialError => new DialError("unreachable", `${host} was not resolved in time`);
  const { env, timeoutMs, bindHost } = options;
  return attemptWithin<readonly string[]>({ env, signal: target.signal, timeoutMs, onTimeout }, (resolve, reject) => {
    // An address of the family that we are bound to comes first: the only one that can carry our own address.
    const ours = isIP(bindHost ?? "");
    lookup(host, { all: true }).then(
      (found) =>
        resolve(
          found
            .sort((a, b) => Number(b.family === ours) - Number(a.family === ours))
            .slice(0, LIMITS.resolvedAddressesMax)
            .map(({ address }) => address),
        ),
      (cause: unknown) => reject(new DialError("unreachable", `${host} does not resolve`, cause)),
    );
    return () => {};
  });
}

async function dialHost(
  options: DialerOptions,
  target: DialTarget,
  host: string,
  port: number,
): Promise<TlsConnection> {
  const reads = new LentReads();
  const socket = await openTls(options, target, { host, port, onread: reads.onread });
  reads.attach(socket);
  const check = checkPeer(socket, [target.protocol], options.selfId);
  const remoteAddress = formatAddress(host, port);
  const problem = !check.ok
    ? new DialError(check.failure, `${remoteAddress}: ${check.problem}`)
    : target.id !== undefined && check.peerId !== target.id
      ? new DialError("wrong-peer", `${remoteAddress} is ${UniqueId.short(check.peerId)}`)
      : undefined;
  if (!check.ok || problem !== undefined) {
    socket.destroy();
    throw problem;
  }
  return new TlsConnection(socket, reads, { remoteId: check.peerId, remoteAddress, protocol: check.protocol });
}

/** Where TLS connects to, and how it reads: `tls.connect` hands both on to its TCP socket. */
interface Tcp {
  readonly host: string;
  readonly port: number;
  readonly onread: OnReadOpts;
}

function openTls(options: DialerOptions, target: DialTarget, tcp: Tcp): Promise<TLSSocket> {
  const { env, timeoutMs, bindHost, context, sockets } = options;
  const failed = (problem: string, cause?: unknown): DialError =>
    isConnected
      ? new DialError("handshake-failed", `${target.address}: ${problem}`, cause)
      : new DialError("unreachable", `${formatAddress(tcp.host, tcp.port)}: ${problem}`, cause);
  const onTimeout = (): DialError => failed(isConnected ? "no handshake in time" : "no answer in time");
  let isConnected = false;
  return attemptWithin<TLSSocket>({ env, signal: target.signal, timeoutMs, onTimeout }, (resolve, reject) => {
    // Not written in the call, since the types of Node lack `onread` and `allowHalfOpen` there.
    const connecting = {
      ...tcp,
      ...bindTo(bindHost, tcp.host),
      allowHalfOpen: true,
      secureContext: context,
      ALPNProtocols: [target.protocol],
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    };
    const socket = connectTls(connecting);
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once("connect", () => {
      isConnected = true;
    });
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      const isAlpn = cause.code === NO_ALPN_ALERT;
      reject(
        isAlpn
          ? new DialError("alpn-refused", `${target.address} does not speak ${target.protocol}`, cause)
          : failed(cause.code ?? cause.message, cause),
      );
    });
    const onEarlyClose = (): void => reject(failed("closed"));
    socket.once("close", onEarlyClose);
    socket.once("secureConnect", () => {
      socket.off("close", onEarlyClose);
      resolve(socket);
    });
    return () => socket.destroy();
  });
}

/** Our own address on what we dial, so that both directions of a pair can be told, and cut, by address. Loopback reaches nobody else. */
function bindTo(bindHost: string | undefined, host: string): { readonly localAddress?: string } {
  if (bindHost === undefined || isIP(bindHost) !== isIP(host)) return {};
  return isLoopback(bindHost) && !isLoopback(host) ? {} : { localAddress: bindHost };
}

function isLoopback(host: string): boolean {
  return host.startsWith("127.") || host === "::1";
}
