import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { peer, store } from "../../../test/groups/kit.ts";
import type { Env } from "../../env/index.ts";
import { UniqueId } from "../../identity/index.ts";
import type { Envelope } from "../../raft/index.ts";
import type { IncarnationId, Storage } from "../../storage/index.ts";
import { ENTRY_GENESIS, encodeGenesis } from "../entries/entries.ts";
import { memberId } from "../entries/member-id.ts";
import { RaftDriver } from "./driver.ts";
import type { ProbeSource } from "./probe.ts";

test("a vote never leaves after its write failed, even if whoever is told of the failure does nothing", async () => {
  const [ada, bob, cyd] = ["ada", "bob", "cyd"].map((name) => memberId(peer(name), store(name)));
  if (ada === undefined || bob === undefined || cyd === undefined) throw new Error("a cast of three");
  const incarnation = UniqueId.from("incarnation") as IncarnationId;
  const genesis = encodeGenesis({ incarnation, timeMs: 0, voters: [ada, bob, cyd] });
  const sent: Envelope[] = [];
  const failures: unknown[] = [];
  const driver = new RaftDriver({
    env: { random: { below: () => 0 } } as unknown as Env,
    self: ada,
    storage: { write: () => Promise.reject(new Error("EIO")) } as unknown as Storage,
    hardState: { term: 1, votedFor: undefined },
    entries: [{ index: 1, term: 1, kind: ENTRY_GENESIS, data: genesis }],
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
      send: (envelopes) => sent.push(...envelopes),
      onCommitted: () => {},
      onRestored: () => {},
      onSnapshotWanted: () => {},
      onReads: () => {},
      onStep: () => {},
      takeDrafts: () => [],
      onRoom: () => {},
      onStorageFailure: (cause) => failures.push(cause),
      onBug: (cause) => failures.push(cause),
    },
  });
  const last = { index: 1, term: 1 };
  driver.enqueue({ type: "message", from: bob, message: { type: "vote", term: 2, last, isTransfer: true } });
  for (let i = 0; i < 20; i++) await null;
  deepEqual(sent, []);
  equal(failures.length, 1);
  driver.enqueue({ type: "message", from: cyd, message: { type: "vote", term: 3, last, isTransfer: true } });
  for (let i = 0; i < 20; i++) await null;
  deepEqual(sent, [], "nor does any later one");
});
