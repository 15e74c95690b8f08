import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { it } from "node:test";
import { incarnation, memoryStore, peer, store } from "../../../test/groups/kit.ts";
import { LIMITS, VirtualWorld } from "../../env/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { encodeConfiguration } from "../entries/entries.ts";
import { memberId } from "../entries/member-id.ts";
import { ChunkList, type MachineRuntime } from "../machine/index.ts";
import { encodeSnapshot } from "../replica/snapshot-format.ts";
import { SessionTable } from "../sessions/sessions.ts";
import { loadOrClose, loadStore } from "./store.ts";

const voters = [memberId(peer("ada"), store("ada"))];

/** Of a machine with so many chunks, so small that a chunk of the file holds all of them, and as many sessions as there may be. */
function dataOf(chunks: number): Uint8Array {
  const sessions = new SessionTable();
  for (let index = 1; index <= LIMITS.sessionsMax; index++) {
    sessions.begin(index, index.toString(16).padStart(32, "0"), peer("ada"));
  }
  const facts = {
    incarnation: incarnation("ada"),
    position: 7,
    timeMs: 9,
    openIndex: 3,
    establishedIndex: 5,
    agreed: undefined,
    origins: [],
    machine: { name: "m", version: 1 },
  };
  return Buffer.concat([
    ...encodeSnapshot(
      facts,
      sessions,
      Array.from({ length: chunks }, (_, i) => i),
    ),
  ]);
}

it("a store that cannot be read is closed, so that it can be opened again", async () => {
  const env = new VirtualWorld({ seed: 1 }).env("ada");
  const storage = memoryStore(env, "ada");
  storage.openSnapshot = () => Promise.reject(new DecodeError("of another version"));
  await rejects(loadOrClose(storage, { env, runtime: {} as MachineRuntime }), DecodeError);
  await rejects(storage.append([]), { code: "closed" });
});

it("while a large snapshot is read others have their turn, among its sessions and among its chunks", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const env = world.env("ada");
  await world.run(async () => {
    const storage = memoryStore(env, "ada");
    const place = { index: 64, term: 2, configuration: encodeConfiguration(voters) };
    await storage.resetTo({ ...place, data: dataOf(5_000) });

    const chunks = new ChunkList();
    let [taken, takenBefore, longest, turnsAmongSessions, isOver] = [0, 0, 0, 0, false];
    const turn = (): void => {
      // The table is read when the first part after it comes.
      if (taken <= 1) turnsAmongSessions++;
      longest = Math.max(longest, taken - takenBefore);
      takenBefore = taken;
      if (!isOver) env.after(0, turn);
    };
    env.after(0, turn);
    const add = (chunk: unknown): void => {
      taken++;
      chunks.add(chunk);
    };
    const intake = { add, [Symbol.iterator]: () => chunks[Symbol.iterator]() };
    const loaded = await loadStore(storage, { env, runtime: { intake: () => intake } });
    isOver = true;
    longest = Math.max(longest, taken - takenBefore);

    deepEqual(loaded.snapshot?.mark, { index: 64, term: 2, voters });
    equal(loaded.snapshot?.state.sessions.size, LIMITS.sessionsMax);
    equal([...(loaded.snapshot?.state.chunks ?? [])].length, 5_000);
    ok(longest <= 256, `${longest} chunks between two turns`);
    ok(turnsAmongSessions >= 4, `${turnsAmongSessions} turns among ten thousand sessions`);
  });
});
