// A member that is closed while it begins its group anew, at each call to its disk.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { MosaikError } from "../../src/env/index.ts";
import type { Network } from "../../src/network.ts";
import { FileDisk, type StorageFactory } from "../../src/storage/index.ts";
import { Counter, type Counters, Nodes, scenario } from "./nodes.ts";

const FORCED = { acceptDataLoss: true, force: true } as const;

type End = (network: Network, group: Counters) => Promise<void>;
const ENDS: readonly End[] = [(_, group) => group.close(), (network) => network.close()];

/** "recovered", or the code of what was thrown. */
async function outcomeOf(recovery: Promise<void>): Promise<string> {
  try {
    await recovery;
    return "recovered";
  } catch (cause) {
    if (MosaikError.is(cause)) return cause.code;
    throw cause;
  }
}

/** Of a store that was to take the place of another. */
function filesLeft(disk: FileDisk): readonly string[] {
  return disk.files.paths().filter((path) => /\/successors\/\w+\//.test(path));
}

/** @param at - of the call during which it is closed; 0: never. */
async function play(at: number, end: End): Promise<{ readonly calls: number; readonly outcome: string }> {
  const nodes = new Nodes(at + 1);
  let calls: number | undefined;
  let onCall: () => void = () => {};
  const disk = new FileDisk(nodes.world.random.fork("disk"), () => {
    if (calls !== undefined && ++calls === at) onCall();
  });
  const start = async (): Promise<Counters> => {
    const storage = disk.storage(nodes.world.env("ada"));
    const network = await nodes.start("ada", { storage, identitySeed: disk.identitySeed });
    return network.groups.join("counter", { expect: 1, machine: Counter });
  };
  return nodes.world.run(async () => {
    const ada = await start();
    await nodes.within(20_000, ada.when.online());
    await ada.execute({ add: 5 });
    const network = nodes.network("ada");
    const closed = new Promise<void>((resolve, reject) => {
      onCall = () => void end(network, ada).then(resolve, reject);
    });
    calls = 0;
    let outcome: string | undefined;
    const recovery = outcomeOf(ada.recover(FORCED)).then((known) => {
      outcome = known;
    });
    await nodes.within(20_000, at === 0 ? recovery : closed);
    const counted = calls;
    calls = undefined;
    ok(outcome !== undefined, "the close waits for what is under way");
    await network.close();
    deepEqual(filesLeft(disk), []);
    const again = await start();
    await nodes.within(20_000, again.when.online());
    deepEqual(await nodes.within(10_000, again.execute({ add: 1 })), { position: 2, result: 6 });
    const { origins } = nodes.network("ada").inspect().groups[0] as unknown as { origins: readonly unknown[] };
    equal(origins.length, outcome === "recovered" ? 1 : 0);
    await nodes.closeAll();
    return { calls: counted, outcome };
  });
}

test("a close at each call to the disk leaves the old group or the new one, and nothing else", async () => {
  const { calls } = await play(0, async () => {});
  ok(calls > 20, `${calls} calls`);
  const outcomes = new Map<string, number>();
  for (let at = 1; at <= calls; at++) {
    for (const end of ENDS) {
      try {
        const { outcome } = await play(at, end);
        outcomes.set(outcome, 1 + (outcomes.get(outcome) ?? 0));
      } catch (cause) {
        throw new Error(`closed at call ${at}, ${end}`, { cause });
      }
    }
  }
  deepEqual([...outcomes.keys()].sort(), ["closed", "recovered"]);
});

for (const [method, of] of [
  ["createSuccessor", "store"],
  ["createSnapshot", "successor"],
] as const)
  scenario(`a close waits for a recovery that waits for ${method}`, async (nodes) => {
    const disk = new FileDisk(nodes.world.random.fork("disk"));
    const inner = disk.storage(nodes.world.env("ada"));
    let onAsked: () => void = () => {};
    let letGo: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      onAsked = resolve;
    });
    const free = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    /** Does what was asked, and then says nothing until told. */
    const delayed =
      <A extends readonly unknown[], T>(work: (...given: A) => Promise<T>) =>
      async (...given: A): Promise<T> => {
        const done = await work(...given);
        onAsked();
        await free;
        return done;
      };
    const storage: StorageFactory = {
      ...inner,
      open: async (group) => {
        const store = await inner.open(group);
        const create = store.createSuccessor.bind(store);
        store.createSuccessor = of === "store" ? delayed(create) : create;
        if (of === "store") return store;
        store.createSuccessor = async () => {
          const successor = await create();
          successor.storage.createSnapshot = delayed(successor.storage.createSnapshot.bind(successor.storage));
          return successor;
        };
        return store;
      },
    };
    const ada = (await nodes.start("ada", { storage })).groups.join("counter", { expect: 1, machine: Counter });
    await nodes.within(20_000, ada.when.online());
    await ada.execute({ add: 5 });
    const outcome = outcomeOf(ada.recover(FORCED));
    await nodes.within(5_000, asked);
    let isClosed = false;
    const closing = ada.close().then(() => {
      isClosed = true;
    });
    await nodes.sleep(5_000);
    equal(isClosed, false);
    letGo();
    await nodes.within(5_000, closing);
    equal(await outcome, "closed");
    deepEqual(filesLeft(disk), []);
  });
