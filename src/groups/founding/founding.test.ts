import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { incarnation, peer, statusOf, store } from "../../../test/groups/kit.ts";
import type { PeerId } from "../../identity/index.ts";
import type { LogPosition, MemberId } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import { type MemberStatus, NO_STORE } from "../bonds/status.ts";
import { memberId } from "../entries/member-id.ts";
import {
  decideFounding,
  type FoundingView,
  isGone,
  isSucceeded,
  type ProvisionalView,
  type Seen,
  shouldSetAside,
} from "./founding.ts";

/** Peers by id, so that a row can speak of the lowest, the second, … */
const peers: readonly PeerId[] = ["ada", "bob", "cyd", "dan", "eve", "fay"].map(peer).sort();

function seen(rank: number, change: Partial<MemberStatus> = {}): Seen {
  return { peer: peers[rank] as PeerId, status: statusOf({ storeId: store(`of ${rank}`), ...change }) };
}

const named = (...ranks: readonly number[]): MemberId[] =>
  ranks.map((rank) => memberId(peers[rank] as PeerId, store(`of ${rank}`)));

const [low, high] = [incarnation("one"), incarnation("two")].sort() as [IncarnationId, IncarnationId];
const open = (bound: typeof low): Partial<MemberStatus> => ({ role: "voter", incarnation: bound, isOpen: true });
const provisional: Partial<MemberStatus> = { role: "voter", incarnation: low };

function view(expect: number | undefined, self: number, others: readonly Seen[], known = true): FoundingView {
  const eligible = expect !== undefined;
  return { self: seen(self, { isEligible: eligible }), expect, others, untried: [], isSurroundingsKnown: known };
}

const rows: readonly (readonly [title: string, view: FoundingView, step: unknown])[] = [
  ["the lowest of n free members founds at once", view(3, 0, [seen(1), seen(2)]), found([0, 1, 2], 0)],
  ["the second waits one delay", view(3, 1, [seen(0), seen(2)]), found([0, 1, 2], 1)],
  ["the third waits two", view(3, 2, [seen(0), seen(1)]), found([0, 1, 2], 2)],
  ["with more than n, the n lowest vote", view(3, 0, [seen(4), seen(2), seen(1), seen(3)]), found([0, 1, 2], 0)],
  ["a founder beyond the lowest names itself", view(2, 3, [seen(0), seen(1), seen(2)]), found([0, 3], 3)],
  [
    "one that is not bonded yet may be lower",
    { ...view(2, 1, [seen(2)]), untried: [peers[0], peers[3]] as PeerId[] },
    found([1, 2], 1),
  ],
  ["fewer than n wait", view(3, 0, [seen(1)]), { type: "wait" }],
  ["bound members do not count", view(2, 0, [seen(1, provisional)]), { type: "wait" }],
  ["observers do not count", view(2, 0, [seen(1, { isEligible: false })]), { type: "wait" }],
  ["an observer waits", view(undefined, 0, [seen(1), seen(2), seen(3)]), { type: "wait" }],
  ["alone, after one delay", view(1, 0, []), found([0], 1)],
  ["alone, but somebody is left to ask", view(1, 0, [], false), { type: "wait" }],
  ["alone beside a lower one that is free too", view(1, 1, [seen(0)]), found([1], 2)],
  ["alone beside a bound one", view(1, 1, [seen(0, provisional)]), found([1], 1)],
  ["alone in sight of a leader", view(1, 1, [seen(0, { ...provisional, leader: peers[0] })]), { type: "wait" }],
  [
    "not in sight of a leader, whoever it is",
    view(2, 0, [seen(1), seen(2, { ...provisional, leader: peers[5] })]),
    { type: "wait" },
  ],
  [
    "an open store is followed, not founded against",
    view(2, 0, [seen(1), seen(2, open(high))]),
    { type: "follow", incarnation: high },
  ],
  [
    "of rivals the lower id is followed",
    view(2, 0, [seen(1, open(high)), seen(2, open(low)), seen(3, open(high))]),
    { type: "follow", incarnation: low },
  ],
  [
    "what nobody leads to is followed only if there is nothing else",
    view(2, 0, [seen(1, open(high)), seen(2, { ...open(low), role: "reader", distance: 16 })]),
    { type: "follow", incarnation: high },
  ],
  [
    "what nobody leads to is followed, and not founded against",
    view(2, 0, [seen(1), seen(2, { ...open(low), role: "reader", distance: 16 })]),
    { type: "follow", incarnation: low },
  ],
  [
    "an observer does not follow again what it left, while nothing of it leads to a voter",
    {
      ...view(undefined, 0, [seen(1, { ...open(low), role: "reader", distance: 16 })]),
      self: seen(0, { isEligible: false, left: [low] }),
    },
    { type: "wait" },
  ],
  [
    "it does once something of it leads to a voter",
    { ...view(undefined, 0, [seen(1, open(low))]), self: seen(0, { isEligible: false, left: [low, high] }) },
    { type: "follow", incarnation: low },
  ],
  [
    "what it left and leads to a voter comes before what leads nowhere",
    {
      ...view(undefined, 0, [seen(1, open(high)), seen(2, { ...open(low), role: "reader", distance: 16 })]),
      self: seen(0, { isEligible: false, left: [high] }),
    },
    { type: "follow", incarnation: high },
  ],
  [
    "what was begun anew is followed, not the members that are about to start over in it",
    view(2, 0, [
      seen(1, { ...open(low), last: { index: 8, term: 2 } }),
      seen(2, begunFrom(low, { index: 8, term: 2 })),
    ]),
    { type: "follow", incarnation: high },
  ],
  [
    "but if they have a leader, they are rivals",
    view(2, 0, [
      seen(1, { ...open(low), last: { index: 8, term: 2 }, leader: peers[1] }),
      seen(2, begunFrom(low, { index: 8, term: 2 })),
    ]),
    { type: "follow", incarnation: low },
  ],
  ["an observer follows what is open", view(undefined, 0, [seen(1, open(low))]), { type: "follow", incarnation: low }],
  ["an observer does not follow what is not", view(undefined, 0, [seen(1, provisional)]), { type: "wait" }],
];

/** A member of an incarnation that was begun from a log that ended there. */
function begunFrom(former: IncarnationId, last: LogPosition): Partial<MemberStatus> {
  return { ...open(high), origins: [{ incarnation: former, last, position: 3 }] };
}

function found(ranks: readonly number[], afterDelays: number): unknown {
  return { type: "found", voters: named(...ranks), afterDelays };
}

const arbitraryStatus: fc.Arbitrary<Partial<MemberStatus>> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constant({ isEligible: false }) },
  { weight: 1, arbitrary: fc.constant(provisional) },
  { weight: 1, arbitrary: fc.constant({ ...provisional, leader: peers[0] }) },
  { weight: 1, arbitrary: fc.constant(open(low)) },
  { weight: 1, arbitrary: fc.constant(open(high)) },
);
/** Members that all see each other. */
const company = fc
  .array(arbitraryStatus, { minLength: 1, maxLength: peers.length })
  .map((list) => list.map((change, rank) => seen(rank, change)));

describe("founding", () => {
  for (const [title, given, step] of rows) it(title, () => deepEqual(decideFounding(given), step));

  it("of members with one view at most one founds at once, and their delays differ", () => {
    fc.assert(
      fc.property(company, fc.integer({ min: 1, max: 5 }), (members, expect) => {
        const delays = members
          .filter(({ status }) => status.role === "free" && status.isEligible)
          .map((self) => {
            const others = members.filter((other) => other !== self);
            return decideFounding({ self, expect, others, untried: [], isSurroundingsKnown: true });
          })
          .flatMap((step) => (step.type === "found" ? [step.afterDelays] : []));
        equal(new Set(delays).size, delays.length);
      }),
      { numRuns: 500 },
    );
  });

  it("the order in which members are seen changes nothing", () => {
    fc.assert(
      fc.property(
        company,
        fc.integer({ min: 1, max: 5 }),
        fc.infiniteStream(fc.nat(1_000)),
        (members, expect, order) => {
          const [self, ...others] = members as [Seen, ...Seen[]];
          const keys = new Map(others.map((other) => [other, order.next().value as number]));
          const shuffled = [...others].sort((a, b) => (keys.get(a) as number) - (keys.get(b) as number));
          const decide = (list: readonly Seen[]): unknown =>
            decideFounding({ self, expect, others: list, untried: [], isSurroundingsKnown: true });
          deepEqual(decide(shuffled), decide(others));
        },
      ),
    );
  });

  it("a founder names itself, each peer once, and nobody that is not free and eligible", () => {
    fc.assert(
      fc.property(company, fc.integer({ min: 1, max: 5 }), (members, expect) => {
        for (const self of members) {
          if (self.status.role !== "free") continue;
          const others = members.filter((other) => other !== self);
          const step = decideFounding({ self, expect, others, untried: [], isSurroundingsKnown: true });
          if (step.type !== "found") continue;
          equal(step.voters.length, expect);
          equal(new Set(step.voters).size, expect);
          ok(step.voters.includes(memberId(self.peer, self.status.storeId)));
          for (const voter of step.voters) {
            const member = members.find(({ peer: id, status }) => memberId(id, status.storeId) === voter);
            ok(member?.status.role === "free" && member.status.isEligible);
          }
          // Not in sight of a leader, nor of an open store.
          ok(others.every(({ status }) => status.leader === undefined && !status.isOpen));
        }
      }),
      { numRuns: 500 },
    );
  });
});

const [lower, mine, higher] = ["x", "y", "z"].map(incarnation).sort() as [IncarnationId, IncarnationId, IncarnationId];
const leading = (rank: number, bound: IncarnationId, change: Partial<MemberStatus> = {}): Seen =>
  seen(rank, { role: "voter", incarnation: bound, leader: peers[rank], ...change });
const bound: Partial<MemberStatus> = { role: "voter", incarnation: mine };

function provisionalView(change: Partial<ProvisionalView>): ProvisionalView {
  return {
    incarnation: mine,
    voters: named(0, 1, 2),
    expect: 3,
    self: seen(0, bound),
    others: [],
    isLeader: false,
    hasLeader: false,
    isPatienceOver: true,
    ...change,
  };
}

const atOnce = (change: Partial<ProvisionalView>): Partial<ProvisionalView> => ({
  isLeader: true,
  hasLeader: true,
  isPatienceOver: false,
  ...change,
});

const setAsideRows: readonly (readonly [title: string, view: Partial<ProvisionalView>, expected: boolean])[] = [
  ["alone it stays: nothing better is in sight", {}, false],
  ["patience comes first", { isPatienceOver: false, others: [seen(3, open(low))] }, false],
  ["an open incarnation elsewhere ends it", { others: [seen(3, open(low))] }, true],
  ["a leader elsewhere ends it", { others: [seen(3, { ...provisional, leader: peers[3] })] }, true],
  ["somebody bound elsewhere without a leader does not", { others: [seen(3, provisional)] }, false],
  ["with a leader of its own it waits for that one's word", { hasLeader: true, others: [seen(3, open(low))] }, false],
  ["the leader gives up for an open one", { isLeader: true, hasLeader: true, others: [seen(3, open(low))] }, true],
  [
    "two of three voters elsewhere: lost, at once",
    { isPatienceOver: false, others: [seen(1, open(low)), seen(2, { storeId: store("new") })] },
    true,
  ],
  [
    "one of three elsewhere: not lost",
    { isPatienceOver: false, others: [seen(1, provisional), seen(2), seen(3, open(low))] },
    false,
  ],
  ["one of three elsewhere: a leader's is lost", atOnce({ others: [seen(1, provisional), seen(2)] }), true],
  ["a voter whose store is not open yet is not lost", atOnce({ others: [seen(1, { storeId: NO_STORE })] }), false],
  ["a leader gives way at once to an open one", atOnce({ others: [leading(3, higher, { isOpen: true })] }), true],
  ["… not to one that another tells of", atOnce({ others: [seen(3, { ...open(higher), leader: peers[4] })] }), false],
  ["… to one of the lower id, if as many hold it", atOnce({ others: [leading(3, lower)] }), true],
  ["… not to one of the higher", atOnce({ others: [leading(3, higher)] }), false],
  [
    "… to one that more hold",
    atOnce({ others: [leading(3, higher), seen(4, { role: "voter", incarnation: higher })] }),
    true,
  ],
  ["… not to one that fewer hold", atOnce({ others: [leading(3, lower), seen(1, bound)] }), false],
  ["… not to another that leads the same", atOnce({ others: [leading(1, mine)] }), false],
  ["one that does not lead does not give way at once", { isPatienceOver: false, others: [leading(3, lower)] }, false],
  ["enough members to found anew end it", { others: [seen(1), seen(2)] }, true],
  ["one too few do not", { others: [seen(1)] }, false],
  ["observers do not count", { others: [seen(1, { isEligible: false }), seen(2)] }, false],
  ["if all voters hold the genesis, it opens by itself", { others: [seen(1, bound), seen(2, bound)] }, false],
  [
    "a voter with another store does not hold it",
    { others: [seen(1, { ...bound, storeId: store("another") }), seen(2, bound)] },
    true,
  ],
];

describe("a provisional store is set aside", () => {
  for (const [title, change, expected] of setAsideRows) {
    it(title, () => equal(shouldSetAside(provisionalView(change)), expected));
  }

  it("of two leaders that see the same, one gives way", () => {
    const arbitraryHolders = fc.array(fc.constantFrom(lower, higher), { maxLength: 3 });
    fc.assert(
      fc.property(arbitraryHolders, (held) => {
        const rest = held.map((one, i) => seen(2 + i, { role: "voter", incarnation: one }));
        const leaders = [leading(0, lower), leading(1, higher)] as const;
        const gives = [lower, higher].map((own, i) =>
          shouldSetAside(
            provisionalView({
              ...atOnce({
                voters: named(i),
                incarnation: own,
                self: leaders[i as 0 | 1],
                others: [leaders[(1 - i) as 0 | 1], ...rest],
              }),
            }),
          ),
        );
        deepEqual([...gives].sort(), [false, true]);
      }),
    );
  });
});

describe("an incarnation that was begun from a log", () => {
  const own = (index: number, term: number, leader?: PeerId): MemberStatus =>
    statusOf({ ...open(low), last: { index, term }, leader });
  const later = statusOf(begunFrom(low, { index: 8, term: 4 }));
  const cases: readonly (readonly [title: string, status: MemberStatus, isOver: boolean])[] = [
    ["takes in who has the same log", own(8, 4), true],
    ["takes in who has less of it", own(5, 4), true],
    ["takes in who has more of an earlier term: that was never committed", own(20, 3), true],
    ["leaves who has more of its last term", own(9, 4), false],
    ["leaves who has a later term", own(3, 5), false],
    ["leaves who has a leader", own(8, 4, peers[0]), false],
    ["leaves who came from elsewhere", statusOf({ ...open(high), last: { index: 1, term: 1 } }), false],
  ];
  for (const [title, status, isOver] of cases) it(title, () => deepEqual(isSucceeded(status, later), isOver));
});

describe("an observer's incarnation", () => {
  const own = (change: Partial<MemberStatus>): MemberStatus =>
    statusOf({ ...open(low), role: "reader", isEligible: false, distance: 16, ...change });
  const led: Partial<MemberStatus> = { ...open(high), leader: peers[1] };

  it("is gone if nothing of it can be followed, and another one is led", () => {
    equal(isGone(own({}), [seen(1, led)]), true);
    equal(
      isGone(own({}), [seen(1, led), seen(2, own({}))]),
      true,
      "what another one like us remembers of it is nothing",
    );
  });

  it("is not gone while there is a way to a voter, or nowhere to go", () => {
    equal(isGone(own({ distance: 1 }), [seen(1, led)]), false);
    equal(isGone(own({}), [seen(1, open(high))]), false);
    equal(isGone(own({}), [seen(1, { ...led, isOpen: false })]), false);
    equal(isGone(own({}), [seen(1, { ...led, incarnation: low })]), false);
    equal(isGone(own({}), []), false);
  });

  it("is not gone if the member would then follow it again, or nothing", () => {
    const remembered = { ...led, role: "reader", distance: 16 } as const;
    equal(isGone(own({}), [seen(1, remembered)]), true);
    equal(isGone(own({ left: [high] }), [seen(1, remembered)]), false, "it left that one, too");
    equal(isGone(own({ left: [high] }), [seen(1, led)]), true, "which leads to a voter again");
    equal(isGone(own({}), [seen(1, led), seen(2, own({ distance: 1 }))]), false, "there is a way to a voter yet");
  });
});
