/**
 * Connections between proven peers.
 *
 * A `Transport` opens connections: ordered bytes both ways, both ends authenticated by their Ed25519 keys, one protocol each. `tls/` is
 * the real one: TLS 1.3 over TCP, the peer's id being its certificate's key, the protocol agreed by ALPN. `memory/` is the simulator's:
 * the same behaviour and the same failures over virtual time, with faults on demand. One suite, `conformance.ts`, holds both to it.
 *
 * An `Endpoint` makes links of connections: it routes protocols to their handlers, proves the network's secret over key material that
 * only the two ends share, and refuses strangers with a code. All links of a network pass through its one endpoint.
 */
export { formatAddress, type HostAndPort, parseAddress, parsePeerAddress } from "./address.ts";
export type { TransportLimits } from "./admission.ts";
export { type CountingEndpoint, createEndpoint, type EndpointOptions } from "./endpoint.ts";
export type { EndpointCounters } from "./endpoint-counters.ts";
export { type Endpoint, LinkRefused, type ProtocolHandler } from "./endpoint-types.ts";
export type { Conditions } from "./memory/conditions.ts";
export { MemoryNetwork, type MemoryTransportOptions } from "./memory/network.ts";
export { type TlsTransportOptions, tlsTransport } from "./tls/transport.ts";
export {
  type Address,
  type Connection,
  DialError,
  type DialFailure,
  type PeerAddress,
  type Protocol,
  type Transport,
  type TransportCounters,
} from "./types.ts";
