import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { incarnation, peer, statusOf } from "../../../test/groups/kit.ts";
import { Scope, VirtualWorld } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Entry, Index, LogPosition } from "../../raft/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { type Bond, type BondFrame, DISTANCE_MAX, type MemberStatus } from "../bonds/index.ts";
import { FollowServer } from "./follow-server.ts";
import { Puller } from "./puller.ts";

const BOUND = incarnation("ada");
type Fetch = BondFrame & { type: "fetch" };
type Entries = BondFrame & { type: "entries" };

const entriesFrom = (after: Index, upTo: Index, term = 1): Entry[] =>
  Array.from({ length: upTo - after }, (_, i) => ({ index: after + 1 + i, term, kind: 1, data: new Uint8Array(0) }));

/** Answers a millisecond after it was asked, with all that it has, as the real one would; what it does instead is up to the test. */
class Source {
  readonly peer: PeerId;
  readonly asked: Fetch[] = [];
  isOpen = true;
  status: MemberStatus;
  answer: (question: Fetch) => BondFrame | undefined = (question) => this.honest(question);
  readonly #bench: Bench;

  constructor(bench: Bench, name: string, change: Partial<MemberStatus>) {
    this.peer = peer(name);
    this.#bench = bench;
    this.status = statusOf({ incarnation: BOUND, role: "voter", isOpen: true, index: 10, ...change });
  }

  get bond(): Bond {
    return this as unknown as Bond;
  }

  honest({ after, commit }: Fetch): BondFrame | undefined {
    const { index } = this.status;
    if (index <= commit) return undefined;
    return {
      type: "entries",
      incarnation: BOUND,
      prev: after,
      entries: entriesFrom(after.index, index),
      commit: index,
    };
  }

  send(frame: BondFrame): void {
    if (frame.type !== "fetch") return;
    this.asked.push(frame);
    this.#bench.scope.after(1, () => {
      const answer = this.isOpen ? this.answer(frame) : undefined;
      if (answer?.type === "entries") this.#bench.take(this, answer);
      if (answer?.type === "fetch-refused") this.#bench.puller.onRefused(this.bond, answer);
    });
  }

  die(): void {
    this.isOpen = false;
    this.#bench.puller.onBondDown(this.bond);
    this.#bench.puller.update(true);
  }
}

/** A reader with a log of entries without content, all of them committed. */
class Bench {
  readonly world = new VirtualWorld({ seed: 1 });
  readonly env = this.world.env("ada");
  readonly scope = new Scope(this.env, (cause) => this.world.fail(cause));
  readonly sources: Source[] = [];
  readonly lies: unknown[] = [];
  leader: PeerId | undefined;
  commit: Index = 0;
  /** Ticks no more. */
  isIdle = false;
  readonly puller = new Puller({
    env: this.env,
    scope: this.scope,
    incarnation: BOUND,
    bonds: () => this.sources.filter(({ isOpen }) => isOpen).map(({ bond }) => bond),
    leader: () => this.leader,
    last: () => this.#end,
    committed: () => this.#end,
    termAt: (index) => (index <= this.commit ? 1 : undefined),
    onSnapshotNeeded: () => {},
    onLearnt: (_prev, entries) => {
      this.commit = Math.max(this.commit, entries[entries.length - 1]?.index ?? 0);
    },
  });

  get #end(): LogPosition {
    return { index: this.commit, term: this.commit === 0 ? 0 : 1 };
  }

  add(name: string, change: Partial<MemberStatus> = {}): Source {
    const source = new Source(this, name, change);
    this.sources.push(source);
    return source;
  }

  take(source: Source, frame: Entries): void {
    try {
      this.puller.onEntries(source.bond, frame);
    } catch (lie) {
      this.lies.push(lie);
      source.die();
    }
    this.puller.update(true);
  }

  /** As a member does at each tick. */
  tick(): void {
    if (this.isIdle) return;
    this.puller.update(true);
    this.scope.after(25, () => this.tick());
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.env.after(ms, resolve));
  }
}

function play(title: string, run: (bench: Bench) => Promise<void>): void {
  it(title, async () => {
    const bench = new Bench();
    await bench.world.run(async () => {
      bench.scope.after(25, () => bench.tick());
      await run(bench);
      bench.isIdle = true;
      bench.puller.stop();
    });
  });
}

describe("who follows", () => {
  play("asks a voter, and not the leader", async (bench) => {
    const reader = bench.add("reader", { role: "reader", distance: 1 });
    const leader = bench.add("leader");
    const voter = bench.add("voter");
    bench.leader = leader.peer;
    bench.puller.update(true);
    await bench.sleep(5_000);
    equal(bench.commit, 10);
    deepEqual([reader.asked.length, leader.asked.length], [0, 0]);
    ok(voter.asked.length > 1, "asked on, to keep the place");
    equal(bench.puller.distance, 1);
  });

  play("asks a reader before the leader, and the leader if there is nobody else", async (bench) => {
    const leader = bench.add("leader");
    const reader = bench.add("reader", { role: "reader", distance: 1 });
    bench.leader = leader.peer;
    bench.puller.update(true);
    await bench.sleep(2_000);
    deepEqual([bench.commit, leader.asked.length, bench.puller.distance], [10, 0, 2]);
    reader.die();
    leader.status = { ...leader.status, index: 20 };
    await bench.sleep(2_000);
    deepEqual([bench.commit, bench.puller.source, bench.puller.distance], [20, leader.peer, 1]);
  });

  play("asks nobody who is farther from the voters than itself: it would ask itself, over others", async (bench) => {
    const voter = bench.add("voter");
    const child = bench.add("child", { role: "reader", distance: 2 });
    bench.puller.update(true);
    await bench.sleep(1_000);
    voter.answer = () => ({ type: "fetch-refused", incarnation: BOUND });
    voter.status = { ...voter.status, index: 20 };
    // Within a second that one hears that we pull from nobody, and says the same.
    bench.isIdle = true;
    bench.sources.splice(0, 1);
    bench.puller.update(true);
    await bench.sleep(900);
    child.status = { ...child.status, distance: DISTANCE_MAX };
    await bench.sleep(5_000);
    equal(child.asked.length, 0);
  });

  play("goes elsewhere when there is no room, and does not ask there again soon", async (bench) => {
    const full = ["bob", "cyd"].map((name) => bench.add(name));
    for (const source of full) source.answer = () => ({ type: "fetch-refused", incarnation: BOUND });
    const reader = bench.add("reader", { role: "reader", distance: 1 });
    bench.puller.update(true);
    await bench.sleep(4_000);
    deepEqual([bench.commit, bench.puller.source], [10, reader.peer]);
    deepEqual(
      full.map(({ asked }) => asked.length),
      [1, 1],
    );
    equal(bench.puller.counts.refused, 2);
  });

  play("asks again in its time when nobody has room", async (bench) => {
    const full = ["bob", "cyd"].map((name) => bench.add(name));
    for (const source of full) source.answer = () => ({ type: "fetch-refused", incarnation: BOUND });
    bench.puller.update(true);
    await bench.sleep(10_000);
    const asked = full.reduce((sum, source) => sum + source.asked.length, 0);
    ok(asked > 5 && asked < 25, `${asked} questions in ten seconds`);
    for (const source of full) source.answer = (question) => source.honest(question);
    await bench.sleep(2_000);
    equal(bench.commit, 10);
  });

  play("leaves a source that dies, and one that is silent while another has more", async (bench) => {
    const [bob, cyd] = ["bob", "cyd"].map((name) => bench.add(name)) as [Source, Source];
    bench.puller.update(true);
    await bench.sleep(100);
    const [first, second] = bench.puller.source === bob.peer ? [bob, cyd] : [cyd, bob];
    first.answer = () => undefined;
    await bench.sleep(5_000);
    equal(bench.puller.source, first.peer, "silent, but nobody has more");
    second.status = { ...second.status, index: 30 };
    await bench.sleep(2_500);
    deepEqual([bench.commit, bench.puller.source, bench.puller.counts.left], [30, second.peer, 1]);
    first.answer = (question) => first.honest(question);
    first.status = { ...first.status, index: 40 };
    second.die();
    await bench.sleep(1_500);
    deepEqual([bench.commit, bench.puller.source], [40, first.peer]);
  });

  play("leaves a source that is slow", async (bench) => {
    const [slow, good] = ["bob", "cyd"].map((name) => bench.add(name, { index: 1_000 })) as [Source, Source];
    good.isOpen = false;
    slow.answer = ({ after }) => {
      const entries = entriesFrom(after.index, after.index + 1);
      return { type: "entries", incarnation: BOUND, prev: after, entries, commit: 1_000 };
    };
    const lazy = slow.answer;
    slow.answer = (question) => (slow.asked.length % 200 === 0 ? undefined : lazy(question));
    bench.puller.update(true);
    await bench.sleep(500);
    good.isOpen = true;
    good.status = { ...good.status, index: 100_000 };
    slow.status = { ...slow.status, index: 100_000 };
    await bench.sleep(8_000);
    equal(bench.commit, 100_000);
    ok(bench.puller.counts.left > 0);
  });

  const lies: Readonly<Record<string, (question: Fetch) => Entries>> = {
    "a commit index that goes back": ({ after, commit }) => ({
      type: "entries",
      incarnation: BOUND,
      prev: after,
      entries: entriesFrom(after.index, after.index + 1),
      commit: commit - 1,
    }),
    "entries that are not committed": ({ after }) => ({
      type: "entries",
      incarnation: BOUND,
      prev: after,
      entries: entriesFrom(after.index, after.index + 5),
      commit: after.index + 2,
    }),
    "more, and not giving it": ({ after }) => ({
      type: "entries",
      incarnation: BOUND,
      prev: after,
      entries: [],
      commit: after.index + 2,
    }),
    "nothing new": ({ after, commit }) => ({ type: "entries", incarnation: BOUND, prev: after, entries: [], commit }),
  };
  for (const [title, lie] of Object.entries(lies)) {
    play(`ends the bond with one that tells of ${title}, and asks it no more`, async (bench) => {
      const liar = bench.add("liar");
      bench.puller.update(true);
      await bench.sleep(100);
      equal(bench.commit, 10);
      liar.answer = lie;
      liar.status = { ...liar.status, index: 20 };
      await bench.sleep(2_000);
      equal(bench.lies.length, 1);
      ok(bench.lies[0] instanceof DecodeError);
      equal(bench.commit, 10, "nothing of it is taken");
      // It comes back.
      const again = bench.add("liar", { index: 30 });
      const honest = bench.add("bob", { index: 20 });
      await bench.sleep(3_000);
      deepEqual([bench.commit, again.asked.length, bench.puller.source], [20, 0, honest.peer]);
    });
  }

  play("takes no other history of what it knows to be committed", async (bench) => {
    const liar = bench.add("liar");
    bench.puller.update(true);
    // Its log went on while the answer was on its way.
    bench.commit = 5;
    const prev = liar.asked[0]?.after as LogPosition;
    const frame: Entries = { type: "entries", incarnation: BOUND, prev, entries: entriesFrom(0, 8, 2), commit: 8 };
    throws(() => bench.puller.onEntries(liar.bond, frame), DecodeError);
    equal(bench.commit, 5);
  });
});

describe("who is followed", () => {
  const question = (commit: Index): Fetch => ({
    type: "fetch",
    incarnation: BOUND,
    after: { index: commit, term: 1 },
    commit,
  });

  class Follower {
    readonly got: string[] = [];
    readonly status: MemberStatus;
    readonly isSlow = false;

    constructor(role: MemberStatus["role"]) {
      this.status = statusOf({ incarnation: BOUND, role, distance: DISTANCE_MAX });
    }
    get bond(): Bond {
      return this as unknown as Bond;
    }
    send(frame: BondFrame): void {
      this.got.push(frame.type);
    }
  }

  it("feeds so many at a time, refuses the others, and has room again when some are gone", () => {
    let nowUs = 0;
    let pullersMax = 2;
    const server = new FollowServer({
      incarnation: BOUND,
      log: {
        commit: 9,
        begin: 0,
        snapshot: 0,
        termAt: () => 1,
        read: (after) => entriesFrom(after, 9),
      },
      nowUs: () => nowUs,
      pullersMax: () => pullersMax,
    });
    const [bob, cyd, dan] = ["bob", "cyd", "dan"].map(() => new Follower("reader")) as [Follower, Follower, Follower];
    for (const follower of [bob, cyd, dan]) server.onFetch(follower.bond, question(3));
    deepEqual([bob.got, cyd.got, dan.got], [["entries"], ["entries"], ["fetch-refused"]]);
    server.onFetch(new Follower("voter").bond, question(3));
    equal(server.pullers, 2, "a voter is not one of them");

    server.onBondDown(bob.bond);
    server.onFetch(dan.bond, question(3));
    equal(dan.got[1], "entries");
    nowUs += 4_000_000;
    server.onFetch(dan.bond, question(3));
    server.onFetch(bob.bond, question(3));
    equal(bob.got[1], "entries", "the place of one that asked no more");

    // It leads now, and has less room.
    pullersMax = 1;
    server.onFetch(bob.bond, question(3));
    server.onFetch(dan.bond, question(3));
    deepEqual([bob.got[2], dan.got[3], server.pullers], ["fetch-refused", "entries", 1]);
  });
});
