import { doesNotThrow, throws } from "node:assert/strict";
import { test } from "node:test";
import type { Entry, HardState, Index, LogPosition, MemberId, Persist, Term } from "../raft/index.ts";
import { DurabilityInvariants } from "./durability-invariants.ts";

const ADA = "ada" as MemberId;
const BOB = "bob" as MemberId;

const log = (from: Index, ...terms: readonly Term[]): Entry[] =>
  terms.map((term, i) => ({ index: from + i, term, kind: 1, data: new Uint8Array(0) }));
const inTerm = (term: Term, votedFor?: MemberId): HardState => ({ term, votedFor });
const write = (writeId: number, change: Partial<Persist>): Persist => {
  return { writeId, hardState: undefined, snapshot: undefined, truncateFrom: undefined, entries: [], ...change };
};

/** Term 2, entries of terms 1 and 2 durable. */
function start(): DurabilityInvariants {
  const stores = new DurabilityInvariants((message) => {
    throw new Error(message);
  });
  stores.onStart("ada", ADA, inTerm(2), log(1, 1, 2));
  return stores;
}

/** A restart that finds this. */
const restart = (stores: DurabilityInvariants, hardState: HardState, entries: Entry[], base?: LogPosition): void =>
  stores.onStart("ada", ADA, hardState, entries, base);
const LOST = /after a restart/;

test("what was durable when the store was opened is there the next time, in whatever life", () => {
  doesNotThrow(() => restart(start(), inTerm(2), log(1, 1, 2)));
  throws(() => restart(start(), inTerm(2), log(1, 1)), LOST);
  throws(() => restart(start(), inTerm(2), log(1, 1, 1)), LOST);
  throws(() => restart(start(), inTerm(1), log(1, 1, 2)), LOST);
});

test("a write that was reported is there; of those under way the first few are, or none", () => {
  const stores = (): DurabilityInvariants => {
    const all = start();
    for (const [i, hardState] of [inTerm(3, ADA), inTerm(3, BOB), inTerm(4)].entries())
      all.onWrite(ADA, write(i + 1, { hardState, entries: log(3 + i, 3) }));
    all.onDurable(ADA, 1);
    return all;
  };
  doesNotThrow(() => restart(stores(), inTerm(3, ADA), log(1, 1, 2, 3)));
  doesNotThrow(() => restart(stores(), inTerm(3, BOB), log(1, 1, 2, 3, 3)));
  doesNotThrow(() => restart(stores(), inTerm(4), log(1, 1, 2, 3, 3, 3)));
  throws(() => restart(stores(), inTerm(2), log(1, 1, 2)), LOST);
  throws(() => restart(stores(), inTerm(3), log(1, 1, 2, 3)), LOST, "a vote is forgotten");
  throws(() => restart(stores(), inTerm(3, ADA), log(1, 1, 2, 3, 3, 3)), LOST, "entries without the term before them");
});

test("a hard state may be there before the entries that came with it; it does not go back", () => {
  const stores = (): DurabilityInvariants => {
    const all = start();
    all.onWrite(ADA, write(1, { entries: log(3, 2) }));
    all.onWrite(ADA, write(2, { hardState: inTerm(3, ADA), entries: log(4, 2) }));
    return all;
  };
  doesNotThrow(() => restart(stores(), inTerm(3, ADA), log(1, 1, 2)));
  doesNotThrow(() => restart(stores(), inTerm(2), log(1, 1, 2, 2)));
  doesNotThrow(() => restart(stores(), inTerm(3, ADA), log(1, 1, 2, 2, 2)));
  throws(() => restart(stores(), inTerm(2), log(1, 1, 2, 2, 2)), LOST, "entries before the term that came with them");
  const voted = stores();
  voted.onHardStateDurable(ADA, 2);
  throws(() => restart(voted, inTerm(2), log(1, 1, 2, 2)), LOST, "a vote is forgotten");
});

test("what was truncated does not come back", () => {
  const stores = start();
  stores.onWrite(ADA, write(1, { truncateFrom: 2, entries: log(2, 3) }));
  stores.onDurable(ADA, 1);
  throws(() => restart(stores, inTerm(2), log(1, 1, 2)), LOST);
});

test("a snapshot replaces the log, and compaction shortens it; neither may take what follows", () => {
  const snapshot = { index: 5, term: 3, voters: [ADA] };
  const stores = (): DurabilityInvariants => {
    const all = start();
    all.onWrite(ADA, write(1, { snapshot, entries: log(6, 3, 4) }));
    all.onDurable(ADA, 1);
    return all;
  };
  doesNotThrow(() => restart(stores(), inTerm(2), log(6, 3, 4), snapshot));
  doesNotThrow(() => restart(stores(), inTerm(2), log(7, 4), { index: 6, term: 3 }));
  throws(() => restart(stores(), inTerm(2), log(7, 4), { index: 6, term: 2 }), LOST);
  throws(() => restart(stores(), inTerm(2), log(6, 3), snapshot), LOST);
  throws(() => restart(stores(), inTerm(2), log(1, 1, 2)), LOST, "the log before the snapshot");
});
