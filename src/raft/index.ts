/**
 * The pure Raft core.
 *
 * `Raft.step` takes everything that can happen to a member (ticks, messages, proposals, reads, writes that reached the disk) and
 * returns everything that follows (a write, messages, committed entries, confirmed reads). It never waits, and knows no clock, socket
 * or file, so that a step can be printed, replayed and simulated.
 *
 * The driver owes it four things: writes are done in order, and reported by `persisted`; `sendAfterPersist` leaves only after the
 * write of its step and all before it; a member restarts with exactly what was durable; and a member id is never reused by a store that
 * lost data. Messages may be lost, doubled and reordered.
 *
 * `raft.ts` holds roles and dispatch; the parts, each on its own: `log.ts`, `append.ts` (a follower's comparison), `progress.ts` and
 * `replication.ts` (a leader's followers), `election.ts`, `reads.ts`, `configuration.ts`, `durability.ts`, `quorum.ts`. The design is in
 * `docs/design/raft.md`.
 */
export { bytesOf } from "./log.ts";
export { keepNewest } from "./newest.ts";
export { Raft } from "./raft.ts";
export * from "./types.ts";
