/**
 * Groups: a state machine on several nodes, kept equal by Raft.
 *
 * A node that joins a group has one `Member` of it. The member holds *bonds* (one link to each other member), a store, and, once the
 * store is bound to an incarnation, a `Life`: a `RaftDriver` feeds its Raft core, and as reader a `Puller`. The `Founder`
 * binds the store: it founds an incarnation with the members that `expect` asks for, accepts a genesis that names this store, or follows
 * one that is open. Committed entries go through the `Applier` to the `Replica`: the user's machine, the sessions, the position.
 *
 * The node's own commands wait in the `Proposer`, which numbers them and sends them, in order, to whoever leads (`LeaderTerm` appends them),
 * again and again until the own replica applied them. Its strong reads wait in `Reads`. `Calls` is the edge where all this becomes promises.
 *
 * The folders, each importing only those before it: `entries`, `machine` and `sessions`; `replica`; `bonds`; `snapshots` and `requests`; `life`;
 * `founding`. What lies beside this file puts them together.
 *
 * Data flows one way: bonds -> life -> replica -> proposer and conditions. `docs/design/groups.md` has states, frames and invariants.
 */
export { GROUP_PROTOCOL } from "./bonds/index.ts";
export { ENTRY_COMMANDS, ENTRY_GENESIS, ENTRY_OPEN, ENTRY_SESSION, encodeGenesis, votersOf } from "./entries/index.ts";
export { type GroupCode, GroupRegistry, type GroupsContext, type JoinedMember, secretsOf } from "./groups.ts";
export type { GroupProbe, LogStart, ProbeSource, VoterSteering } from "./life/index.ts";
export * from "./machine/index.ts";
export { Replica } from "./replica/index.ts";
export type {
  Consistency,
  Deadline,
  Group,
  GroupStatus,
  Groups,
  GroupTuning,
  GroupWhen,
  LeadershipPreference,
  Member,
  OpenOptions,
  RecoverOptions,
  ReplicaWhen,
  Reset,
  RoleOptions,
} from "./types.ts";
