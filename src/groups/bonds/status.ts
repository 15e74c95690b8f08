import { type PeerId, UniqueId } from "../../identity/index.ts";
import type { Index, LogPosition, Term } from "../../raft/index.ts";
import type { IncarnationId, StoreId } from "../../storage/index.ts";
import { type ByteReader, type ByteWriter, DecodeError } from "../../wire/index.ts";
import { type Origin, readOrigins, writeOrigins } from "../replica/index.ts";
import { readPosition, writePosition } from "./raft-codec.ts";

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
  /** The term that it is in, or that it heard of without a vote. */
  readonly term: Term;
  /** Whom it follows, or itself. */
  readonly leader: PeerId | undefined;
  /** As leader: takes commands and strong reads now. */
  readonly isServing: boolean;
  /** Is about to give up its membership. */
  readonly isLeaving: boolean;
  /** Would rather not lead. */
  readonly isReluctant: boolean;
  /** Its disk has no room for entries; as leader: or those of so many voters have none that nothing can be committed. */
  readonly isFull: boolean;
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
  /** From a voter, over those who pull from each other: 0 for a voter, `DISTANCE_MAX` for who pulls from nobody. */
  readonly distance: number;
}

/** Over so many others nothing is pulled: it would be old, or go round in a circle. */
export const DISTANCE_MAX = 16;

/** What a member tells before its store is open. */
export const NO_STORE = UniqueId.from("") as StoreId;

/** How many incarnations a member remembers to have left. */
export const LEFT_MAX = 8;

const ROLES: readonly MemberRole[] = ["free", "voter", "reader"];
const FLAG = { open: 1, eligible: 2, serving: 4, leaving: 8, reluctant: 16, full: 32 } as const;

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
    a.isFull === b.isFull &&
    a.left.length === b.left.length &&
    a.distance === b.distance
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

/** Later versions may append fields. */
export function writeStatus(writer: ByteWriter, status: MemberStatus): void {
  const flags =
    (status.isOpen ? FLAG.open : 0) |
    (status.isEligible ? FLAG.eligible : 0) |
    (status.isServing ? FLAG.serving : 0) |
    (status.isLeaving ? FLAG.leaving : 0) |
    (status.isReluctant ? FLAG.reluctant : 0) |
    (status.isFull ? FLAG.full : 0);
  writer.id(status.storeId).u8(ROLES.indexOf(status.role)).u8(flags);
  writer.varint(status.term).varint(status.position).varint(status.index);
  writeOptionalId(writer, status.incarnation);
  writeOptionalId(writer, status.leader);
  writer.varint(status.left.length);
  for (const incarnation of status.left) writer.id(incarnation);
  writePosition(writer, status.last);
  writeOrigins(writer, status.origins);
  writer.varint(status.distance);
}

/** @throws DecodeError */
export function readStatus(reader: ByteReader): MemberStatus {
  const storeId = reader.id() as StoreId;
  const role = ROLES[reader.u8()];
  if (role === undefined) throw new DecodeError("a member of an unknown role");
  const flags = reader.u8();
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const term = reader.varint();
  const position = reader.varint();
  const index = reader.varint();
  const incarnation = readOptionalId(reader) as IncarnationId | undefined;
  const leader = readOptionalId(reader) as PeerId | undefined;
  if ((role === "free") !== (incarnation === undefined)) throw new DecodeError("a member is free or bound, not both");
  const left: IncarnationId[] = [];
  for (let count = reader.count(LEFT_MAX, 32); count > 0; count--) left.push(reader.id() as IncarnationId);
  const last = readPosition(reader);
  const origins = readOrigins(reader);
  // Whoever does not tell is bonded with all voters.
  const distance = reader.remaining > 0 ? reader.varint(DISTANCE_MAX) : role === "voter" ? 0 : 1;
  return {
    storeId,
    incarnation,
    role,
    isOpen: has(FLAG.open),
    isEligible: has(FLAG.eligible),
    isServing: has(FLAG.serving),
    isLeaving: has(FLAG.leaving),
    isReluctant: has(FLAG.reluctant),
    isFull: has(FLAG.full),
    term,
    leader,
    position,
    index,
    left,
    last,
    origins,
    distance,
  };
}

export function writeOptionalId(writer: ByteWriter, id: UniqueId | undefined): void {
  writer.bool(id !== undefined);
  if (id !== undefined) writer.id(id);
}

export function readOptionalId(reader: ByteReader): UniqueId | undefined {
  return reader.bool() ? reader.id() : undefined;
}
