/**
 * mosaik: coordination as a library.
 *
 * `Network.create` makes this process a peer; `network.discovery` tells who else is there; `network.groups.join` makes it a member of a group,
 * whose state machine (`defineMachine`) is replicated by Raft. `mosaik/sim` runs the same code on virtual time.
 */
export type {
  AdmissionRule,
  Attributes,
  Discovery,
  Peer,
  PeerCount,
  PeerEvent,
  PeerRule,
  Ticket,
  TicketRule,
  TicketValidator,
} from "./discovery/index.ts";
export {
  type Conditions,
  type ErrorCode,
  type ErrorDetails,
  type GroupState,
  type Handle,
  type Logger,
  MosaikError,
  type OneOrMore,
  type Options,
  type Outcome,
  type Receipt,
  type RecoverRefusal,
  type SnapshotRefusal,
  type Subscription,
  type Wait,
} from "./env/index.ts";
export {
  type AnyMachine,
  type Applied,
  type ApplyContext,
  type Command,
  type CommandOf,
  type CommandResult,
  type CommandResults,
  type Consistency,
  command,
  type Deadline,
  defineMachine,
  defineStateMachine,
  type Group,
  type GroupStatus,
  type Groups,
  type GroupWhen,
  type LeadershipPreference,
  type Machine,
  type MachineParts,
  type Member,
  type NoMachine,
  type OpenOptions,
  type Positioned,
  type Query,
  type QueryOf,
  type QueryResult,
  type RecoverOptions,
  Rejection,
  type ReplicaWhen,
  type Reset,
  type RoleOptions,
  type StateMachine,
  type StateMachineDefinition,
  type StateMachineOptions,
} from "./groups/index.ts";
export { type PeerId, UniqueId } from "./identity/index.ts";
export { Network } from "./network.ts";
export type { NetworkOptions } from "./network-options.ts";
export {
  type Channel,
  type Consumer,
  type ConsumerOptions,
  defineStream,
  type Lagging,
  type Message,
  type Producer,
  type ProducerOptions,
  type StreamDefinition,
  type Streams,
  type StreamWhen,
} from "./streams/index.ts";
export type { Codec, Schema } from "./wire/index.ts";
