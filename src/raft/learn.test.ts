import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import { type Entry, type Input, type MemberId, Raft, type Ready } from "./index.ts";

const ada = "ada" as MemberId;
const bob = "bob" as MemberId;
const cyd = "cyd" as MemberId;
const CONFIGURATION = 16;

const entry = (index: number, term: number, kind = 20, text = ""): Entry => ({
  index,
  term,
  kind,
  data: Buffer.from(text),
});
const voters = (index: number, term: number, ...names: MemberId[]): Entry =>
  entry(index, term, CONFIGURATION, names.join(" "));

function raft(entries: readonly Entry[], term = entries.at(-1)?.term ?? 1): Raft {
  return new Raft({
    self: ada,
    hardState: { term, votedFor: undefined },
    entries,
    votersOf: ({ kind, data }) =>
      kind === CONFIGURATION ? (Buffer.from(data).toString().split(" ") as MemberId[]) : undefined,
    electionTicks: 10,
    electionTicksMin: 10,
    heartbeatTicks: 2,
    appendBytesMax: 1_000_000,
    appendEntriesMax: 100,
    inflightBytesMax: 1_000_000,
  });
}

const learn = (prev: readonly [number, number], entries: readonly Entry[], commit: number): Input => ({
  type: "learn",
  prev: { index: prev[0], term: prev[1] },
  entries,
  commit,
});

function messagesOf({ send, sendAfterPersist }: Ready): number {
  return send.length + sendAfterPersist.length;
}

describe("learnt entries", () => {
  it("end a campaign: its ballot counts the voters of the log that it began with", () => {
    const [dan, eve] = ["dan" as MemberId, "eve" as MemberId];
    const vote = (from: MemberId, granted: boolean): Input => ({
      type: "message",
      from,
      message: { type: "vote-reply", term: 2, granted },
    });
    const candidate = raft([voters(1, 1, ada, bob, cyd)]);
    candidate.step([{ type: "campaign", electionTicks: 10 }]);
    const preVote: Input = {
      type: "message",
      from: cyd,
      message: { type: "pre-vote-reply", term: 2, granted: true },
    };
    const { persist } = candidate.step([preVote]);
    candidate.step([{ type: "persisted", writeId: persist?.writeId ?? 0 }]);
    equal(candidate.role, "candidate");
    // Two voters came meanwhile, one after the other: three of five elect the next leader without her.
    const added = [voters(2, 1, ada, bob, cyd, dan), voters(3, 1, ada, bob, cyd, dan, eve)];
    candidate.step([learn([1, 1], added, 3)]);
    equal(candidate.role, "follower");
    equal(messagesOf(candidate.step([{ type: "link-opened", peer: cyd }])), 0, "nobody is asked with the newer log");
    candidate.step([vote(cyd, true)]);
    equal(candidate.role, "follower");
    deepEqual(candidate.hardState, { term: 2, votedFor: ada });
  });

  it("continue the log, are written, committed as far as both say, and acknowledged to nobody", () => {
    const reader = raft([voters(1, 1, bob)]);
    const ready = reader.step([learn([1, 1], [entry(2, 3), entry(3, 3)], 2)]);
    deepEqual(
      ready.persist?.entries.map(({ index }) => index),
      [2, 3],
    );
    deepEqual(ready.persist?.hardState, { term: 3, votedFor: undefined });
    deepEqual(
      ready.committed.map(({ index }) => index),
      [1, 2],
    );
    equal(messagesOf(ready), 0);
    equal(reader.step([learn([3, 3], [], 9)]).committed.length, 1);
    equal(reader.commit, 3);
  });

  it("that come twice, or overlap, change nothing", () => {
    const reader = raft([]);
    reader.step([learn([0, 0], [voters(1, 1, bob), entry(2, 1)], 2)]);
    const again = reader.step([learn([0, 0], [voters(1, 1, bob), entry(2, 1)], 2)]);
    equal(again.persist, undefined);
    equal(again.committed.length, 0);
    deepEqual(reader.step([learn([1, 1], [entry(2, 1), entry(3, 1)], 3)]).committed, [entry(3, 1)]);
  });

  it("cut a tail that was never committed, and bring back the voters before it", () => {
    const removed = raft([voters(1, 1, ada, bob, cyd), entry(2, 1), voters(3, 2, ada, bob), entry(4, 2)]);
    deepEqual(removed.voters, [ada, bob]);
    const ready = removed.step([learn([2, 1], [voters(3, 3, bob, cyd)], 3)]);
    equal(ready.persist?.truncateFrom, 3);
    deepEqual(removed.voters, [bob, cyd]);
    equal(removed.last.index, 3);
  });

  it("are refused where the log does not hold the place before them", () => {
    const reader = raft([voters(1, 1, bob), entry(2, 1)]);
    for (const input of [learn([2, 2], [entry(3, 2)], 3), learn([5, 1], [entry(6, 1)], 6)]) {
      const ready = reader.step([input]);
      equal(ready.persist, undefined);
      equal(reader.commit, 0);
    }
  });

  it("are ignored by a leader", () => {
    const leader = raft([voters(1, 1, ada)]);
    const campaign = leader.step([{ type: "campaign", electionTicks: 10 }]);
    leader.step([{ type: "persisted", writeId: campaign.persist?.writeId ?? 0 }]);
    equal(leader.role, "leader");
    const { last } = leader;
    leader.step([learn([last.index, last.term], [entry(last.index + 1, last.term)], last.index + 1)]);
    equal(leader.last.index, last.index);
  });

  it("make nobody a candidate who is no voter, and a voter of whom they name", () => {
    const reader = raft([voters(1, 1, bob)]);
    for (let tick = 0; tick < 50; tick++) equal(messagesOf(reader.step([{ type: "tick", electionTicks: 10 }])), 0);
    reader.step([learn([1, 1], [voters(2, 1, ada, bob)], 2)]);
    let asked = 0;
    for (let tick = 0; tick < 50; tick++) asked += messagesOf(reader.step([{ type: "tick", electionTicks: 10 }]));
    equal(asked > 0, true);
  });
});
