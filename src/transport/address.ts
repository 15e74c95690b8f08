import { isIPv4, isIPv6 } from "node:net";
import { LIMITS } from "../env/index.ts";
import { type PeerId, UniqueId } from "../identity/index.ts";
import type { Address, PeerAddress } from "./types.ts";

export interface HostAndPort {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

const HOST_NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/;

/** `host:port` with IPv6 in brackets; undefined for anything else, and above `LIMITS.addressBytesMax`. */
export function parseAddress(text: Address): HostAndPort | undefined {
  if (text.length > LIMITS.addressBytesMax) return undefined;
  const colon = text.lastIndexOf(":");
  const digits = text.slice(colon + 1);
  if (colon < 1 || !/^[0-9]{1,5}$/.test(digits)) return undefined;
  const port = Number(digits);
  if (port > 65_535) return undefined;
  const host = text.slice(0, colon);
  if (host.startsWith("[")) {
    const inner = host.slice(1, -1);
    return host.endsWith("]") && isIPv6(inner) ? { host: inner, port } : undefined;
  }
  return host.length <= 253 && HOST_NAME.test(host) ? { host, port } : undefined;
}

export function formatAddress(host: string, port: number): Address {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** `<peer-id>@host:port`, or `host:port` alone: then the id is learnt from the handshake. Undefined for anything else. */
export function parsePeerAddress(text: string): PeerAddress | undefined {
  const at = text.indexOf("@");
  const id = at < 0 ? undefined : text.slice(0, at).toLowerCase();
  if (id !== undefined && !UniqueId.is(id)) return undefined;
  const address = text.slice(at + 1);
  return parseAddress(address) === undefined ? undefined : { id: id as PeerId | undefined, addresses: [address] };
}

/** What one party is likely to own: an IPv4 address, or the /64 that an IPv6 address lies in (RFC 6177 gives a site no less). */
export function addressBucket(host: string): string {
  const mapped = /^::ffff:(.*)$/i.exec(host)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  if (!isIPv6(host)) return host;
  const [head = "", tail] = host.replace(/%.*$/, "").toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const last = tail === "" ? [] : tail.split(":");
    // A trailing dotted quad stands for two groups.
    const lastCount = last.length + (last.at(-1)?.includes(".") ? 1 : 0);
    while (groups.length + lastCount < 8) groups.push("0");
    groups.push(...last);
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
