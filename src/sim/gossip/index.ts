/**
 * Gossip runs: the pure parts of discovery at five to twenty peers, under a network that loses, doubles, reorders and forges frames, which no
 * real connection may do, while peers come, leave and crash and clocks are wrong.
 *
 * A run is one event queue on virtual time. Its seed decides the conditions, each fault and each change. The invariants watch all catalogs
 * from outside, and know what each peer really signed and when it was really there.
 */
export { type GossipInvariantName, GossipViolation } from "./invariants.ts";
export { type GossipRunResult, runGossip } from "./run.ts";
