/** Connections. */

export { type Endpoint, LinkRefused, type ProtocolHandler } from "./endpoint-types.ts";
export {
  type Address,
  type Connection,
  DialError,
  type DialFailure,
  type PeerAddress,
  type Protocol,
  type Transport,
} from "./types.ts";
