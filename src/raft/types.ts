/** A voter as Raft sees it: an opaque name that is never reused. Groups make it of a peer and a store. */
export type MemberId = string & { readonly "~member": true };
/** Position in the log, from 1; 0 is "before the log". */
export type Index = number;
/** From 1; 0 is "none yet". */
export type Term = number;
/** Where a log ends, or a place in it. */
export interface LogPosition {
  readonly index: Index;
  readonly term: Term;
}

/** What a snapshot stands for: all entries up to its place, and who votes there. */
export interface SnapshotMark extends LogPosition {
  readonly voters: readonly MemberId[];
}

/** One entry. Raft itself looks at `kind` only to know its own no-op, and at `data` only through `RaftOptions.votersOf`. */
export interface Entry extends LogPosition {
  /** `ENTRY_NOOP` is Raft's; all others belong to the user of the core. 0 to 255. */
  readonly kind: number;
  readonly data: Uint8Array;
}
/** The no-op that a leader appends at the start of its term (Raft paper, section 8). */
export const ENTRY_NOOP = 0;

/** What must be on disk before a promise is made to others (Raft paper, figure 2, "persistent state"). */
export interface HardState {
  readonly term: Term;
  readonly votedFor: MemberId | undefined;
}

export type Message =
  | PreVoteRequest
  | PreVoteReply
  | VoteRequest
  | VoteReply
  | AppendRequest
  | AppendReply
  | SnapshotNotice
  | TimeoutNow;

export interface PreVoteRequest {
  readonly type: "pre-vote";
  /** The term that the candidate would begin: its own plus one. */
  readonly term: Term;
  readonly last: LogPosition;
}
export interface PreVoteReply {
  readonly type: "pre-vote-reply";
  /** Granted: the request's term. Refused: the voter's own. */
  readonly term: Term;
  readonly granted: boolean;
}
export interface VoteRequest {
  readonly type: "vote";
  readonly term: Term;
  readonly last: LogPosition;
  /** By a leader's wish (TimeoutNow): the voter's recent contact with a leader is no reason to refuse. */
  readonly isTransfer: boolean;
}
export interface VoteReply {
  readonly type: "vote-reply";
  readonly term: Term;
  readonly granted: boolean;
}
export interface AppendRequest {
  readonly type: "append";
  readonly term: Term;
  readonly prev: LogPosition;
  readonly entries: readonly Entry[];
  readonly commit: Index;
  /** The leader's heartbeat round when this was sent; the reply carries it back. Confirms reads and quorum contact. Never goes back within a term. */
  readonly round: number;
}
export interface AppendReply {
  readonly type: "append-reply";
  readonly term: Term;
  readonly round: number;
  /** `undefined`: accepted. Else where the follower suggests to look next (Ongaro's thesis, section 5.3 of the paper): its last entry that may match. */
  readonly conflict: LogPosition | undefined;
  /** Accepted: the log is known to equal the leader's up to here. Refused: the `prev.index` that did not fit. */
  readonly index: Index;
}
/**
 * What the receiver needs next is no longer in the leader's log: it should fetch a snapshot of this place or a later one, from whom it likes.
 * Takes the place of appends, as a question too; the answer is an `AppendReply` (Raft paper, section 7, but for the data).
 */
export interface SnapshotNotice {
  readonly type: "snapshot";
  readonly term: Term;
  /** The leader's snapshot. Committed. */
  readonly place: LogPosition;
  readonly round: number;
}
/** The leader asks the receiver to campaign at once (Ongaro's thesis, section 3.10). */
export interface TimeoutNow {
  readonly type: "timeout-now";
  readonly term: Term;
}

export interface Envelope<M extends Message = Message> {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly message: M;
}

/** All that can happen to a member. Nothing else changes its state. */
export type Input =
  /** One tick has passed. `electionTicks`: a fresh random timeout, drawn by the driver, used if this tick begins a new wait. */
  | { readonly type: "tick"; readonly electionTicks: number }
  | { readonly type: "message"; readonly from: MemberId; readonly message: Message }
  /** Leader only (else the entries come back in `Ready.dropped`). */
  | { readonly type: "propose"; readonly entries: readonly { readonly kind: number; readonly data: Uint8Array }[] }
  /** Leader only: a linearizable read that the driver calls `id`; ids are never reused. Answered in `Ready.reads` or `Ready.readsRefused`. */
  | { readonly type: "read"; readonly id: number }
  /** The write that `Ready.persist.writeId` named is durable. Writes complete in order. */
  | { readonly type: "persisted"; readonly writeId: number }
  /**
   * Of the write that `Ready.persist.writeId` named, and of those before it, the hard state is durable. May come before `persisted`: entries may
   * have to wait for room on the disk.
   */
  | { readonly type: "hard-state-persisted"; readonly writeId: number }
  /** The link to this member closed. If it led us: campaign (with pre-vote) in `campaignTicks`, and do not refuse pre-votes for its sake. */
  | { readonly type: "link-closed"; readonly peer: MemberId; readonly campaignTicks: number }
  /** A link to this member is up: begin to probe it anew. */
  | { readonly type: "link-opened"; readonly peer: MemberId }
  /**
   * Committed entries that another member handed us, beginning after `prev`. Truncates what contradicts them. Acknowledges nothing. Ignored by
   * a leader, and where the log does not hold `prev`.
   */
  | { readonly type: "learn"; readonly prev: LogPosition; readonly entries: readonly Entry[]; readonly commit: Index }
  /** A snapshot of what was applied up to `snapshot` is durable, and the log is needed no longer up to `upTo`, which is not above it. */
  | { readonly type: "compact"; readonly snapshot: Index; readonly upTo: Index }
  /**
   * The snapshot at this place is here, whole and verified, and not yet in the store. If it is needed, `Ready.persist` says so. A snapshot that
   * does not go beyond the commit index changes nothing; nor does one whose place is in the log, but that its entries are committed then.
   */
  | { readonly type: "installed"; readonly snapshot: SnapshotMark }
  /** Campaign in this very step (with pre-vote), if a voter. */
  | { readonly type: "campaign"; readonly electionTicks: number }
  /** Leader: stop taking proposals, bring `to` (default: the best follower) up to date and tell it to campaign. Given up after one election timeout. */
  | { readonly type: "transfer"; readonly to?: MemberId };

/** A change that must be on disk before `sendAfterPersist` leaves. One write for the whole step; its hard state may be durable before the rest. */
export interface Persist {
  readonly writeId: number;
  readonly hardState: HardState | undefined;
  /** The whole log is replaced by this snapshot, after `hardState` is written and before `entries` are appended. */
  readonly snapshot: SnapshotMark | undefined;
  /** Entries from here on are removed before `entries` are appended. */
  readonly truncateFrom: Index | undefined;
  readonly entries: readonly Entry[];
}

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** Work for the driver, in this order: persist (asynchronously), send, apply, answer reads. */
export interface Ready {
  readonly persist: Persist | undefined;
  /** May leave at once. */
  readonly send: readonly Envelope[];
  /** Wait until the hard state of this step's `persist`, and of all before it, is on disk. */
  readonly sendAfterHardState: readonly Envelope[];
  /** Wait until this step's `persist`, and all before it, are on disk. */
  readonly sendAfterPersist: readonly Envelope[];
  /**
   * Newly committed, contiguous, each once in the life of this object; after a snapshot that `persist` names they go on from there, and what was
   * given out before stays true.
   */
  readonly committed: readonly Entry[];
  /** Fetch a snapshot of this place or a later one. Said again at each question of the leader until that is `installed`. */
  readonly snapshotWanted: LogPosition | undefined;
  /** Confirmed reads: may be answered once the entries up to `index` are applied. */
  readonly reads: readonly { readonly id: number; readonly index: Index }[];
  /** Reads that this member cannot confirm (not the leader, or no longer). */
  readonly readsRefused: readonly number[];
  /** Proposals that were not appended, because this member does not lead or hands over. */
  readonly dropped: readonly { readonly kind: number; readonly data: Uint8Array }[];
}

/** Where a follower stands, as its leader knows. */
export interface ProgressStatus {
  readonly member: MemberId;
  readonly state: "probe" | "replicate" | "snapshot";
  /** Known to be durable there. */
  readonly match: Index;
  readonly next: Index;
  readonly inflightBytes: number;
  /** Ticks since it last answered. */
  readonly silentTicks: number;
}

export interface RaftOptions {
  readonly self: MemberId;
  readonly hardState: HardState;
  /** The durable snapshot, whose state the driver has restored. */
  readonly snapshot?: SnapshotMark | undefined;
  /** Where the durable log begins: the place before its first entry, not above the snapshot's. Default 0/0. */
  readonly base?: LogPosition | undefined;
  /** The durable log, from `base` on, contiguous, reaching at least to the snapshot. Raft keeps it in memory. */
  readonly entries: readonly Entry[];
  /** The voters that this entry establishes, if it is a configuration. In force as soon as it is appended, whether or not committed. Pure. */
  readonly votersOf: (entry: Entry) => readonly MemberId[] | undefined;
  /** The first election timeout, in ticks. */
  readonly electionTicks: number;
  /** Shortest election timeout: what a leader's contact is worth (pre-vote), and how long a leader bears the silence of its quorum (CheckQuorum). */
  readonly electionTicksMin: number;
  readonly heartbeatTicks: number;
  readonly appendBytesMax: number;
  readonly appendEntriesMax: number;
  readonly inflightBytesMax: number;
}

/** All there is to see of a member; plain data for `inspect`. */
export interface RaftStatus {
  readonly self: MemberId;
  readonly role: Role;
  readonly term: Term;
  readonly votedFor: MemberId | undefined;
  readonly leader: MemberId | undefined;
  readonly commit: Index;
  /** Entries up to here are on disk. */
  readonly durable: Index;
  readonly last: LogPosition;
  /** The place before the first entry of the log. */
  readonly base: LogPosition;
  /** What the latest snapshot covers; 0: there is none. */
  readonly snapshotIndex: Index;
  readonly voters: readonly MemberId[];
  /** Of the entry that established the voters, or of the snapshot that named them; 0: none did. */
  readonly configurationIndex: Index;
  readonly handingOverTo: MemberId | undefined;
  readonly electionRemainingTicks: number;
  readonly readsWaiting: number;
  readonly progress: readonly ProgressStatus[];
}
