import { deepEqual, equal, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { incarnation, peer, store } from "../../../test/groups/kit.ts";
import { LIMITS } from "../../env/index.ts";
import { hash } from "../../identity/index.ts";
import type { Entry } from "../../raft/index.ts";
import { DecodeError } from "../../wire/index.ts";
import type { NumberedBatch } from "../entries/batches.ts";
import {
  decodeRun,
  decodeSessionEnd,
  ENTRY_COMMANDS,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  ENTRY_SESSION_END,
  ENTRY_VERSION,
  encodeGenesis,
} from "../entries/entries.ts";
import { memberId } from "../entries/member-id.ts";
import { defineMachine, runtimeOf } from "../machine/index.ts";
import { Replica } from "../replica/replica.ts";
import { batchOf, encodeCommand } from "../testing.ts";
import { LeaderTerm } from "./leader.ts";
import { SessionKeeper } from "./session-keeper.ts";

const Sum = defineMachine("sum", {
  state: () => ({ value: 0 }),
  commands: {
    add: (state, by: number) => {
      state.value += by;
      return state.value;
    },
  },
  queries: { value: (state) => state.value },
});
const runtime = runtimeOf(Sum);

const OWNER = peer("ada");
const key = (name: string): string => Buffer.from(name.padEnd(16)).toString("hex");
const batch = (number: number, by = 1): NumberedBatch => ({
  number,
  ...batchOf([encodeCommand(runtime, { add: by })]),
});
const batches = (...numbers: readonly number[]): NumberedBatch[] => numbers.map((number) => batch(number));

/** A group's log, a replica of it, and leaders by hand. All that is appended is committed. */
class Bench {
  nowUs = 5_000_000;
  readonly log: Entry[] = [];
  readonly replica = new Replica({
    runtime,
    groupId: hash("group"),
    networkId: hash("network"),
    events: { onBatch: () => {}, onSession: () => {}, onSessionEnd: () => {}, onFailure: () => {} },
  });
  term = 1;

  constructor(timeMs = 1_000) {
    const voters = [memberId(peer("ada"), store("ada"))];
    this.add(ENTRY_GENESIS, encodeGenesis({ incarnation: incarnation("x"), timeMs, voters }));
    this.apply();
  }

  add(kind: number, data: Uint8Array): void {
    this.log.push({ index: this.log.length + 1, term: this.term, kind, data });
  }

  apply(upTo = this.log.length): void {
    for (const entry of this.log.slice(this.replica.index, upTo)) this.replica.apply(entry);
  }

  elect(): LeaderTerm {
    this.term++;
    return new LeaderTerm(this.term, this.replica, this.log.slice(this.replica.index), () => this.nowUs);
  }

  /** What the leader appends now. */
  take(leader: LeaderTerm): readonly Entry[] {
    const from = this.log.length;
    for (const { kind, data } of leader.takeDrafts(from + 1)) this.add(kind, data);
    return this.log.slice(from);
  }

  /** All that is appended is committed, and all voters hold it. */
  update(leader: LeaderTerm): void {
    leader.updateServing({ commit: this.log.length, holders: () => 1, voters: 1, isLone: true });
  }

  serve(leader: LeaderTerm): void {
    leader.wantOpen();
    while (!leader.isServing) {
      this.update(leader);
      this.take(leader);
    }
  }

  /** A leader that serves, with a session open at the index that is returned. */
  session(leader: LeaderTerm, name: string): number {
    leader.openSession(key(name), OWNER);
    const [entry] = this.take(leader);
    equal(entry?.kind, ENTRY_SESSION);
    return entry?.index ?? 0;
  }

  numbers(session: number): number[] {
    return this.log
      .filter(({ kind }) => kind === ENTRY_COMMANDS)
      .map(({ data }) => decodeRun(data))
      .filter((run) => run.session === session)
      .flatMap(({ number, batches }) => batches.map((_, i) => number + i));
  }

  times(): number[] {
    return this.log.filter(({ kind }) => kind === ENTRY_COMMANDS).map(({ data }) => decodeRun(data).timeMs);
  }
}

describe("a leader opens its incarnation", () => {
  it("when all voters hold the genesis; serves when all held that too, and the log says so", () => {
    const bench = new Bench();
    const leader = bench.elect();
    const kinds = (): number[] => bench.take(leader).map(({ kind }) => kind);
    const view = { commit: 1, voters: 3, isLone: false };
    leader.updateServing({ ...view, holders: () => 2 });
    equal(leader.wantsToAppend, false);
    leader.updateServing({ ...view, holders: () => 3 });
    equal(leader.wantsToAppend, true);
    deepEqual(kinds(), [ENTRY_OPEN]);
    equal(leader.isOpening, true);

    leader.updateServing({ ...view, commit: 1, holders: () => 3 });
    deepEqual(kinds(), [], "not committed");
    leader.updateServing({ ...view, commit: 2, holders: () => 2 });
    deepEqual(kinds(), [], "a voter does not hold it");
    leader.updateServing({ ...view, commit: 2, holders: () => 3 });
    deepEqual(kinds(), [ENTRY_OPEN]);
    equal(leader.isServing, false, "the next leader could not know");
    leader.updateServing({ ...view, commit: 3, holders: () => 2 });
    equal(leader.isServing, true);
    leader.updateServing({ ...view, commit: 3, holders: () => 1 });
    equal(leader.isServing, true, "for the rest of the term");
    deepEqual(kinds(), []);
  });

  it("a lone one at the first need", () => {
    const bench = new Bench();
    const leader = bench.elect();
    leader.updateServing({ commit: 1, voters: 1, isLone: true, holders: () => 1 });
    equal(leader.wantsToAppend, false);
    leader.wantOpen();
    equal(leader.wantsToAppend, true);
    bench.serve(leader);
  });

  it("once it served, later leaders serve without all voters, with or without a command", () => {
    const bench = new Bench();
    bench.serve(bench.elect());
    for (const isApplied of [false, true]) {
      if (isApplied) bench.apply();
      const next = bench.elect();
      next.updateServing({ commit: bench.log.length - 1, voters: 3, isLone: false, holders: () => 3 });
      equal(next.isServing, false, "not committed");
      next.updateServing({ commit: bench.log.length, voters: 3, isLone: false, holders: () => 2 });
      equal(next.isServing, true);
      deepEqual(bench.take(next), []);
    }
  });

  it("a leader that finds one open entry asks all voters again", () => {
    const bench = new Bench();
    const first = bench.elect();
    first.wantOpen();
    bench.take(first);
    const next = bench.elect();
    next.updateServing({ commit: 2, voters: 3, isLone: false, holders: () => 2 });
    deepEqual([next.isServing, next.wantsToAppend], [false, false]);
    next.updateServing({ commit: 2, voters: 3, isLone: false, holders: () => 3 });
    deepEqual([next.isServing, next.wantsToAppend], [false, true]);
  });

  it("nothing is appended before it serves", () => {
    const bench = new Bench();
    const leader = bench.elect();
    leader.openSession(key("ada"), OWNER);
    equal(leader.takeBatches(3, OWNER, batches(1)), 0, "a session that is not in the log is unknown");
    leader.wantOpen();
    deepEqual(
      bench.take(leader).map(({ kind }) => kind),
      [ENTRY_OPEN],
    );
  });

  it("a member cannot fill its memory with openings, before it serves or after", () => {
    const bench = new Bench();
    const leader = bench.elect();
    for (let i = 0; i < 10; i++) leader.openSession(key(`early ${i}`), OWNER);
    bench.serve(leader);
    deepEqual(bench.take(leader), [], "who asked before must ask again");
    for (let i = 0; i < LIMITS.sessionsMax + 10; i++) leader.openSession(i.toString(16).padStart(32, "0"), OWNER);
    equal(bench.take(leader).length, LIMITS.sessionsMax);
  });
});

describe("a leader ends sessions", () => {
  it("with an entry, after what it took before, and takes nothing more of them", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const [ada, bob] = [bench.session(leader, "ada"), bench.session(leader, "bob")];
    equal(leader.takeBatches(ada, OWNER, batches(1, 2)), undefined);
    leader.endSessions([bob, ada, 999]);
    equal(leader.takeBatches(ada, OWNER, batches(3)), 0, "its end is on its way");
    leader.openSession(key("ada again"), OWNER);
    const entries = bench.take(leader);
    deepEqual(
      entries.map(({ kind }) => kind),
      [ENTRY_COMMANDS, ENTRY_SESSION_END, ENTRY_SESSION],
    );
    deepEqual(decodeSessionEnd(entries[1]?.data as Uint8Array), [ada, bob]);
    equal(leader.takeBatches(ada, OWNER, batches(3)), 0);
    leader.endSessions([ada]);
    deepEqual(bench.take(leader), [], "once");
    bench.apply();
    deepEqual([...bench.replica.sessions.ended.keys()], [ada, bob]);
    equal(bench.replica.position, 2);
    // Whoever leads next finds the end in its log.
    equal(bench.elect().takeBatches(ada, OWNER, batches(3)), 0);
  });

  it("its owner may close its own, and nobody else's", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const ada = bench.session(leader, "ada");
    leader.closeSession(key("ada"), peer("bob"));
    leader.closeSession(key("bob"), OWNER);
    deepEqual(bench.take(leader), []);
    throws(() => leader.takeBatches(ada, peer("bob"), batches(1)), DecodeError);
    leader.closeSession(key("ada"), OWNER);
    deepEqual(
      bench.take(leader).map(({ kind }) => kind),
      [ENTRY_SESSION_END],
    );
  });

  it("ten thousand and one: the one whose owner is away longest makes room, and none if all are in sight", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const hex = (i: number): string => i.toString(16).padStart(32, "0");
    for (let i = 0; i < LIMITS.sessionsMax; i++) leader.openSession(hex(i), peer(`owner ${i}`));
    const [first] = bench.take(leader);
    bench.apply();
    equal(bench.replica.sessions.size, LIMITS.sessionsMax);

    const keeper = new SessionKeeper({ ttlTicks: 100, lookTicks: 1 });
    const seen = new Set<string>();
    const view = { open: bench.replica.sessions.open, isInSight: (owner: string) => seen.has(owner) };
    for (const { owner } of view.open.values()) seen.add(owner);
    const open = (name: string): void =>
      leader.openSession(key(name), peer(name), (isEnding) => keeper.oldest(view, isEnding));
    open("all in sight");
    deepEqual(bench.take(leader), []);

    // Two go away, one after the other; the third is there all the time.
    const [, , second, third] = [...view.open.keys()] as [number, number, number, number];
    seen.delete(view.open.get(third)?.owner as string);
    deepEqual(keeper.tick(view), []);
    seen.delete(view.open.get(second)?.owner as string);
    deepEqual(keeper.tick(view), []);
    open("one more");
    open("and another");
    open("a third finds no room");
    const entries = bench.take(leader);
    deepEqual(decodeSessionEnd(entries[0]?.data as Uint8Array), [second, third]);
    equal(entries.length, 3);
    bench.apply();
    equal(bench.replica.sessions.size, LIMITS.sessionsMax);
    equal(bench.replica.sessions.open.has(first?.index as number), true);
  });
});

describe("an overloaded leader", () => {
  const big = (number: number): NumberedBatch => ({ number, ...batchOf([new Uint8Array(LIMITS.commandBytesMax)]) });
  const several = Array.from({ length: 5 }, (_, i) => `flood ${i}`);

  it("is fair: who has little is taken, and appended in turn, however much others send", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const flooders = several.map((name) => bench.session(leader, name));
    const small = bench.session(leader, "small");
    for (const session of flooders) {
      let number = 1;
      while (leader.takeBatches(session, OWNER, [big(number)]) === undefined) number++;
      equal(number <= LIMITS.leaderRequestBytesMax / LIMITS.commandBytesMax, true, "bounded");
    }
    equal(leader.takeBatches(small, OWNER, batches(1, 2, 3)), undefined, "there is room for it");
    const entries = bench.take(leader);
    const owners = entries.map(({ data }) => decodeRun(data).session);
    deepEqual(owners.slice(0, 6), [...flooders, small], "each in turn");
  });

  it("appends no more than followers may lag behind, and goes on as they catch up", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const session = bench.session(leader, "flood");
    const count = 2 * (LIMITS.leaderUncommittedBytesMax / LIMITS.commandBytesMax);
    for (let number = 1; number <= count; number++) leader.takeBatches(session, OWNER, [big(number)]);
    leader.closeSession(key("flood"), OWNER);
    const bytesOf = (entries: readonly Entry[]) => entries.reduce((bytes, { data }) => bytes + data.length, 0);
    const first = bench.take(leader);
    equal(bytesOf(first) < LIMITS.leaderUncommittedBytesMax + 2 * LIMITS.commandBytesMax, true);
    deepEqual([leader.wantsToAppend, bench.take(leader)], [false, []], "nothing until something is committed");
    leader.onCommit(bench.log.length);
    equal(leader.wantsToAppend, true);
    let rest = bench.take(leader);
    while (leader.wantsToAppend || rest.at(-1)?.kind !== ENTRY_SESSION_END) {
      leader.onCommit(bench.log.length);
      rest = [...rest, ...bench.take(leader)];
    }
    deepEqual(
      bench.numbers(session),
      Array.from({ length: count }, (_, i) => i + 1),
    );
    equal(bench.log.at(-1)?.kind, ENTRY_SESSION_END, "its end comes last");
  });
});

describe("a leader appends batches", () => {
  it("in order, once, and asks for what is missing", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const session = bench.session(leader, "ada");
    equal(leader.takeBatches(session, OWNER, batches(1, 2)), undefined);
    equal(leader.takeBatches(session, OWNER, batches(4)), 3, "3 is missing");
    equal(leader.takeBatches(session, OWNER, batches(1, 2, 3)), undefined, "what is queued is not queued again");
    bench.take(leader);
    equal(leader.takeBatches(session, OWNER, batches(2, 3, 4, 5)), undefined);
    equal(leader.takeBatches(session, OWNER, batches(6, 8)), 7);
    bench.take(leader);
    deepEqual(bench.numbers(session), [1, 2, 3, 4, 5, 6]);
  });

  it("sessions do not disturb each other, and an unknown one is told so", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const [ada, bob] = [bench.session(leader, "ada"), bench.session(leader, "bob")];
    equal(leader.takeBatches(ada, OWNER, batches(1)), undefined);
    equal(leader.takeBatches(bob, OWNER, batches(2)), 1);
    equal(leader.takeBatches(bob, OWNER, batches(1)), undefined);
    equal(leader.takeBatches(ada, OWNER, batches(2)), undefined);
    equal(leader.takeBatches(999, OWNER, batches(1)), 0);
    bench.take(leader);
    deepEqual([bench.numbers(ada), bench.numbers(bob)], [[1, 2], [1]]);
  });

  it("what comes in one turn is one entry for each session, up to its bounds", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const [ada, bob] = [bench.session(leader, "ada"), bench.session(leader, "bob")];
    leader.takeBatches(ada, OWNER, batches(1, 2));
    leader.takeBatches(bob, OWNER, batches(1));
    leader.takeBatches(ada, OWNER, batches(3));
    deepEqual(
      bench.take(leader).map(({ data }) => {
        const { session, number, batches: of } = decodeRun(data);
        return [session, number, of.length];
      }),
      [
        [ada, 1, 3],
        [bob, 1, 1],
      ],
    );
    const heavy = (number: number): NumberedBatch => ({ number, ...batchOf([new Uint8Array(LIMITS.runBytesMax / 2)]) });
    leader.takeBatches(ada, OWNER, [heavy(4), heavy(5), batch(6)]);
    const many = Array.from({ length: LIMITS.runBatchesMax + 1 }, (_, i) => batch(i + 2));
    leader.takeBatches(bob, OWNER, many);
    deepEqual(
      bench.take(leader).map(({ data }) => [decodeRun(data).number, decodeRun(data).batches.length]),
      [
        [4, 2],
        [2, LIMITS.runBatchesMax],
        [6, 1],
        [LIMITS.runBatchesMax + 2, 1],
      ],
    );
    deepEqual(bench.numbers(ada), [1, 2, 3, 4, 5, 6]);
  });

  it("the next leader goes on after the last number of a run that it has not applied", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const session = bench.session(leader, "ada");
    bench.apply();
    leader.takeBatches(session, OWNER, batches(1, 2, 3));
    bench.take(leader);
    const next = bench.elect();
    bench.serve(next);
    equal(next.takeBatches(session, OWNER, batches(5)), 4);
    equal(next.takeBatches(session, OWNER, batches(3, 4)), undefined);
    bench.take(next);
    deepEqual(bench.numbers(session), [1, 2, 3, 4]);
  });

  it("a session is opened once, however often its owner asks", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    leader.openSession(key("ada"), OWNER);
    leader.openSession(key("ada"), OWNER);
    equal(bench.take(leader).length, 1);
    leader.openSession(key("ada"), OWNER);
    equal(bench.take(leader).length, 0);
    bench.apply();
    const next = bench.elect();
    bench.serve(next);
    next.openSession(key("ada"), OWNER);
    equal(bench.take(next).length, 0, "the next leader knows it too");
  });

  it("takes no more than it can hold, and says where to go on", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const session = bench.session(leader, "ada");
    const many = Array.from({ length: LIMITS.leaderRequestsMax + 5 }, (_, i) => batch(i + 1));
    // The other half of the room is for those who hold little.
    const most = LIMITS.leaderRequestsMax / 2;
    equal(leader.takeBatches(session, OWNER, many), most + 1);
    bench.take(leader);
    equal(leader.takeBatches(session, OWNER, many), 2 * most + 1);
    bench.take(leader);
    equal(leader.takeBatches(session, OWNER, many), undefined);
  });

  it("goes on where the last leader stopped: no gap and no number twice, whatever its owner sends again", () => {
    const send = fc.record({
      elect: fc.boolean(),
      applied: fc.nat(40),
      from: fc.integer({ min: 1, max: 12 }),
      count: fc.integer({ min: 1, max: 5 }),
      take: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(send, { maxLength: 30 }), (sends) => {
        const bench = new Bench();
        let leader = bench.elect();
        bench.serve(leader);
        const session = bench.session(leader, "ada");
        for (const { elect, applied, from, count, take } of sends) {
          if (elect) {
            // Part of the log is applied by then, the rest is its tail.
            bench.apply(Math.max(bench.replica.index, Math.min(bench.log.length, applied)));
            leader = bench.elect();
            bench.serve(leader);
          }
          leader.takeBatches(session, OWNER, batches(...Array.from({ length: count }, (_, i) => from + i)));
          if (take) bench.take(leader);
        }
        const numbers = bench.numbers(session);
        deepEqual(
          numbers,
          numbers.map((_, i) => i + 1),
        );
        bench.apply();
        equal(bench.replica.query("value"), numbers.length);
      }),
    );
  });
});

describe("an agreement on versions", () => {
  const support = (version: number, ...commands: readonly string[]) => ({ format: 1, version, commands });
  const kinds = (entries: readonly Entry[]): number[] => entries.map(({ kind }) => kind);

  it("that drops a command lets go of what waits, which was checked by the one before", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const session = bench.session(leader, "ada");
    leader.agreeOn(support(1, "add", "subtract"));
    deepEqual(kinds(bench.take(leader)), [ENTRY_VERSION]);

    equal(leader.takeBatches(session, OWNER, batches(1, 2)), undefined);
    leader.agreeOn(support(2, "add"));
    deepEqual(kinds(bench.take(leader)), [ENTRY_VERSION]);
    equal(leader.takeBatches(session, OWNER, batches(3)), 1, "its owner is told what is missing");
    equal(leader.takeBatches(session, OWNER, batches(1, 2, 3)), undefined);
    bench.take(leader);
    deepEqual(bench.numbers(session), [1, 2, 3]);
  });

  it("that only adds one keeps it, behind the entry", () => {
    const bench = new Bench();
    const leader = bench.elect();
    bench.serve(leader);
    const session = bench.session(leader, "ada");
    leader.agreeOn(support(1, "add"));
    bench.take(leader);
    equal(leader.takeBatches(session, OWNER, batches(1)), undefined);
    leader.agreeOn(support(1, "add", "subtract"));
    deepEqual(kinds(bench.take(leader)), [ENTRY_VERSION, ENTRY_COMMANDS]);
  });
});

describe("the group's clock", () => {
  it("goes on from the log's last time, and never goes back, whoever leads", () => {
    const bench = new Bench(1_000);
    let leader = bench.elect();
    bench.serve(leader);
    const session = bench.session(leader, "ada");
    const add = (number: number): void => {
      leader.takeBatches(session, OWNER, batches(number));
      bench.take(leader);
    };
    bench.nowUs += 500_000;
    add(1);
    bench.nowUs += 250_999;
    add(2);
    // The next leader's monotonic clock began at another time altogether.
    bench.nowUs = 17;
    leader = bench.elect();
    bench.serve(leader);
    add(3);
    bench.nowUs += 40_000;
    add(4);
    bench.apply();
    bench.nowUs = 99;
    leader = bench.elect();
    bench.serve(leader);
    add(5);
    deepEqual(bench.times(), [1_500, 1_750, 1_750, 1_790, 1_790]);
  });
});
