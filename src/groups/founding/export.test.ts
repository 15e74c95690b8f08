import { equal, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { it } from "node:test";
import { incarnation } from "../../../test/groups/kit.ts";
import { Scope, VirtualWorld } from "../../env/index.ts";
import { ChunkList } from "../machine/index.ts";
import { encodeSnapshot } from "../replica/snapshot-format.ts";
import { SessionTable } from "../sessions/sessions.ts";
import { readState } from "./export.ts";

const CHUNKS = 20_000;

function exported(): Uint8Array {
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
  const chunks = Array.from({ length: CHUNKS }, (_, i) => `chunk ${i}`);
  const bytes = Buffer.concat([Buffer.from("mosaikex\x01"), ...encodeSnapshot(facts, new SessionTable(), chunks)]);
  return Buffer.concat([bytes, createHash("sha256").update(bytes).digest()]);
}

for (const [what, size] of [
  ["at once", Number.MAX_SAFE_INTEGER],
  ["in small pieces", 100],
] as const) {
  it(`while an export is read that its source has in memory, and gives ${what}, others have their turn`, async () => {
    const bytes = exported();
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => {
      return bytes.subarray(i * size, (i + 1) * size);
    });
    const world = new VirtualWorld({ seed: 1 });
    const env = world.env("ada");
    // Each look at the clock takes ten microseconds.
    let nowUs = 0;
    const clock = { monotonicUs: () => (nowUs += 10), wallMs: () => 0 };
    const scope = new Scope(env, (cause) => world.fail(cause));
    let [taken, takenBefore, longest, isOver] = [0, 0, 0, false];
    const turn = (): void => {
      longest = Math.max(longest, taken - takenBefore);
      takenBefore = taken;
      if (!isOver) env.after(0, turn);
    };
    class Counting extends ChunkList {
      override add(chunk: unknown): void {
        super.add(chunk);
        taken++;
      }
    }
    await world.run(async () => {
      env.after(0, turn);
      const context = { env: { ...env, clock }, scope, runtime: { intake: () => new Counting() } };
      const state = await readState(context, pieces);
      isOver = true;
      turn();
      equal(state.position, 7);
      equal([...state.chunks].length, CHUNKS);
    });
    ok(longest <= 300, `${longest} chunks between two turns`);
  });
}
