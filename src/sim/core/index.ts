/**
 * Core runs: bare Raft members under a network that loses, doubles and reorders messages, which no real connection may do.
 *
 * A run is one event queue on virtual time. Its seed decides the conditions (how lossy, how slow, how small the messages), each fault and
 * each operation. The invariants watch every step from outside; they know nothing of the run, and node runs use them too.
 */
export {
  doMajoritiesMeet,
  type EntryFact,
  type InvariantName,
  InvariantViolation,
  RaftInvariants,
} from "./invariants.ts";
export { type CoreRunResult, runCore } from "./run.ts";
