import { deepEqual } from "node:assert/strict";
import { it } from "node:test";
import { incarnation, memoryStore } from "../../../test/groups/kit.ts";
import { mosaikError, Scope, silentLogger, VirtualWorld } from "../../env/index.ts";
import type { Entry } from "../../raft/index.ts";
import type { SnapshotWriter } from "../../storage/index.ts";
import type { LifeContext } from "./life-context.ts";
import { Snapshots } from "./snapshots.ts";

const FAILED = mosaikError("storage-failed", "the snapshot is not there any more", { details: { path: "" } });
const ENTRY: Entry = { index: 16, term: 1, kind: 0, data: new Uint8Array(0) };

/** What the member is told of a snapshot that cannot be saved. @param whileSaving - comes before it fails */
async function failuresOf(whileSaving: (snapshots: Snapshots) => void): Promise<unknown[]> {
  const failures: unknown[] = [];
  const world = new VirtualWorld({ seed: 1 });
  await world.run(async () => {
    const env = world.env("ada");
    const storage = memoryStore(env, "ada");
    const save = async (): Promise<void> => {
      whileSaving(snapshots);
      throw FAILED;
    };
    storage.createSnapshot = async () =>
      ({ write: async () => {}, save, discard: async () => {} }) as unknown as SnapshotWriter;
    const context = {
      env,
      scope: new Scope(env, (cause) => world.fail(cause)),
      runtime: { version: 1 },
      logger: silentLogger,
      snapshotEveryEntries: 16,
      bonds: { all: [] },
      onStorageFailure: (cause: unknown) => failures.push(cause),
    } as unknown as LifeContext;
    const replica = { encodeSnapshot: () => [Uint8Array.of(1)], voters: [], hasSnapshots: true } as never;
    const driver = { raft: { commit: 16 }, written: () => Promise.resolve() } as never;
    const options = { context, storage, incarnation: incarnation("ada"), replica, driver, leader: () => undefined };
    const snapshots = new Snapshots(options);
    snapshots.snapshotter.take(ENTRY, () => {});
    await context.scope.sleep(1);
  });
  return failures;
}

it("a snapshot that cannot be saved stops the member, but not once its life has ended: its store may be set aside", async () => {
  deepEqual(await failuresOf(() => {}), [FAILED]);
  deepEqual(await failuresOf((snapshots) => snapshots.stop()), []);
});
