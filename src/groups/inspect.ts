import { peerOf } from "./entries/index.ts";
import type { Member } from "./member.ts";

/** Everything inside a member, as plain JSON for people. */
export function inspectMember(member: Member): object {
  const { life, bonds, proposer, reads, observations } = member;
  return {
    state: member.state,
    ...member.status(),
    voters: life?.voters.map(peerOf) ?? [],
    commit: life?.commit ?? 0,
    applied: life?.replica.index ?? 0,
    sessions: life?.replica.sessions.size ?? 0,
    support: member.compatibility.own,
    agreed: life?.replica.agreed,
    raft: life?.driver.raft.status(),
    following: life?.following,
    snapshots: { ...life?.snapshots.counts },
    commands: proposer.pending,
    reads: reads.pending,
    bonds: bonds.all.map(({ peer, status, machine, link }) => ({
      peer,
      status,
      machine,
      queuedBytes: link.queuedBytes,
    })),
    predecessor: observations.predecessor,
    rivals: observations.rivals,
    counters: { ...observations.counters },
  };
}
