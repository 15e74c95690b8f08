import { deepEqual, equal, ok } from "node:assert/strict";
import { LIMITS, MosaikError } from "../../src/env/index.ts";
import { scenario } from "./nodes.ts";

scenario(
  "a member that floods gets back what is too much, and does not hold up another",
  async (nodes) => {
    const groups = await nodes.online(["ada", "bob", "cyd"]);
    const [flooder, other] = groups.filter(({ isLeader }) => !isLeader);
    ok(flooder !== undefined && other !== undefined);
    const leader = groups.find(({ isLeader }) => isLeader);
    const [term, count] = [flooder.term, LIMITS.windowEntriesMax + 1_000];
    const handedBack: unknown[] = [];
    const calls = Array.from({ length: count }, (_, i) =>
      flooder.execute({ add: 1_000 + i }).catch((error: unknown) => {
        ok(MosaikError.is(error, "overloaded") && error.outcome === "not-applied", String(error));
        handedBack.push(...error.details.rejected);
      }),
    );
    await nodes.sleep(1);
    // It is taken among the first, though thousands were sent before it.
    const { position } = await nodes.within(2_000, other.execute({ add: 1_000_000 }));
    ok(position <= count);
    await Promise.all(calls);
    const tooMany = Array.from({ length: 1_000 }, (_, i) => ({ add: 1_000 + LIMITS.windowEntriesMax + i }));
    deepEqual(handedBack, tooMany);
    equal(leader?.position, LIMITS.windowEntriesMax + 1);
    equal(flooder.term, term, "nobody else had to lead");
    equal((await flooder.execute({ add: 1 })).position, LIMITS.windowEntriesMax + 2, "and all goes on");
  },
  [1],
);
