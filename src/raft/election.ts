import { Ballot } from "./ballot.ts";
import type { Core } from "./core.ts";
import { Leadership } from "./leadership.ts";
import { isBehind } from "./log.ts";
import type { MemberId, PreVoteReply, PreVoteRequest, TimeoutNow, VoteReply, VoteRequest } from "./types.ts";

// Elections (Raft paper, sections 5.2 and 5.4.1), preceded by a pre-vote (Ongaro's thesis, section 9.6). Whoever is asked votes by the log
// alone: a member that does not know yet that it is a voter may be needed for the majority.

/** Asks whether a campaign could succeed, before it disturbs anyone. */
export function beginPreVote(core: Core): void {
  core.becomeFollower(core.term, undefined);
  if (!core.mayCampaign) return;
  core.role = "pre-candidate";
  core.ballot = new Ballot(core.voters);
  for (const voter of core.voters) askForVote(core, voter);
  countPreVote(core, core.self, true);
}

export function beginCampaign(core: Core, { isTransfer }: { isTransfer: boolean }): void {
  core.becomeFollower(core.term, undefined);
  if (!core.mayCampaign) return;
  core.durability.hardState = { term: core.term + 1, votedFor: core.self };
  core.role = "candidate";
  core.ballot = new Ballot(core.voters);
  core.isTransferCampaign = isTransfer;
  core.timer.restart();
  for (const voter of core.voters) askForVote(core, voter);
}

/** The voter may not have been reachable when the campaign began. */
export function onVoterReachable(core: Core, voter: MemberId): void {
  if (core.ballot?.hasAnswered(voter) === false && core.voters.includes(voter)) askForVote(core, voter);
}

export function onPreVoteRequest(core: Core, from: MemberId, request: PreVoteRequest): void {
  const granted = request.term > core.term && !isBehind(request.last, core.last) && !isLeaderHeard(core);
  // Nothing is promised, so nothing is recorded, and no disk is waited for.
  core.outbox.send(from, { type: "pre-vote-reply", term: granted ? request.term : core.term, granted });
}

export function onPreVoteReply(core: Core, from: MemberId, reply: PreVoteReply): void {
  if (core.role !== "pre-candidate") return;
  // Only who campaigns learns a term this way: a late refusal must not depose a leader.
  if (!reply.granted && reply.term > core.term) core.becomeFollower(reply.term, undefined);
  else if (!reply.granted || reply.term === core.term + 1) countPreVote(core, from, reply.granted);
}

/** The request's term is not above ours. */
export function onVoteRequest(core: Core, from: MemberId, request: VoteRequest): void {
  const { term, votedFor } = core.durability.hardState;
  const isFree = votedFor === undefined || votedFor === from;
  const granted = request.term === term && isFree && !isBehind(request.last, core.last);
  if (granted && votedFor === undefined) core.durability.hardState = { term, votedFor: from };
  if (granted) core.timer.restart();
  // A vote that a crash can forget elects two leaders, so the reply waits for the disk. It does not speak of our log: a shorter one, which a
  // crash may leave, would have granted it too.
  core.outbox.sendAfterHardState(from, { type: "vote-reply", term, granted });
}

export function onVoteReply(core: Core, from: MemberId, reply: VoteReply): void {
  if (reply.term === core.term) countVote(core, from, reply.granted);
}

/** A candidate's own vote is a vote like any other: it counts once it is on disk. */
export function onPersisted(core: Core): void {
  if (core.durability.isHardStateDurable) countVote(core, core.self, true);
}

export function onTimeoutNow(core: Core, request: TimeoutNow): void {
  if (request.term === core.term && core.role === "follower") beginCampaign(core, { isTransfer: true });
}

function askForVote(core: Core, voter: MemberId): void {
  if (voter === core.self) return;
  const { term, last, isTransferCampaign: isTransfer } = core;
  if (core.role === "pre-candidate") core.outbox.send(voter, { type: "pre-vote", term: term + 1, last });
  // Who crashes campaigns in a later term, if this one is on disk: a vote that arrives then counts for nothing, however short the log is now.
  else core.outbox.sendAfterHardState(voter, { type: "vote", term, last, isTransfer });
}

function countPreVote(core: Core, voter: MemberId, isGranted: boolean): void {
  const result = core.ballot?.record(voter, isGranted);
  if (result === "won") beginCampaign(core, { isTransfer: false });
  else if (result === "lost") core.becomeFollower(core.term, undefined);
}

function countVote(core: Core, voter: MemberId, isGranted: boolean): void {
  if (core.role !== "candidate") return;
  const result = core.ballot?.record(voter, isGranted);
  if (result === "won") becomeLeader(core);
  else if (result === "lost") core.becomeFollower(core.term, undefined);
}

function becomeLeader(core: Core): void {
  core.role = "leader";
  core.leader = core.self;
  core.ballot = undefined;
  core.leadership = new Leadership(core);
  core.leadership.begin();
}

function isLeaderHeard(core: Core): boolean {
  if (core.role === "leader") return true;
  return core.leader !== undefined && core.leaderSilentTicks < core.options.electionTicksMin;
}
