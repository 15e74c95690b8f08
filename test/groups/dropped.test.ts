// A command that its caller sent while all could apply it, and that waits for a leader while others drop it.
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { MosaikError } from "../../src/env/index.ts";
import { defineMachine, type Group, type LeadershipPreference } from "../../src/groups/index.ts";
import { SimDisk } from "../../src/storage/index.ts";
import { type AnyMachine, scenario } from "./nodes.ts";

const state = (): { value: number } => ({ value: 0 });
const add = (now: { value: number }, by: number): number => (now.value += by);
const scale = (now: { value: number }, by: number): number => (now.value *= by);
const Whole = defineMachine("sum", { version: 2, state, commands: { add, scale, triple: scale } });
const Before = defineMachine("sum", { version: 1, state, commands: { add, scale, triple: scale } });
const WithoutScale = defineMachine("sum", { version: 2, state, commands: { add, triple: scale } });
const WithoutTriple = defineMachine("sum", { version: 2, state, commands: { add, scale } });

interface Inspected {
  readonly agreed?: { readonly version: number; readonly commands: readonly string[] };
}

scenario(
  "a leader's own command that was dropped while it was on its way is refused, with those who lack it",
  async (nodes) => {
    const disks = new Map<string, SimDisk>();
    const join = async <M extends AnyMachine>(
      name: string,
      machine: M,
      leadership: LeadershipPreference = "normal",
    ): Promise<Group<M>> => {
      const disk = disks.get(name) ?? new SimDisk(name, nodes.world.random.fork(`disk/${name}`));
      disks.set(name, disk);
      const network = await nodes.start(name, { disk });
      return network.groups.join("sum", { expect: 3, leadership, machine }) as unknown as Group<M>;
    };
    const inspect = (name: string): Inspected => nodes.network(name).inspect().groups[0] as unknown as Inspected;
    const ada = await join("ada", Whole);
    const bob = await join("bob", Whole);
    const cyd = await join("cyd", Before, { reluctant: 20 });
    await nodes.within(20_000, Promise.all([ada, bob, cyd].map((group) => group.when.online())));
    const dan = await join("dan", WithoutTriple);
    await nodes.within(20_000, dan.when.online());
    await ada.transferLeadership(nodes.network("bob").peerId);
    await nodes.within(10_000, ada.when.leaderIs(nodes.network("bob").peerId));
    equal((await ada.execute({ add: 1 })).result, 1);
    deepEqual(inspect("ada").agreed?.commands, ["add", "scale", "triple"]);
    await nodes.within(20_000, nodes.network("cyd").close());

    // Bob hears nothing of what ada sends, but she hears that the group drops two commands, one for cyd and one for dan.
    nodes.deafen(["bob"], ["ada"]);
    const refusal = rejects(ada.execute({ scale: 3 }, { timeoutMs: 60_000 }), (error) => {
      ok(MosaikError.is(error, "command-unsupported"), String(error));
      equal(error.outcome, "not-applied");
      deepEqual(error.details.members, [nodes.network("cyd").peerId]);
      deepEqual(error.details.rejected, [{ scale: 3 }]);
      return true;
    });
    await join("cyd", WithoutScale, { reluctant: 20 });
    await nodes.within(
      10_000,
      nodes.until(() => inspect("ada").agreed?.version === 2),
    );
    deepEqual(inspect("ada").agreed?.commands, ["add"]);

    // Bob dies with what he never heard. Ada leads as soon as he is back, and what she sent is sent to herself.
    nodes.kill("bob");
    disks.get("bob")?.crash();
    nodes.heal();
    nodes.cut(["cyd"], ["ada", "bob"]);
    await join("bob", Whole, { reluctant: 20 });
    await nodes.within(30_000, refusal);
    equal(ada.isLeader, true);
    equal((await nodes.within(10_000, ada.execute({ add: 1 }))).result, 2);
  },
  [1, 2, 3],
);
