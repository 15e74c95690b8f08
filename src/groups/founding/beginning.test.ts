import { equal, rejects } from "node:assert/strict";
import { it } from "node:test";
import { incarnation, memoryStore, peer } from "../../../test/groups/kit.ts";
import { Scope, VirtualWorld } from "../../env/index.ts";
import type { LifeContext } from "../life/index.ts";
import { writeBeginning } from "./beginning.ts";
import { Pause } from "./replay.ts";

it("a beginning whose state cannot be given leaves the store free, and its snapshot is given up", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const env = world.env("ada");
  const scope = new Scope(env, (cause) => world.fail(cause));
  const context = { env, scope, selfId: peer("ada") } as unknown as LifeContext;
  const storage = memoryStore(env, "ada");
  const { createSnapshot } = storage;
  let discarded = 0;
  storage.createSnapshot = async (place) => {
    const writer = await createSnapshot.call(storage, place);
    return { ...writer, discard: async () => void discarded++ };
  };
  const pieces = function* (): Generator<Uint8Array> {
    yield Uint8Array.of(1);
    throw new Error("the state has a hole");
  };
  await world.run(async () => {
    const pause = new Pause(context, undefined);
    const place = { last: { index: 1, term: 1 }, term: 1 };
    await rejects(
      writeBeginning({ context, storage, incarnation: incarnation("ada"), pieces: pieces(), ...place, pause }),
      /a hole/,
    );
  });
  equal(discarded, 1);
  equal(storage.incarnation, undefined);
});
