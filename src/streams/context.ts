import type { PeerDirectory } from "../discovery/index.ts";
import type { Env, Logger } from "../env/index.ts";
import type { UniqueId } from "../identity/index.ts";
import type { Endpoint } from "../transport/index.ts";
import type { StreamCounters } from "./counters.ts";
import type { StreamLink } from "./stream-link.ts";

/** What all producers and consumers of a network share. */
export interface StreamContext {
  readonly env: Env;
  readonly logger: Logger;
  readonly endpoint: Endpoint;
  readonly directory: PeerDirectory;
  readonly counters: StreamCounters;
  /** A throw that is neither a user's nor a peer's. */
  readonly onBug: (cause: unknown) => void;
  /** A link to the producer of this stream on this node, as `Endpoint.dial`. @throws LinkRefused */
  readonly dialLocal: (stream: UniqueId, opening: Uint8Array) => StreamLink;
}
