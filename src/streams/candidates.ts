import type { PeerDirectory } from "../discovery/index.ts";
import type { PeerId } from "../identity/index.ts";
import type { Candidate } from "./matching/index.ts";

/** The newest that is known of a peer, ourselves included. */
export function candidateOf(directory: PeerDirectory, id: PeerId): Candidate | undefined {
  const entry = id === directory.selfId ? directory.self : directory.get(id);
  const peer = directory.peer(id);
  return entry === undefined || peer === undefined
    ? undefined
    : { peer, version: entry.version, tickets: entry.tickets };
}
