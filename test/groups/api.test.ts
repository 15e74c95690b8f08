import { deepEqual, equal, notEqual, rejects, throws } from "node:assert/strict";
import { defineMachine } from "../../src/groups/index.ts";
import { SimDisk, simStorageFactory } from "../../src/storage/sim-disk.ts";
import { Counter, scenario } from "./nodes.ts";

scenario(
  "handles of one group share its member, count, and must agree on machine and storage",
  async (nodes) => {
    const disk = new SimDisk("ada", nodes.world.random.fork("disk"));
    const network = await nodes.start("ada", { storage: simStorageFactory(disk, nodes.world.env("ada")) });
    const options = { expect: 1, machine: Counter } as const;
    const one = network.groups.join("counter", options);
    const two = network.groups.join("counter", { ...options, storage: "file" });
    notEqual(one, two);
    await one.execute({ add: 1 });
    deepEqual(await two.query("value", { consistency: "weak" }), { position: 1, result: 1 });

    const fewer = { state: () => ({ value: 0 }), commands: { add: () => 0 } };
    const conflicts: readonly Parameters<typeof network.groups.join>[1][] = [
      { ...options, machine: defineMachine("other", fewer) },
      { ...options, machine: defineMachine("counter", fewer) },
      { ...options, machine: defineMachine("counter", { ...fewer, version: 2 }) },
      { ...options, storage: "memory" },
    ];
    for (const conflict of conflicts)
      throws(() => network.groups.join("counter", conflict), {
        code: "definition-conflict",
        details: { name: "counter" },
      });

    await one.close();
    equal(one.state, "closed");
    await rejects(one.execute({ add: 1 }), { code: "closed", outcome: "not-applied" });
    equal((await two.execute({ add: 1 })).result, 2);
    await two.close();
    equal(await two.closed, undefined);
    equal(network.status().groups.length, 0);
  },
  [1],
);

scenario(
  "a wrong option of a group is refused at once, by name",
  async (nodes) => {
    const network = await nodes.start("ada");
    const wrong: readonly [string, object][] = [
      ["maxVoters", { maxVoters: 0 }],
      ["maxVoters", { maxVoters: 6 }],
      ["maxVoters", { maxVoters: 1.5 }],
      ["storage", { storage: "disk" }],
      ["storage", { storage: "file" }],
      ["require", { require: {} }],
      ["tunning", { tunning: {} }],
      ["tuning.sessionTtlMs", { tuning: { sessionTtlMs: 999 } }],
      ["timeoutMs", { timeoutMs: 0 }],
    ];
    for (const [option, options] of wrong) {
      const join = () => network.groups.join("x", { expect: 1, ...options } as { expect: number });
      throws(join, { code: "bad-option", details: { option } });
    }
  },
  [1],
);

scenario(
  "maxVoters bounds the voters; the others read along",
  async (nodes) => {
    const options = { expect: 1, maxVoters: 3, tuning: { promoteAfterMs: 200 } };
    const groups = await nodes.online(["ada", "bob", "cyd", "dan", "eve"], options);
    const voters = () => groups[0]?.members.filter(({ role }) => role === "voter").length;
    await nodes.within(
      20_000,
      nodes.until(() => voters() === 3),
    );
    await nodes.sleep(5_000);
    equal(voters(), 3);
  },
  [1],
);

scenario(
  "the wait for a close may be given up; the close goes on",
  async (nodes) => {
    const [group] = await nodes.online(["ada"], { expect: 1 });
    const controller = new AbortController();
    const closing = group?.close({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await rejects(closing as Promise<void>, { message: "enough" });
    await rejects(group?.close({ signal: controller.signal }) as Promise<void>, { message: "enough" });
    await group?.close();
    equal(group?.state, "closed");
    const closed = nodes.network("ada").close({ signal: controller.signal });
    await rejects(closed, { message: "enough" });
    equal(await nodes.network("ada").closed, undefined);
  },
  [1],
);

scenario(
  "feed says where its command is, and a rejection is none of its business",
  async (nodes) => {
    const [ada, bob] = await nodes.online(["ada", "bob", "cyd"]);
    deepEqual(await bob?.feed({ add: 1 }), { position: 1, result: undefined });
    deepEqual(await bob?.feedMany([{ add: 1 }, { add: 666 }, { add: 2 }]), { position: 4, result: undefined });
    deepEqual(await bob?.feedMany([]), { position: 4, result: undefined });
    deepEqual(await ada?.query("value", { consistency: { atLeast: 4 } }), { position: 4, result: 4 });
    nodes.cut(["bob"], ["ada", "cyd"]);
    await rejects(bob?.feed({ add: 1 }, { timeoutMs: 200 }) as Promise<unknown>, { code: "outcome-unknown" });
  },
  [1],
);
