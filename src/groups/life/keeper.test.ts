import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { peer, statusOf, store } from "../../../test/groups/kit.ts";
import type { MemberId, ProgressStatus } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import { type MemberStatus, NO_STORE } from "../bonds/status.ts";
import { memberId, peerOf } from "../entries/member-id.ts";
import { Keeper, type KeeperView } from "./keeper.ts";

const INCARNATION = store("incarnation") as unknown as IncarnationId;
const TIMING = { heartbeatTicks: 6, promoteAfterTicks: 4, removeDeadAfterTicks: 20 };

const member = (name: string, at = name): MemberId => memberId(peer(name), store(at));
const [ada, bob, cyd] = [member("ada"), member("bob"), member("cyd")];

function seen(name: string, change: Partial<MemberStatus> = {}, at = name): KeeperView["others"][number] {
  const status = statusOf({ storeId: store(at), incarnation: INCARNATION, role: "reader", index: 100, ...change });
  return { peer: peer(name), status };
}

function follower(of: MemberId, silentTicks = 0): ProgressStatus {
  return { member: of, state: "replicate", match: 100, next: 101, inflightBytes: 0, silentTicks };
}

function view(change: Partial<KeeperView>): KeeperView {
  return {
    self: ada,
    voters: [ada, bob, cyd].sort(),
    progress: [follower(bob), follower(cyd)],
    others: [seen("bob", { role: "voter" }), seen("cyd", { role: "voter" })],
    incarnation: INCARNATION,
    commit: 100,
    isLeaving: false,
    isFit: () => true,
    votersMax: 5,
    ...change,
  };
}

/** Ticks until a change is due, and the change. */
function firstChange(keeper: Keeper, given: KeeperView, ticksMax = 200): readonly [number, string] | undefined {
  for (let tick = 1; tick <= ticksMax; tick++) {
    const change = keeper.tick(given);
    if (change !== undefined)
      return [tick, `${change.type} ${change.member === ada ? "ada" : change.member.slice(0, 6)}`];
  }
  return undefined;
}

const short = (id: MemberId): string => id.slice(0, 6);
const dan = member("dan");
const eve = member("eve");

describe("a leader looks after its voters", () => {
  it("promotes spares that were in sight long enough, when two complete the next odd number", () => {
    const others = [...view({}).others, seen("dan"), seen("eve")];
    const [first] = [dan, eve].sort();
    deepEqual(firstChange(new Keeper(TIMING, new Map()), view({ others })), [4, `add ${short(first as MemberId)}`]);
    equal(firstChange(new Keeper(TIMING, new Map()), view({ others: others.slice(0, 3) })), undefined);
  });

  it("passes over observers, laggards, members that leave, and those of another incarnation", () => {
    const unfit: readonly Partial<MemberStatus>[] = [
      { isEligible: false },
      { isLeaving: true },
      { incarnation: store("another") as unknown as IncarnationId },
      { role: "free", incarnation: undefined },
    ];
    for (const change of unfit) {
      const others = [...view({}).others, seen("dan", change), seen("eve")];
      equal(firstChange(new Keeper(TIMING, new Map()), view({ others })), undefined);
    }
    const far = view({ commit: 5_000, others: [...view({}).others, seen("dan"), seen("eve")] });
    equal(firstChange(new Keeper(TIMING, new Map()), far), undefined);
  });

  it("a spare keeps up with a load of which it tells once a second; one that tells nothing does not", () => {
    const keeper = new Keeper({ ...TIMING, promoteAfterTicks: 100 }, new Map());
    let [told, commit, changes] = [seen("dan"), 100, 0];
    const progress = [follower(bob), follower(cyd, 30)];
    const tick = (): void => {
      commit += 200;
      changes += keeper.tick(view({ commit, progress, others: [...view({}).others, told] })) === undefined ? 0 : 1;
    };
    for (let ticks = 1; ticks < 300; ticks++) {
      tick();
      if (ticks < 100) equal(changes, 0);
      if (ticks % 40 === 0) told = seen("dan", { index: commit });
    }
    ok(changes > 100, "it stayed ready");
    // It is stuck now.
    for (let ticks = 0; ticks < 150; ticks++) tick();
    changes = 0;
    tick();
    equal(changes, 0);
  });

  it("a spare that goes out of sight begins anew; one that was removed before waits twice as long", () => {
    const with2 = view({ others: [...view({}).others, seen("dan"), seen("eve")] });
    const keeper = new Keeper(TIMING, new Map());
    for (let tick = 0; tick < 3; tick++) equal(keeper.tick(with2), undefined);
    equal(keeper.tick(view({})), undefined);
    equal(firstChange(keeper, with2)?.[0], 4);

    const removals = new Map();
    new Keeper(TIMING, removals).onRemoved(dan);
    new Keeper(TIMING, removals).onRemoved(eve);
    equal(firstChange(new Keeper(TIMING, removals), with2)?.[0], 8);
  });

  it("replaces a voter that is silent too long, once a spare is ready, and not before", () => {
    const progress = [follower(bob), follower(cyd, 30)];
    equal(firstChange(new Keeper(TIMING, new Map()), view({ progress })), undefined);
    const others = [...view({}).others, seen("dan")];
    deepEqual(firstChange(new Keeper(TIMING, new Map()), view({ progress, others })), [4, `remove ${short(cyd)}`]);
    const quiet = [follower(bob), follower(cyd, 19)];
    equal(firstChange(new Keeper(TIMING, new Map()), view({ progress: quiet, others })), undefined);
  });

  it("a voter that lost its store is removed for its own new one, which then follows: never two votes for a peer", () => {
    const others = [seen("bob", { role: "voter" }), seen("cyd", {}, "another")];
    const change = new Keeper({ ...TIMING, promoteAfterTicks: 0 }, new Map()).tick(view({ others }));
    deepEqual([change?.type, change?.member], ["remove", cyd]);
    const voters = change?.voters ?? [];
    const next = new Keeper({ ...TIMING, promoteAfterTicks: 0 }, new Map()).tick(
      view({ voters, progress: [follower(bob)], others }),
    );
    deepEqual([next?.type, next?.member], ["add", member("cyd", "another")]);
    equal(new Set(next?.voters.map(peerOf)).size, 3);
  });

  it("a store that is lost counts for no majority, though it answered a moment ago: a silent voter is not removed beside it", () => {
    // Whoever comes first is looked at first.
    const [one, two] = ["bob", "cyd"].sort((a, b) => (member(a) < member(b) ? -1 : 1)) as [string, string];
    const others = [seen(one, { role: "voter" }), seen(two, { role: "reader" }, "another store")];
    const lost = follower(member(two), 1);
    const silent = follower(member(one), TIMING.removeDeadAfterTicks);
    equal(firstChange(new Keeper(TIMING, new Map()), view({ others, progress: [silent, lost] })), undefined);
    const back = [follower(member(one)), lost];
    const change = firstChange(new Keeper(TIMING, new Map()), view({ others, progress: back }));
    deepEqual(change, [4, `remove ${short(member(two))}`]);
  });

  it("a voter that restarts, and whose store is not open yet, is no dead one", () => {
    const others = [seen("bob", { role: "voter" }), seen("dan")];
    const isOpening = { storeId: NO_STORE, incarnation: undefined, role: "free" } as const;
    const given = view({ progress: [follower(bob), follower(cyd, 10)], others: [...others, seen("cyd", isOpening)] });
    equal(firstChange(new Keeper(TIMING, new Map()), given), undefined);
  });

  it("lets go of those who ask, first", () => {
    const others = [seen("bob", { role: "voter", isLeaving: true }), seen("cyd", { role: "voter" })];
    deepEqual(firstChange(new Keeper(TIMING, new Map()), view({ others })), [1, `remove ${short(bob)}`]);
  });
});
