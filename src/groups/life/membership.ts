import type { MemberId } from "../../raft/index.ts";

/** What a leader knows when it looks after its voters. */
export interface MembershipView {
  readonly self: MemberId;
  readonly voters: readonly MemberId[];
  /** Eligible readers that are caught up and were in sight long enough, best first. */
  readonly spares: readonly MemberId[];
  /** Voters that were silent too long, or whose peer shows another store. */
  readonly dead: ReadonlySet<MemberId>;
  /** Voters that asked to go. */
  readonly leaving: ReadonlySet<MemberId>;
  /** Who answered within the last heartbeat; the leader itself included. */
  readonly heard: ReadonlySet<MemberId>;
  readonly votersMax: number;
}

/** One voter more or less. */
export interface MembershipChange {
  readonly type: "add" | "remove";
  readonly member: MemberId;
  readonly voters: readonly MemberId[];
}

/**
 * Decides the next change of the voters, if there is one. Pure.
 *
 * 1. Whoever asked to go, goes; a spare follows by rule 3. The leader itself first hands over, so it is never removed here.
 * 2. A dead voter goes only when a spare is there to follow it: failures alone never shrink a group, or a minority would become its own
 *    majority step by step.
 * 3. Voters grow to the largest odd number that `votersMax` and the members in sight allow: an even number bears no more failures than the odd one
 *    below it, so spares wait until the next odd number is reached.
 *
 * Every change needs a majority of the *new* voters heard just now, so that no change is begun that could not be finished.
 */
export function decideMembership(view: MembershipView): MembershipChange | undefined {
  const change = leaving(view) ?? replacement(view) ?? growth(view);
  return change !== undefined && isHeardByMajority(change.voters, view.heard) ? change : undefined;
}

/** The largest odd number of voters that so many members allow. */
export function votersTarget(members: number, votersMax: number): number {
  const most = Math.min(members, votersMax);
  return most % 2 === 1 ? most : Math.max(most - 1, 0);
}

function leaving({ self, voters, leaving: asked }: MembershipView): MembershipChange | undefined {
  return removal(
    voters,
    voters.find((voter) => voter !== self && asked.has(voter)),
  );
}

function replacement({ self, voters, dead, spares }: MembershipView): MembershipChange | undefined {
  if (spares.length === 0) return undefined;
  return removal(
    voters,
    voters.find((voter) => voter !== self && dead.has(voter)),
  );
}

function growth({ self, voters, spares, votersMax, leaving: asked }: MembershipView): MembershipChange | undefined {
  const [member] = spares;
  // A leader that wants to go does not count itself: somebody must be there to take over.
  const staying = voters.length - (asked.has(self) && voters.includes(self) ? 1 : 0);
  if (member === undefined || staying >= votersTarget(staying + spares.length, votersMax)) return undefined;
  return { type: "add", member, voters: [...voters, member].sort() };
}

function removal(voters: readonly MemberId[], member: MemberId | undefined): MembershipChange | undefined {
  if (member === undefined || voters.length === 1) return undefined;
  return { type: "remove", member, voters: voters.filter((voter) => voter !== member) };
}

function isHeardByMajority(voters: readonly MemberId[], heard: ReadonlySet<MemberId>): boolean {
  return voters.filter((voter) => heard.has(voter)).length * 2 > voters.length;
}
