import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { peer, store } from "../../../test/groups/kit.ts";
import { type Env, mosaikError } from "../../env/index.ts";
import { UniqueId } from "../../identity/index.ts";
import type { Envelope, MemberId, Message } from "../../raft/index.ts";
import type { IncarnationId, Storage, StorageWrite } from "../../storage/index.ts";
import { ENTRY_GENESIS, encodeGenesis } from "../entries/entries.ts";
import { memberId } from "../entries/member-id.ts";
import { RaftDriver } from "./driver.ts";
import type { ProbeSource } from "./probe.ts";

const [ADA, BOB, CYD] = ["ada", "bob", "cyd"].map((name) => memberId(peer(name), store(name))) as [
  MemberId,
  MemberId,
  MemberId,
];
const GENESIS = encodeGenesis({
  incarnation: UniqueId.from("incarnation") as IncarnationId,
  timeMs: 0,
  voters: [ADA, BOB, CYD],
});
const LAST = { index: 1, term: 1 };

/** Ada's driver: she is a voter in term 1, and has the first entry. */
class Bench {
  readonly sent: Envelope[] = [];
  readonly failures: unknown[] = [];
  readonly driver: RaftDriver;
  #timers: (() => void)[] = [];

  constructor(write: (change: StorageWrite) => Promise<void>) {
    const after = (_ms: number, run: () => void) => {
      this.#timers.push(run);
      return { cancel: () => {} };
    };
    this.driver = new RaftDriver({
      env: { random: { below: () => 0 }, after } as unknown as Env,
      self: ADA,
      storage: { write } as unknown as Storage,
      hardState: { term: 1, votedFor: undefined },
      entries: [{ index: 1, term: 1, kind: ENTRY_GENESIS, data: GENESIS }],
      base: { index: 0, term: 0 },
      snapshot: undefined,
      timing: {
        heartbeatIntervalMs: 150,
        electionTimeoutMs: 1_000,
        electionFactor: 1,
        promoteAfterMs: 1_000,
        removeDeadAfterMs: 1_000,
        sessionTtlMs: 1_000,
      } as ConstructorParameters<typeof RaftDriver>[0]["timing"],
      probe: undefined,
      source: {} as ProbeSource,
      events: {
        send: (envelopes) => this.sent.push(...envelopes),
        onCommitted: () => {},
        onRestored: () => {},
        onSnapshotWanted: () => {},
        onReads: () => {},
        onStep: () => {},
        takeDrafts: () => [],
        onRoom: () => {},
        onStorageFailure: (cause) => this.failures.push(cause),
        onBug: (cause) => this.failures.push(cause),
      },
    });
  }

  async receive(from: MemberId, message: Message): Promise<void> {
    this.driver.enqueue({ type: "message", from, message });
    await settled();
  }

  /** The time until the disk is tried again is over. */
  async tick(): Promise<void> {
    for (const run of this.#timers.splice(0)) run();
    await settled();
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await null;
}

function vote(term: number): Message {
  return { type: "vote", term, last: LAST, isTransfer: true };
}

function heartbeat(term: number, round: number): Message {
  return { type: "append", term, prev: LAST, entries: [], commit: 0, round };
}

test("a vote never leaves after its write failed, even if whoever is told of the failure does nothing", async () => {
  const bench = new Bench(() => Promise.reject(new Error("EIO")));
  await bench.receive(BOB, vote(2));
  deepEqual(bench.sent, []);
  equal(bench.failures.length, 1);
  await bench.receive(CYD, vote(3));
  deepEqual(bench.sent, [], "nor does any later one");
});

test("a disk without room keeps one answer for each who asks, however often, and it leaves once the term is on disk", async () => {
  let hasRoom = false;
  const written: StorageWrite[] = [];
  const bench = new Bench(async (change) => {
    if (!hasRoom) throw mosaikError("storage-full", "no room", { details: { path: "" } });
    written.push(change);
  });
  for (let round = 1; round <= 1_000; round++) {
    await bench.receive(BOB, heartbeat(2, round));
    await bench.receive(CYD, heartbeat(1, round));
    if (round % 100 === 0) await bench.tick();
  }
  deepEqual(bench.sent, []);
  hasRoom = true;
  await bench.tick();
  deepEqual(written, [{ hardState: { term: 2, votedFor: undefined } }]);
  deepEqual(bench.sent, [
    { from: ADA, to: BOB, message: { type: "append-reply", term: 2, round: 1_000, conflict: undefined, index: 1 } },
    { from: ADA, to: CYD, message: { type: "append-reply", term: 2, round: 0, conflict: LAST, index: 1 } },
  ]);
});

test("nor do elections that come and go meanwhile; a vote for which there was no room in its term is never told", async () => {
  let hasRoom = false;
  const written: StorageWrite[] = [];
  const bench = new Bench(async (change) => {
    if (!hasRoom) throw mosaikError("storage-full", "no room", { details: { path: "" } });
    written.push(change);
  });
  for (let term = 2; term <= 1_000; term++) {
    await bench.receive(term % 2 === 0 ? BOB : CYD, vote(term));
    await bench.receive(BOB, heartbeat(term, 1));
    if (term % 100 === 0) await bench.tick();
  }
  hasRoom = true;
  await bench.tick();
  deepEqual(written, [{ hardState: { term: 1_000, votedFor: BOB } }]);
  const told = bench.sent.map(({ to, message }) => [to === BOB ? "bob" : "cyd", message.type, message.term]);
  // Of the first write, which was tried in vain on its own, and of the one that all others joined.
  deepEqual(told, [
    ["bob", "vote-reply", 2],
    ["bob", "append-reply", 2],
    ["bob", "vote-reply", 1_000],
    ["bob", "append-reply", 1_000],
  ]);
});
