import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MemberId } from "../../raft/index.ts";
import { doMajoritiesMeet, type EntryFact, type InvariantName, RaftInvariants } from "./invariants.ts";

const [ADA, BOB, CYD] = ["ada", "bob", "cyd"] as MemberId[] as [MemberId, MemberId, MemberId];

function fact(index: number, term: number, digest = `${index}/${term}`): EntryFact {
  return { index, term, digest };
}

/** Two members whose logs hold entries 1 and 2 of term 1. */
function start(): RaftInvariants {
  const checker = new RaftInvariants();
  for (const name of [ADA, BOB]) checker.onStart(name, { term: 1, votedFor: undefined }, [fact(1, 1), fact(2, 1)]);
  return checker;
}

function breaks(invariant: InvariantName, run: () => void): void {
  throws(run, { name: "InvariantViolation", invariant });
}

test("an honest history passes", () => {
  const checker = start();
  checker.onHardState(ADA, 2, ADA);
  checker.onLeader(ADA, 2);
  checker.onAppend(ADA, [fact(3, 2)]);
  checker.onAppend(BOB, [fact(3, 2)]);
  for (const name of [ADA, BOB])
    for (const entry of [fact(1, 1), fact(2, 1), fact(3, 2)]) checker.onCommit(name, 2, entry);
  checker.onApply(BOB, fact(1, 1));
  checker.onRead(ADA, 3, checker.committedIndex);
  equal(checker.committedIndex, 3);
});

test("one-vote-per-term: a second vote, a vote taken back, a term that goes back", () => {
  const checker = start();
  checker.onHardState(ADA, 2, BOB);
  breaks("one-vote-per-term", () => checker.onHardState(ADA, 2, ADA));
  breaks("one-vote-per-term", () => checker.onHardState(ADA, 2, undefined));
  breaks("one-vote-per-term", () => checker.onHardState(ADA, 1, undefined));
  breaks("one-vote-per-term", () => checker.onStart(ADA, { term: 2, votedFor: undefined }, []));
});

test("election-safety: two leaders of one term", () => {
  const checker = start();
  checker.onLeader(ADA, 2);
  breaks("election-safety", () => checker.onLeader(BOB, 2));
});

test("log-matching: another entry at a known position, another term before it, a gap", () => {
  breaks("log-matching", () => start().onStart("cyd", { term: 1, votedFor: undefined }, [fact(1, 1, "other")]));
  const checker = start();
  checker.onAppend(ADA, [fact(3, 3)]);
  checker.onTruncate(BOB, 2);
  checker.onAppend(BOB, [fact(2, 2)]);
  breaks("log-matching", () => checker.onAppend(BOB, [fact(3, 3)]));
  breaks("log-matching", () => checker.onAppend(ADA, [fact(5, 3)]));
});

test("leader-completeness: a later leader without a committed entry; one of an earlier term may lack it", () => {
  const checker = start();
  checker.onStart("cyd", { term: 1, votedFor: undefined }, [fact(1, 1)]);
  checker.onCommit(ADA, 3, fact(1, 1));
  checker.onCommit(ADA, 3, fact(2, 1));
  checker.onLeader("cyd", 2);
  breaks("leader-completeness", () => checker.onLeader("cyd", 4));
});

test("state-machine-safety: another entry committed or applied, one applied early or twice", () => {
  const checker = start();
  checker.onCommit(ADA, 1, fact(1, 1));
  breaks("state-machine-safety", () => checker.onCommit(BOB, 2, fact(1, 2)));
  breaks("state-machine-safety", () => checker.onApply(ADA, fact(1, 1, "other")));
  const other = start();
  breaks("state-machine-safety", () => other.onApply(ADA, fact(1, 1)));
  other.onCommit(ADA, 1, fact(1, 1));
  breaks("state-machine-safety", () => other.onApply(BOB, fact(2, 1)));
});

test("committed-prefix-immutable: a known entry removed, or told again", () => {
  const checker = start();
  checker.onCommit(ADA, 1, fact(1, 1));
  breaks("committed-prefix-immutable", () => checker.onCommit(ADA, 1, fact(1, 1)));
  checker.onTruncate(ADA, 2);
  breaks("committed-prefix-immutable", () => checker.onTruncate(ADA, 1));
});

test("snapshot-is-prefix: a snapshot of what was not committed, of another state, with other voters; a log cut too far", () => {
  const place = { index: 2, term: 1, voters: [ADA, BOB] };
  const commit = (): RaftInvariants => {
    const checker = new RaftInvariants();
    const log = [{ ...fact(1, 1), voters: [ADA, BOB] }, fact(2, 1)];
    for (const name of [ADA, BOB]) checker.onStart(name, { term: 1, votedFor: undefined }, log);
    for (const entry of log) checker.onCommit(ADA, 1, entry);
    return checker;
  };
  const checker = commit();
  checker.onSnapshot(BOB, place, checker.stateAt(2));
  checker.onAppend(BOB, [fact(3, 1)]);
  breaks("log-matching", () => checker.onAppend(BOB, [fact(3, 1)]));
  breaks("committed-prefix-immutable", () => checker.onSnapshot(BOB, place));
  breaks("committed-prefix-immutable", () => checker.onTruncate(BOB, 2));
  breaks("snapshot-is-prefix", () => commit().onSnapshot(BOB, { ...place, index: 3 }));
  breaks("snapshot-is-prefix", () => commit().onSnapshot(BOB, { ...place, term: 2 }));
  breaks("snapshot-is-prefix", () => commit().onSnapshot(BOB, place, "another state"));
  breaks("snapshot-is-prefix", () => commit().onSnapshot(BOB, { ...place, voters: [ADA] }));
  breaks("snapshot-is-prefix", () => commit().onCompact(ADA, 2, 2));
  breaks("snapshot-is-prefix", () => commit().onCompact(ADA, 1, 0));
  const start = { base: { index: 1, term: 1 }, snapshot: place };
  checker.onStart("cyd", { term: 1, votedFor: undefined }, [fact(2, 1)], start);
  breaks("configuration-overlap", () => checker.onAppend("cyd", [{ ...fact(3, 1), voters: ["eve" as MemberId] }]));
});

test("linearizable-read: a read that misses what was committed before", () => {
  breaks("linearizable-read", () => start().onRead(ADA, 1, 2));
});

test("configuration-overlap: majorities that need not meet, as by trying all", () => {
  const voters = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"), { minLength: 1 });
  const majorities = (of: string[]) =>
    [...Array(2 ** of.length).keys()]
      .map((bits) => of.filter((_, at) => (bits >> at) & 1))
      .filter((some) => some.length * 2 > of.length);
  fc.assert(
    fc.property(voters, voters, (a, b) => {
      const isMet = majorities(a).every((one) => majorities(b).every((other) => one.some((v) => other.includes(v))));
      equal(doMajoritiesMeet(a, b), isMet);
    }),
  );
  const checker = start();
  checker.onAppend(ADA, [{ ...fact(3, 1), voters: [ADA] }]);
  breaks("configuration-overlap", () => checker.onAppend(ADA, [{ ...fact(4, 1), voters: [BOB] }]));
});

/** Three members whose logs hold a configuration of the first two, committed, and one more entry. */
function startGroup(): RaftInvariants {
  const checker = new RaftInvariants();
  const log = [{ ...fact(1, 1), voters: [ADA, BOB] }, fact(2, 1)];
  for (const name of [ADA, BOB, CYD]) checker.onStart(name, { term: 1, votedFor: undefined }, log);
  checker.onCommit(ADA, 1, log[0] as EntryFact);
  return checker;
}

test("election-quorum: a leader without the votes of a majority of its own voters", () => {
  const checker = startGroup();
  checker.onHardState(ADA, 2, ADA);
  breaks("election-quorum", () => checker.onLeader(ADA, 2));
  checker.onHardState(CYD, 2, ADA);
  breaks("election-quorum", () => checker.onLeader(ADA, 2));
  checker.onHardState(BOB, 2, ADA);
  checker.onLeader(ADA, 2);
});

test("commit-quorum: an entry that a majority of the leader's voters never had", () => {
  const checker = startGroup();
  checker.onCommit(ADA, 1, fact(2, 1));
  checker.onAppend(ADA, [fact(3, 1)]);
  checker.onAppend(CYD, [fact(3, 1)]);
  breaks("commit-quorum", () => checker.onCommit(ADA, 1, fact(3, 1)));
});

test("change-after-commit: a second change on top of one, or before anything of the own term", () => {
  const checker = startGroup();
  checker.onAppend(ADA, [{ ...fact(3, 1), voters: [ADA, BOB, CYD] }]);
  breaks("change-after-commit", () => checker.onAppend(ADA, [{ ...fact(4, 1), voters: [ADA, BOB] }]));
  const other = startGroup();
  other.onAppend(ADA, [fact(3, 2)]);
  breaks("change-after-commit", () => other.onAppend(ADA, [{ ...fact(4, 2), voters: [ADA, BOB, CYD] }]));
});

test("a configuration that is cut off is not in force any more", () => {
  const checker = startGroup();
  checker.onAppend(ADA, [{ ...fact(3, 1), voters: [ADA, BOB, CYD] }]);
  deepEqual(checker.configurations(), [
    [ADA, BOB],
    [ADA, BOB, CYD],
  ]);
  checker.onTruncate(ADA, 3);
  deepEqual(checker.configurations(), [[ADA, BOB]]);
});
