import type { TLSSocket } from "node:tls";
import type { PeerId } from "../../identity/index.ts";
import type { DialFailure, Protocol } from "../types.ts";
import { peerIdOf } from "./certificate.ts";

export type PeerCheck =
  | { readonly ok: true; readonly peerId: PeerId; readonly protocol: Protocol }
  | { readonly ok: false; readonly failure: DialFailure; readonly problem: string };

/**
 * All that must hold after a handshake, on both ends. TLS itself lets through a client without ALPN, without a certificate, or with a
 * key of another kind, so nothing is taken for granted.
 */
export function checkPeer(socket: TLSSocket, protocols: readonly Protocol[], selfId: PeerId): PeerCheck {
  if (socket.getProtocol() !== "TLSv1.3") return refuse("handshake-failed", "not TLS 1.3");
  if (socket.isSessionReused()) return refuse("handshake-failed", "a resumed session proves no key");
  const protocol = socket.alpnProtocol;
  if (typeof protocol !== "string" || !protocols.includes(protocol))
    return refuse("alpn-refused", "no common protocol");
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return refuse("handshake-failed", "no certificate");
  const peerId = peerIdOf(certificate);
  if (peerId === undefined) return refuse("handshake-failed", "the certificate's key is not Ed25519");
  if (peerId === selfId) return refuse("self", "this is ourselves");
  return { ok: true, peerId, protocol };
}

function refuse(failure: DialFailure, problem: string): PeerCheck {
  return { ok: false, failure, problem };
}
