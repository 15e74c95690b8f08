import { type PeerId, UniqueId } from "../../identity/index.ts";
import type { Index, LogPosition, Term } from "../../raft/index.ts";
import type { IncarnationId, StoreId } from "../../storage/index.ts";
import type { Origin } from "../replica/index.ts";

/**
 * `free`: its store belongs to no incarnation. `voter`: named by its incarnation's configuration. `reader`: follows an incarnation
 * without a vote.
 */
export type MemberRole = "free" | "voter" | "reader";

/** What a member tells each bonded member of itself: in the bond's hello, and again at every change. */
export interface MemberStatus {
  readonly storeId: StoreId;
  readonly incarnation: IncarnationId | undefined;
  readonly role: MemberRole;
  /** Its log holds the *open* entry: its incarnation promises to last. */
  readonly isOpen: boolean;
  /** Could be a founder: gave `expect`, is no observer. */
  readonly isEligible: boolean;
  /** The term that it is in; 0 without a vote. */
  readonly term: Term;
  /** Whom it follows, or itself. */
  readonly leader: PeerId | undefined;
  /** As leader: takes commands and strong reads now. */
  readonly isServing: boolean;
  /** Is about to give up its membership. */
  readonly isLeaving: boolean;
  /** Would rather not lead. */
  readonly isReluctant: boolean;
  /** User commands applied. Told at the next change of anything else, and at most once a second. */
  readonly position: number;
  /** Known to be committed. Told with the position. */
  readonly index: Index;
  /** Where its log ends, committed or not. Told with the position. */
  readonly last: LogPosition;
  /** What its incarnation was begun from, the latest last. Told with the position. */
  readonly origins: readonly Origin[];
  /** Incarnations whose stores this process set aside, the latest last. */
  readonly left: readonly IncarnationId[];
}

/** What a member tells before its store is open. */
export const NO_STORE = UniqueId.from("") as StoreId;

/** How many incarnations a member remembers to have left. */
export const LEFT_MAX = 8;

/** Would others learn anything but how far it is? */
export function isSameStatus(a: MemberStatus, b: MemberStatus): boolean {
  return (
    a.storeId === b.storeId &&
    a.incarnation === b.incarnation &&
    a.role === b.role &&
    a.isOpen === b.isOpen &&
    a.isEligible === b.isEligible &&
    a.isServing === b.isServing &&
    a.term === b.term &&
    a.leader === b.leader &&
    a.isLeaving === b.isLeaving &&
    a.isReluctant === b.isReluctant &&
    a.left.length === b.left.length
  );
}

/** Is it as far as it was? */
export function isSameProgress(a: MemberStatus, b: MemberStatus): boolean {
  return (
    a.position === b.position &&
    a.index === b.index &&
    a.last.index === b.last.index &&
    a.last.term === b.last.term &&
    a.origins.length === b.origins.length
  );
}
