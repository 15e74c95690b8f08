import type { Conditions, GroupState, Handle, OneOrMore, Options, Receipt, Subscription, Wait } from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import type {
  AnyMachine,
  Applied,
  CommandOf,
  CommandResult,
  CommandResults,
  Machine,
  NoMachine,
  Positioned,
  QueryOf,
  QueryResult,
} from "./machine/index.ts";
import type { Reset } from "./observations.ts";

/** Default: the handle's. A number, since a timer signal for each call is costly. */
export type Deadline = Wait & Options<{ timeoutMs: number }>;

/** `strong` (default): linearizable, on any member. `weak`: this member's state now. `atLeast`: local, once that position is applied. */
export type Consistency = "strong" | "weak" | Readonly<{ atLeast: number }>;
/** `reluctant` waits longer for its turn (the number: how many times longer); `observer` never votes. */
export type LeadershipPreference = "normal" | "reluctant" | Readonly<{ reluctant: number }> | "observer";
export type GroupStatus = Readonly<{
  name: string;
  state: GroupState;
  leader: PeerId | undefined;
  /** User commands applied here. */ position: number;
}>;
export type Member = Readonly<{
  id: PeerId;
  role: "voter" | "learner" | "observer";
  isConnected: boolean;
  position: number | undefined;
}>;

/** `snapshotEveryEntries`: log entries, of one or more commands each, between two snapshots; as many more are kept before it. Default 16,384. */
export type GroupTuning = Options<
  Record<
    | ("heartbeatIntervalMs" | "electionTimeoutMs" | "promoteAfterMs" | "removeDeadAfterMs" | "sessionTtlMs")
    | "snapshotEveryEntries",
    number
  >
>;
export type OpenOptions = Options<{
  /** The deadline of each operation that states none. Default 10,000. */ timeoutMs: number;
  /** Who may be in: proved by each member to each other. Default: all of the network. In a list the first is ours and all are accepted. */
  secret: OneOrMore<string>;
  /** The operator's answer to rivals: an incarnation whose local store is set aside at the start. */
  discard: UniqueId;
  /** Voters at most: the leader makes the largest odd number of the members in sight. 1 to 5, default 5. */
  maxVoters: number;
  /**
   * Makes the group from an `export`, here, with `expect: 1`; others join it without. State and position are carried over, and the group's clock;
   * sessions and receipts are not. If it cannot be the member closes, nothing is stored, and each wait tells (`closed`, `when.online`): with
   * `snapshot-refused` or `machine-failed`. Leave it out once the group exists.
   */
  from: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Default `file` with a `dataDir`, else `memory`. */ storage: "file" | "memory";
  tuning: GroupTuning;
}>;
/** `expect`: how many members found the group; unused once it exists. No default, since a wrong guess makes two groups of one. */
export type RoleOptions =
  | { readonly expect: number; readonly leadership?: Exclude<LeadershipPreference, "observer"> | undefined }
  | { readonly leadership: "observer" };
export interface Groups {
  /** A second call gives another handle to the same member. @throws `definition-conflict` if it differs in machine or storage. */
  join<M extends AnyMachine = NoMachine>(
    name: string,
    options: RoleOptions & OpenOptions & Options<{ machine: M }>,
  ): Group<M>;
}

/** `force`: even if a leader, a majority or a newer log is in sight, or nobody answered; if others serve, there are two groups then. */
export type RecoverOptions = Wait & { readonly acceptDataLoss: true } & Options<{ force: boolean }>;

/** `online`: caught up with a leader. `reaches`: applied here. Both at once if it is so now. */
export type ReplicaWhen = Conditions<"online" | "offline"> & {
  reaches(position: number, options?: Wait): Promise<void>;
};
export type GroupWhen = ReplicaWhen &
  Conditions<"isLeader" | "isFollower" | "noQuorum"> &
  Conditions<"leaderElected" | "leaderChanged", PeerId> & {
    leaderIs(peer: PeerId, options?: Wait): Promise<void>;
    /** Another open incarnation of this group is in sight; resolves with its id. */
    rival(options?: Wait): Promise<UniqueId>;
  };

export interface Group<M extends AnyMachine = NoMachine> extends Handle, GroupStatus {
  readonly id: UniqueId;
  readonly isLeader: boolean;
  /** Of the last leader seen; 0 before. Grows with every election, so it fences. */
  readonly term: number;
  readonly members: readonly Member[];
  readonly when: GroupWhen;
  /**
   * Committed by a majority and applied here, once, in call order, however often it had to be sent. Rides out elections until the
   * deadline.
   *
   * @param command - at most `LIMITS.commandBytesMax` (1 MiB) when encoded
   * @param options.signal - ends the wait, not the command: once it was sent, the error is `outcome-unknown`
   * @throws `group-offline` never sent, handed back in `details.rejected`; not applied
   * @throws `outcome-unknown` sent, and the deadline passed or the group closed; with `details.receipt`
   * @throws `command-rejected` the machine threw `Rejection`; without effect, at a position
   * @throws `schema-rejected`, `not-encodable`, `too-large`, `overloaded`; not applied
   * @throws `machine-failed` the machine threw something else on this member
   */
  execute<const X extends CommandOf<M>>(command: X, options?: Deadline): Promise<Positioned<CommandResult<M, X>>>;
  /** All or none, side by side; `position` is the last one's. `[]` resolves at once. One that is rejected rejects the call; the others are applied. */
  executeMany<const X extends readonly CommandOf<M>[]>(
    commands: X,
    options?: Deadline,
  ): Promise<Positioned<CommandResults<M, X>>>;
  /** Resolves when committed, with its position, which this member knows as it applies it. Without a result: a `Rejection` is no error here, since the command took its position. */
  feed(command: CommandOf<M>, options?: Deadline): Promise<Positioned<void>>;
  feedMany(commands: readonly CommandOf<M>[], options?: Deadline): Promise<Positioned<void>>;
  /** @throws `group-offline` no answer until the deadline */
  query<const X extends QueryOf<M>>(
    query: X,
    options?: Deadline & Options<{ consistency: Consistency }>,
  ): Promise<Positioned<QueryResult<M, X>>>;
  /**
   * What became of a command whose end was `outcome-unknown`. Waits until that is final: `undefined` says that it was not applied, and from
   * now on never will be. May be asked on any member, also after a restart.
   *
   * `result` is what `execute` would have given (a list for several commands) on the node that sent it, as long as its process lives;
   * elsewhere `undefined`.
   *
   * @throws `command-rejected` it was, at a position (elsewhere with the reason `unknown`)
   * @throws `result-unavailable` applied, too long ago to say where; `details.position` is a later one
   * @throws `outcome-unknown` not final at the deadline; or its session ended so long ago that nobody knows any more
   */
  outcomeOf(receipt: Receipt, options?: Deadline): Promise<Positioned<unknown> | undefined>;
  /**
   * Runs `work` whenever this node leads, until the group closes. `signal` aborts when it no longer leads; `term` fences it off then.
   * Work that returns waits for the next term. Work that throws hands over and rejects, unless `signal` had aborted.
   */
  whileLeader(
    work: (leadership: { readonly term: number; readonly signal: AbortSignal }) => void | Promise<void>,
    options?: Wait,
  ): Promise<void>;
  /** What this member applies, from now on. `reset`: entries were left out (slow reader, another copy), so query anew. */
  watch(options?: Wait): Subscription<Applied<M> | Reset>;
  /**
   * Asks the leader to hand over: to this peer, or to the voter that is furthest. Resolves when this member sees the new leader.
   *
   * @throws `group-offline` it did not come to that within the handle's deadline
   */
  transferLeadership(to?: PeerId, options?: Wait): Promise<void>;
  /**
   * Gives up membership and this node's copy, then closes. `close` alone does so only where the copy is in memory: with a durable store the
   * node is expected back.
   *
   * @throws `last-voter` nobody is there to follow; the member stays
   * @throws `group-offline` no leader let it go within the handle's deadline; the member stays
   */
  leave(options?: Wait): Promise<void>;
  /**
   * A backup: the state that this member has applied when it begins, at its `position`, as bytes; without a quorum, too. Give them to `join` as
   * `from`. In pieces of some 256 KiB, with a hash at the end. It takes a second copy of the state in memory meanwhile; the group goes on, however
   * slowly it is read. Who stops reading ends it.
   *
   * @throws `snapshot-refused` nothing to export (`no-state`), or a machine without `snapshot` (`no-snapshot`)
   * @throws `machine-failed`, `storage-failed`; the reason of the signal
   */
  export(options?: Wait): AsyncIterable<Uint8Array>;
  /**
   * For a majority that is lost for ever: begins the group anew from this member's copy. Another incarnation, with this member as its only
   * voter, goes on with the state, position and sessions that its *whole* log leads to; others join it as they find it. Resolves once that is
   * durable; it serves a moment later (`when.online`).
   *
   * What may be lost: writes that were acknowledged by lost members and that this member's log does not hold. What may come to be: writes that
   * were `outcome-unknown`. Never: a write that is applied twice. Should the lost members come back, with their stores, they are a rival
   * (`when.rival`), or start over here if they hold nothing more.
   *
   * A member that has just started waits, within the handle's deadline, until its store is read and, unless `force`d, it knows who is there.
   * An abort has no effect once the new store is in place. Nothing has changed when it throws:
   *
   * @throws `recover-refused` with the `reason`: a leader, a majority of the voters or a member with a newer log is in sight, or nobody
   * answered who could tell (unless `force`d); an observer; nothing to begin from; a machine without `snapshot`; another attempt
   * @throws `machine-failed` the machine is halted here, or threw at an entry that was not committed
   * @throws `storage-full` there is no room for a second copy
   */
  recover(options: RecoverOptions): Promise<void>;
}

export type { Machine, Reset };
