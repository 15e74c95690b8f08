import type { PeerId, UniqueId } from "../../identity/index.ts";
import type { Entry, HardState, Index, LogPosition, MemberId, Persist, SnapshotMark, Term } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";

/** Whose fact it is. */
export interface ProbeSource {
  readonly peer: PeerId;
  readonly group: UniqueId;
  /** Peer and store: never reused. */
  readonly member: MemberId;
  /** Undefined while the store is free. */
  readonly incarnation: IncarnationId | undefined;
}

/** Where the log of a store begins, and the snapshot that stands for what is before. */
export interface LogStart {
  readonly base: LogPosition;
  readonly snapshot: SnapshotMark;
}

/** How a story makes one member lead. No invariant needs it. */
export interface VoterSteering {
  /** Asks for votes now, by the rules: who hears from a leader refuses. */
  campaign(): void;
  /** If it leads: hands over to this member. */
  transfer(to: MemberId): void;
}

/**
 * An eye on a group's driver, for the simulator's invariants. Called synchronously, in the order in which things happen on that
 * member; every call is a fact, not a wish. It must not throw into the driver and must not call back.
 */
export interface GroupProbe {
  /** The driver starts, with what its store held. Called once a life, before all others. */
  onStart(source: ProbeSource, hardState: HardState, entries: readonly Entry[], start?: LogStart): void;
  /** It votes in this life, and here is its wheel. */
  onVoter(source: ProbeSource, steering: VoterSteering): void;
  /** This write was handed to the store, after all before it. */
  onWrite(source: ProbeSource, persist: Persist): void;
  /** The store says that this hard state, of that write, is durable; called before anything leaves that waited for it. */
  onHardStateDurable(source: ProbeSource, writeId: number, hardState: HardState): void;
  /** The store says that all of that write is durable; called before anything leaves that waited for it. */
  onDurable(source: ProbeSource, writeId: number): void;
  /** A granted vote leaves this member. */
  onVote(source: ProbeSource, term: Term, candidate: MemberId): void;
  /** Entries at and after `from` leave the log (in memory; the write may still be under way). */
  onTruncate(source: ProbeSource, from: Index): void;
  /** These entries enter the log (in memory; the write may still be under way). */
  onAppend(source: ProbeSource, entries: readonly Entry[]): void;
  /** It leads this term, with these voters in force. */
  onLeader(source: ProbeSource, term: Term, voters: readonly MemberId[]): void;
  /** All up to `index` is known to be committed here; `term` is the member's current one. */
  onCommit(source: ProbeSource, index: Index, term: Term): void;
  /** The entry was applied; `position` is the group's position after it. */
  onApply(source: ProbeSource, entry: Entry, position: number): void;
  /** Log and replica were replaced by a snapshot at this place. */
  onRestore(source: ProbeSource, snapshot: SnapshotMark): void;
  /** The log begins after `upTo` from now on; the member's snapshot covers what is up to `snapshot`. */
  onCompact(source: ProbeSource, upTo: Index, snapshot: Index): void;
  /** Another incarnation begins, at `later`, with the state that all of this log leads to. Called before that one starts. */
  onRecover(
    former: ProbeSource,
    later: ProbeSource,
    log: { readonly base: Index; readonly entries: readonly Entry[] },
  ): void;
  /** The store was given up; nothing more will come from this member. */
  onSetAside(source: ProbeSource): void;
}
