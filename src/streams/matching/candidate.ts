import { type Attributes, compareVersions, type EntryVersion, type Peer, type Ticket } from "../../discovery/index.ts";

/** The newest that we know of a peer. */
export interface Candidate {
  readonly peer: Peer;
  /** Of the entry that `peer` and `tickets` are from. A new round trip comes with the same version. */
  readonly version: EntryVersion;
  /** Sorted, as in the entry. */
  readonly tickets: readonly Ticket[];
}

/** An entry that only says again that its peer lives, or where, is the same to those who judge tickets. */
export function isSameToValidators(a: Candidate, b: Candidate): boolean {
  return (
    hasSameTickets(a.tickets, b.tickets) &&
    hasSameTags(a.peer.tags, b.peer.tags) &&
    hasSameAttributes(a.peer.attributes, b.peer.attributes)
  );
}

/** Did the peer start anew between the two? */
export function isOtherLife(a: Candidate, b: Candidate): boolean {
  return a.version.startMs !== b.version.startMs;
}

export function isOlder(a: Candidate, b: Candidate): boolean {
  return compareVersions(a.version, b.version) < 0;
}

function hasSameTickets(a: readonly Ticket[], b: readonly Ticket[]): boolean {
  return (
    a.length === b.length &&
    a.every((ticket, i) => ticket.class === b[i]?.class && Buffer.compare(ticket.data, b[i].data) === 0)
  );
}

function hasSameTags(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((tag) => b.has(tag));
}

function hasSameAttributes(a: Attributes, b: Attributes): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
