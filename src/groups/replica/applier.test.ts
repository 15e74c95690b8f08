import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import type { Scope } from "../../env/index.ts";
import type { Entry } from "../../raft/index.ts";
import { Applier } from "./applier.ts";
import type { Replica } from "./replica.ts";
import type { Snapshotter } from "./snapshotter.ts";

const entries = (count: number): Entry[] =>
  Array.from({ length: count }, (_, i) => ({ index: i + 1, term: 1, kind: 0, data: new Uint8Array() }));

test("an applier that is stopped applies nothing more, and tells nobody how far it is", () => {
  const later: (() => void)[] = [];
  const scope = { after: (_ms: number, callback: () => void) => later.push(callback) } as unknown as Scope;
  const replica = {
    index: 0,
    position: 0,
    apply(entry: Entry) {
      this.index = entry.index;
    },
  };
  const told: number[] = [];
  const applier = new Applier({
    replica: replica as unknown as Replica,
    scope,
    snapshotter: { isDue: () => false } as unknown as Snapshotter,
    onApplied: () => {},
    onProgress: () => told.push(replica.index),
  });
  applier.push(entries(10_000));
  equal(later.length, 1, "the rest waits for its turn");
  const before = replica.index;
  applier.stop();
  for (const callback of later) callback();
  applier.push(entries(1));
  equal(replica.index, before);
  deepEqual(told, [before]);
});
