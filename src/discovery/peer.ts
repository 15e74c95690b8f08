import type { OneOrMore } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { asList } from "./options.ts";
import type { PeerEntry } from "./types.ts";

export type Attributes<Value = string> = Readonly<Record<string, Value>>;

/** A peer as users see it: a snapshot, frozen. */
export type Peer = Readonly<{
  id: PeerId;
  addresses: readonly string[];
  tags: ReadonlySet<string>;
  attributes: Attributes;
  /** The shortest of a few round trips, with fractions. Undefined: not measured; somebody has to need it. Of ourselves: 0. */
  rttMs: number | undefined;
}>;

/** One shape wherever peers are chosen; all parts must hold. Only rules with `maxRttMs` cause probes; an unmeasured peer fails it. */
export interface PeerRule {
  readonly tags?: OneOrMore<string> | undefined;
  readonly maxRttMs?: number | undefined;
  readonly where?: ((peer: Peer) => boolean) | undefined;
}

export function makePeer(entry: PeerEntry, rttMs: number | undefined): Peer {
  return Object.freeze({
    id: entry.id,
    addresses: Object.freeze([...entry.addresses]),
    tags: frozenSet(entry.tags),
    attributes: Object.freeze({ ...entry.attributes }),
    rttMs,
  });
}

export function fits(peer: Peer, rule: PeerRule): boolean {
  const { maxRttMs, where } = rule;
  for (const tag of asList(rule.tags)) if (!peer.tags.has(tag)) return false;
  if (maxRttMs !== undefined && !(peer.rttMs !== undefined && peer.rttMs <= maxRttMs)) return false;
  // A promise is no yes, and TypeScript is not everywhere.
  return where === undefined || where(peer) === true;
}

/** `Object.freeze` leaves the content of a set open; this one cannot be changed, and fails loudly. */
function frozenSet(items: readonly string[]): ReadonlySet<string> {
  const refuse = (): never => {
    throw new TypeError("the tags of a peer are read-only");
  };
  const set = new Set(items);
  for (const name of ["add", "delete", "clear"]) Object.defineProperty(set, name, { value: refuse });
  return Object.freeze(set);
}
