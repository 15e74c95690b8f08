/**
 * Who is there.
 *
 * Every peer says of itself, signed: where it is reached, its tags and attributes, the groups it is in. These entries spread over
 * persistent links between neighbours: what is new to a node it pushes to all its neighbours at once, and what a push missed is found
 * by comparing digests, at each new link and then every few seconds. So all nodes come to hold the same catalog, and nobody is asked.
 *
 * What neighbours tell each other (`gossip.ts`), the catalog (`catalog.ts`) and the comparison (`digest.ts`) are pure, and run in the
 * simulator by themselves. The entries of one peer are totally ordered by (start, update),
 * and its signed departure is the last word on a life; merging takes the greater, so order and repetition do not matter. Silence is
 * judged by each receiver's own clock. What moves (`driver.ts`) is links, dials and a few timers.
 */
export { Catalog, type CatalogRecord, type Now } from "./catalog.ts";
export { type DiscoveryCounters, newCounters } from "./counters.ts";
export type { Advertisement, Discovery, PeerCount, PeerEvent } from "./discovery.ts";
export { checkDeparture, decodeSignedEntry, signDeparture } from "./entry.ts";
export { Gossip, type GossipEffect, type GossipInit } from "./gossip.ts";
export { LocalEntry } from "./local.ts";
export {
  DISCOVERY_PROTOCOL,
  decodeDigest,
  decodeNews,
  decodeWant,
  encodeDigest,
  encodeNews,
  encodeWant,
  FRAME,
  type News,
} from "./messages.ts";
export { asList, checkAttributes, checkBootstrap, checkTags } from "./options.ts";
export { OwnKey } from "./own-key.ts";
export { type Attributes, fits, type Peer, type PeerRule } from "./peer.ts";
export { PROBE_FRAME, PROBE_PROTOCOL } from "./probes.ts";
export { createDiscovery, type DiscoveryOptions, type DiscoveryService } from "./service.ts";
export { DEFAULT_SETTINGS, type Settings } from "./settings.ts";
export {
  type AdmissionRule,
  checkTicketSources,
  issueTickets,
  type TicketRule,
  type TicketSource,
  type TicketValidator,
} from "./tickets.ts";
export type {
  Departure,
  DirectoryChange,
  EntryVersion,
  PeerDirectory,
  PeerEntry,
  SignedEntry,
  Ticket,
} from "./types.ts";
export { compareVersions } from "./version.ts";
