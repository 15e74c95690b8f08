/** Plain numbers that only grow; the network's metrics read them on call. */
export interface DiscoveryCounters {
  dials: number;
  linksUp: number;
  linksDown: number;
  framesReceived: number;
  /** Frames that made no sense; each closed its link. */
  badFrames: number;
  digests: number;
  /** Entries whose signature was checked and held. */
  entriesVerified: number;
  /** Entries that we had already, and did not check again. */
  entriesKnown: number;
  entriesRejected: number;
  /** Entries of a form that we do not read. */
  entriesSkipped: number;
  peersJoined: number;
  peersLeft: number;
  identityConflicts: number;
}

export function newCounters(): DiscoveryCounters {
  return {
    dials: 0,
    linksUp: 0,
    linksDown: 0,
    framesReceived: 0,
    badFrames: 0,
    digests: 0,
    entriesVerified: 0,
    entriesKnown: 0,
    entriesRejected: 0,
    entriesSkipped: 0,
    peersJoined: 0,
    peersLeft: 0,
    identityConflicts: 0,
  };
}
