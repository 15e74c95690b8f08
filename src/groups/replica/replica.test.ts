import { deepEqual, equal, match, notDeepEqual, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { incarnation, peer, store } from "../../../test/groups/kit.ts";
import { hash, type UniqueId } from "../../identity/index.ts";
import type { Entry } from "../../raft/index.ts";
import {
  ENTRY_COMMANDS,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  ENTRY_SESSION_END,
  ENTRY_VERSION,
  encodeGenesis,
  encodeOpen,
  encodeRun,
  encodeSession,
  encodeSessionEnd,
  encodeVersion,
} from "../entries/entries.ts";
import { memberId } from "../entries/member-id.ts";
import {
  type AnyMachine,
  type ApplyContext,
  defineMachine,
  defineStateMachine,
  Rejection,
  runtimeOf,
} from "../machine/index.ts";
import { batchOf, encodeCommand } from "../testing.ts";
import { type AppliedBatch, type MachineFailure, Replica } from "./replica.ts";

interface State {
  seen: { by: number; position: number; index: number; term: number; timeMs: number; random: readonly number[] }[];
}

const Recorder = defineMachine("recorder", {
  state: (): State => ({ seen: [] }),
  commands: {
    add: (state, by: number, context: ApplyContext) => {
      if (by < 0) throw new Rejection("negative", { by });
      if (by === 666) throw new Error("the machine's own bug");
      const { position, index, term, timeMs, random } = context;
      state.seen.push({ by, position, index, term, timeMs, random: [random(), random()] });
      return state.seen.length;
    },
  },
  queries: { seen: (state) => state.seen, sum: (state) => state.seen.reduce((sum, { by }) => sum + by, 0) },
});
const runtime = runtimeOf(Recorder);

/** A replica, and what it told. */
class Bench {
  readonly batches: AppliedBatch[] = [];
  readonly sessions: [string, number][] = [];
  readonly ends: [number, number][] = [];
  readonly failures: MachineFailure[] = [];
  readonly replica: Replica;

  constructor(machine: AnyMachine = Recorder) {
    this.replica = new Replica({
      runtime: runtimeOf(machine),
      groupId: hash("group") as UniqueId,
      networkId: hash("network") as UniqueId,
      events: {
        onBatch: (batch) => this.batches.push(batch),
        onSession: (key, session) => this.sessions.push([key, session]),
        onSessionEnd: (session, last) => this.ends.push([session, last]),
        onFailure: (failure) => this.failures.push(failure),
      },
    });
  }

  apply(...entries: readonly Entry[]): this {
    for (const entry of entries) this.replica.apply(entry);
    return this;
  }

  seen(): State["seen"] {
    return this.replica.query("seen") as State["seen"];
  }
}

const KEY = "0a".repeat(16);

const genesis: Entry = {
  index: 1,
  term: 1,
  kind: ENTRY_GENESIS,
  data: encodeGenesis({ incarnation: incarnation("x"), timeMs: 1_000, voters: [memberId(peer("ada"), store("ada"))] }),
};
const open = (index: number): Entry => ({ index, term: 2, kind: ENTRY_OPEN, data: encodeOpen() });
const noop = (index: number): Entry => ({ index, term: 2, kind: 0, data: new Uint8Array(0) });
const session = (index: number, key = KEY): Entry => ({
  index,
  term: 2,
  kind: ENTRY_SESSION,
  data: encodeSession(key, peer("ada")),
});
const adds = (index: number, of: number, number: number, values: readonly number[], timeMs = 2_000): Entry => ({
  index,
  term: 2,
  kind: ENTRY_COMMANDS,
  data: encodeRun({
    session: of,
    number,
    timeMs,
    batches: [batchOf(values.map((add) => encodeCommand(runtime, { add })))],
  }),
});

describe("a replica", () => {
  it("positions count commands from 1, and nothing else takes one", () => {
    const { replica, batches, sessions } = new Bench().apply(genesis);
    equal(replica.position, 0);
    equal(replica.isOpen, false);
    const bench = new Bench().apply(genesis, noop(2), open(3), session(4));
    equal(bench.replica.isOpen, true);
    equal(bench.replica.position, 0);
    deepEqual([bench.replica.openIndex, bench.replica.establishedIndex], [3, undefined]);
    bench.apply(open(5));
    deepEqual([bench.replica.openIndex, bench.replica.establishedIndex], [3, 5]);
    bench.apply(adds(6, 4, 1, [10]), noop(7), adds(8, 4, 2, [1, 2, 3]));
    equal(bench.replica.position, 4);
    equal(bench.replica.index, 8);
    deepEqual(
      bench.seen().map(({ by, position, index }) => [by, position, index]),
      [
        [10, 1, 6],
        [1, 2, 8],
        [2, 3, 8],
        [3, 4, 8],
      ],
    );
    deepEqual(
      bench.batches.map(({ number, position, outcomes }) => [number, position, outcomes.length]),
      [
        [1, 1, 1],
        [2, 4, 3],
      ],
    );
    deepEqual(bench.sessions, [[KEY, 4]]);
    deepEqual([batches, sessions], [[], []]);
  });

  it("a duplicate takes no position, changes nothing, and is told to nobody", () => {
    const bench = new Bench().apply(genesis, open(2), session(3), adds(4, 3, 1, [7]), adds(5, 3, 1, [7]), session(6));
    equal(bench.replica.position, 1);
    equal(bench.replica.query("sum"), 7);
    equal(bench.batches.length, 1);
    deepEqual(bench.sessions, [
      [KEY, 3],
      [KEY, 3],
    ]);
    equal(bench.replica.sessions.size, 1);
  });

  it("of a run only what is new is applied, each batch is told by itself", () => {
    const run = (index: number, number: number, values: readonly (readonly number[])[]): Entry => ({
      ...adds(index, 3, number, [0]),
      data: encodeRun({
        session: 3,
        number,
        timeMs: 2_000,
        batches: values.map((batch) => batchOf(batch.map((add) => encodeCommand(runtime, { add })))),
      }),
    });
    const bench = new Bench().apply(
      genesis,
      open(2),
      session(3),
      run(4, 1, [[1], [2]]),
      run(5, 2, [[90], [3, 4], [5]]),
    );
    equal(bench.replica.query("sum"), 15);
    deepEqual(
      bench.batches.map(({ number, position, outcomes }) => [number, position, outcomes.length]),
      [
        [1, 1, 1],
        [2, 2, 1],
        [3, 4, 2],
        [4, 5, 1],
      ],
    );
    equal(bench.replica.sessions.lastOf(3), 4);
    bench.apply(run(6, 5, [[1], [666], [7]]));
    equal(bench.failures[0]?.position, 7);
    equal(bench.replica.sessions.lastOf(3), 7, "the log has them, though this replica is halted");
    equal(bench.batches.at(-1)?.number, 5);
  });

  it("an unknown session and a gap are not applied", () => {
    const bench = new Bench().apply(genesis, open(2), session(3), adds(4, 99, 1, [7]), adds(5, 3, 2, [8]));
    equal(bench.replica.position, 0);
    equal(bench.batches.length, 0);
    bench.apply(adds(6, 3, 1, [9]));
    equal(bench.replica.query("sum"), 9);
  });

  it("a rejection takes a position, and the others of its batch are applied", () => {
    const bench = new Bench().apply(genesis, open(2), session(3), adds(4, 3, 1, [1, -5, 2]), adds(5, 3, 2, [4]));
    equal(bench.replica.position, 4);
    equal(bench.replica.query("sum"), 7);
    const [first] = bench.batches;
    deepEqual(
      first?.outcomes.map((outcome) =>
        outcome.type === "applied" ? outcome.result : [outcome.rejection.reason, outcome.rejection.data],
      ),
      [1, ["negative", { by: -5 }], 2],
    );
    deepEqual(
      bench.seen().map(({ position }) => position),
      [1, 3, 4],
    );
  });

  it("a machine that fails is halted: the log goes on, the state does not", () => {
    const bench = new Bench().apply(genesis, open(2), session(3), adds(4, 3, 1, [1]), adds(5, 3, 2, [2, 666, 3]));
    const [failure, ...more] = bench.failures;
    deepEqual([failure?.position, failure?.command, more.length], [3, "add", 0]);
    match(String(failure?.cause), /the machine's own bug/);
    equal(bench.batches.length, 1, "a batch that was cut short is not reported as applied");
    bench.apply(adds(6, 3, 3, [5]), noop(7), session(8, "0b".repeat(16)));
    equal(bench.replica.index, 8);
    equal(bench.replica.position, 2);
    equal(bench.failures.length, 1);
    equal(bench.batches.length, 1);
  });

  it("an entry of a later version halts it: what it means is not known here", () => {
    const later: Entry = { index: 4, term: 2, kind: 77, data: Uint8Array.of(1) };
    const bench = new Bench().apply(genesis, open(2), session(3), later, adds(5, 3, 1, [1]), { ...later, index: 6 });
    equal(bench.failures.length, 1);
    equal(bench.replica.position, 0);
    equal(bench.replica.index, 6);
  });

  it("a halted one keeps sessions and clock, since its member may lead", () => {
    const bench = new Bench().apply(genesis, open(2), session(3), adds(4, 3, 1, [666]), adds(5, 3, 2, [5], 9_000));
    equal(bench.replica.sessions.lastOf(3), 2);
    equal(bench.replica.timeMs, 9_000);
    bench.apply(session(6, "0b".repeat(16)));
    equal(bench.replica.sessions.size, 2);
  });

  it("a session ends by an entry: nothing of it is applied after, on any replica", () => {
    const ends: Entry = { index: 5, term: 2, kind: ENTRY_SESSION_END, data: encodeSessionEnd([3, 77]) };
    const bench = new Bench().apply(genesis, open(2), session(3), adds(4, 3, 1, [1, -1]), ends, adds(6, 3, 2, [10]));
    deepEqual(bench.ends, [[3, 1]]);
    equal(bench.replica.query("sum"), 1);
    equal(bench.replica.position, 2, "what is refused takes no position");
    const fates = [1, 2].map((number) => bench.replica.sessions.fateOf(3, KEY, number));
    deepEqual(fates, [{ type: "applied", position: 2, isRejected: true }, { type: "never" }]);
  });

  it("bytes that its machine does not know halt it, and do not throw", () => {
    const garbage: Entry = {
      ...adds(4, 3, 1, [1]),
      data: encodeRun({ session: 3, number: 1, timeMs: 1, batches: [batchOf([Uint8Array.of(0xc1, 0xff)])] }),
    };
    const bench = new Bench().apply(genesis, open(2), session(3), garbage);
    equal(bench.failures[0]?.position, 1);
    equal(bench.replica.index, 4);
  });

  it("the group's clock never goes back", () => {
    const bench = new Bench().apply(genesis, open(2), session(3));
    equal(bench.replica.timeMs, 1_000);
    bench.apply(adds(4, 3, 1, [1], 5_000), adds(5, 3, 2, [2], 3_000), adds(6, 3, 3, [3], 6_000));
    deepEqual(
      bench.seen().map(({ timeMs }) => timeMs),
      [5_000, 5_000, 6_000],
    );
  });

  it("a command's context is the same whether it is applied alone or with its batch", () => {
    type Seen = Omit<ApplyContext, "random"> & { readonly drawn: readonly number[] };
    const note = ({ random, ...context }: ApplyContext): Seen => ({ ...context, drawn: [random(), random()] });
    const define = (isBatched: boolean) =>
      defineStateMachine("noted", {
        create: () => {
          const seen: Seen[] = [];
          const apply = (by: number, context: ApplyContext): number => {
            if (by < 0) throw new Rejection("negative");
            return seen.push(note(context));
          };
          const applyBatch = (values: readonly number[], contexts: readonly ApplyContext[]) =>
            values.map((by, i) => (by < 0 ? new Rejection("negative") : seen.push(note(contexts[i] as ApplyContext))));
          return { apply, query: () => seen, ...(isBatched ? { applyBatch } : {}) };
        },
      });
    const machine = runtimeOf(define(false));
    const batch = (values: readonly number[]) => batchOf(values.map((value) => encodeCommand(machine, value)));
    const run = (index: number, number: number, ...batches: readonly (readonly number[])[]): Entry => ({
      index,
      term: 3,
      kind: ENTRY_COMMANDS,
      data: encodeRun({ session: 3, number, timeMs: 5_000 + index, batches: batches.map(batch) }),
    });
    const version: Entry = {
      index: 4,
      term: 2,
      kind: ENTRY_VERSION,
      data: encodeVersion({ format: 1, version: 1, commands: [] }),
    };
    const log = [genesis, open(2), session(3), version, run(5, 1, [1], [1, -1, 1], [1]), run(6, 4, [1, 1])];
    const seen = [false, true].map(
      (isBatched) => new Bench(define(isBatched)).apply(...log).replica.query("seen") as Seen[],
    );
    deepEqual(seen[0], seen[1]);
    deepEqual(
      seen[0]?.map(({ position, index, version: at }) => [position, index, at]),
      [
        [1, 5, 1],
        [2, 5, 1],
        [4, 5, 1],
        [5, 5, 1],
        [6, 6, 1],
        [7, 6, 1],
      ],
    );
    equal(new Set(seen[0]?.flatMap(({ drawn }) => drawn)).size, 12);
  });

  it("random numbers are the same on all replicas, and others for each command", () => {
    const log = [genesis, open(2), session(3), adds(4, 3, 1, [1, 1, 1]), adds(5, 3, 2, [1])];
    const [ada, bob] = [new Bench().apply(...log).seen(), new Bench().apply(...log).seen()];
    deepEqual(ada, bob);
    const drawn = ada.flatMap(({ random }) => random);
    equal(new Set(drawn).size, drawn.length);
    ok(drawn.every((value) => value >= 0 && value < 1));
    const elsewhere: Entry = {
      ...genesis,
      data: encodeGenesis({
        incarnation: incarnation("y"),
        timeMs: 1_000,
        voters: [memberId(peer("ada"), store("ada"))],
      }),
    };
    notDeepEqual(
      new Bench()
        .apply(elsewhere, ...log.slice(1))
        .seen()
        .flatMap(({ random }) => random),
      drawn,
    );
  });

  it("replicas of one log are equal, however often commands are repeated in it", () => {
    const attempt = fc.tuple(
      fc.constantFrom(3, 4, 9),
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.integer({ min: -2, max: 9 }), { minLength: 1, maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(attempt, { maxLength: 30 }), (attempts) => {
        const log = [genesis, open(2), session(3), session(4, "0b".repeat(16))];
        for (const [of, number, values] of attempts) log.push(adds(log.length + 1, of, number, values));
        const [ada, bob] = [new Bench().apply(...log), new Bench().apply(...log)];
        deepEqual(ada.seen(), bob.seen());
        deepEqual(ada.batches, bob.batches);
        const positions = ada.batches.map(({ position, outcomes }) => [position - outcomes.length, position]);
        equal(positions[0]?.[0] ?? 0, 0);
        for (const [i, [before]] of positions.entries()) if (i > 0) equal(before, positions[i - 1]?.[1], "dense");
        equal(ada.replica.position, positions.at(-1)?.[1] ?? 0);
        const named = ada.batches.map(({ session: of, number }) => `${of}/${number}`);
        equal(new Set(named).size, named.length, "each number once");
      }),
    );
  });
});
