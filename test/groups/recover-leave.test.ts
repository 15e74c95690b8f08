// A member that leaves while it begins its group anew: no store is left behind that could vote.
import { deepEqual, equal, notEqual, rejects } from "node:assert/strict";
import { mosaikError } from "../../src/env/index.ts";
import { FileDisk, type StorageFactory } from "../../src/storage/index.ts";
import { Counter, type Counters, expectErrors, type Nodes, scenario } from "./nodes.ts";

const FORCED = { acceptDataLoss: true, force: true } as const;
const RIVAL = "rival-incarnation: this group exists twice, and both serve; set one aside with `discard`";

/** Ada on a disk that may have no room for the opening of a store; the others in memory. */
class Cast {
  readonly disk: FileDisk;
  readonly #nodes: Nodes;
  #isFull = false;
  #onRefused: () => void = () => {};

  constructor(nodes: Nodes) {
    this.#nodes = nodes;
    this.disk = new FileDisk(nodes.world.random.fork("disk"));
  }

  async ada(expect: number): Promise<Counters> {
    const inner = this.disk.storage(this.#nodes.world.env("ada"));
    const storage: StorageFactory = {
      ...inner,
      open: async (group) => {
        if (!this.#isFull) return inner.open(group);
        this.#onRefused();
        throw mosaikError("storage-full", "no room", { details: { path: "" } });
      },
    };
    const network = await this.#nodes.start("ada", { storage, identitySeed: this.disk.identitySeed });
    return network.groups.join("counter", { expect, machine: Counter });
  }

  /** Resolves when it was refused room. */
  fill(): Promise<void> {
    this.#isFull = true;
    return new Promise((resolve) => {
      this.#onRefused = resolve;
    });
  }

  empty(): void {
    this.#isFull = false;
  }

  incarnation(name: string): string | undefined {
    return (this.#nodes.network(name).inspect().groups[0] as { incarnation?: string } | undefined)?.incarnation;
  }

  /** Names of the group's stores that the next start would open. */
  get storesLeft(): readonly string[] {
    return this.disk.files.paths().filter((path) => /\/(groups|successors)\/\w+\//.test(path));
  }
}

async function three(cast: Cast, nodes: Nodes): Promise<Counters> {
  const ada = await cast.ada(3);
  const groups = [ada, ...(await nodes.join(["bob", "cyd"], { expect: 3 }))];
  await nodes.within(20_000, Promise.all(groups.map((group) => group.when.online())));
  await ada.execute({ add: 5 });
  await ada.transferLeadership(nodes.network("bob").peerId);
  await nodes.within(10_000, ada.when.leaderIs(nodes.network("bob").peerId));
  return ada;
}

scenario("a member that leaves waits for the store of what it begins anew, and is its last voter", async (nodes) => {
  expectErrors(nodes, RIVAL, RIVAL, RIVAL);
  const cast = new Cast(nodes);
  const ada = await three(cast, nodes);
  const former = cast.incarnation("ada");
  const refused = cast.fill();
  const recovery = ada.recover(FORCED);
  recovery.catch(() => undefined);
  await nodes.within(5_000, refused);

  // Bob, who leads what ada has given up, lets her go; but her store of what she begins is on the disk, and has a vote.
  let isOver = false;
  const leaving = ada.leave().finally(() => {
    isOver = true;
  });
  leaving.catch(() => undefined);
  await nodes.sleep(5_000);
  equal(isOver, false);

  cast.empty();
  await nodes.within(5_000, recovery);
  await rejects(nodes.within(10_000, leaving), { code: "last-voter" });
  await nodes.within(10_000, ada.when.online());
  notEqual(cast.incarnation("ada"), former);
  deepEqual(await nodes.within(10_000, ada.execute({ add: 1 })), { position: 2, result: 6 });
});

scenario("a member that leaves and finds no room for the store of what it begins anew stays", async (nodes) => {
  expectErrors(nodes, RIVAL, RIVAL, RIVAL);
  const cast = new Cast(nodes);
  const ada = await three(cast, nodes);
  const refused = cast.fill();
  const recovery = ada.recover(FORCED);
  recovery.catch(() => undefined);
  await nodes.within(5_000, refused);
  await rejects(nodes.within(15_000, ada.leave()), { code: "group-offline" });
  cast.empty();
  await nodes.within(5_000, recovery);
  await nodes.within(10_000, ada.when.online());
  deepEqual(await nodes.within(10_000, ada.execute({ add: 1 })), { position: 2, result: 6 });
  // Each looks for rivals once a second.
  await nodes.sleep(2_000);
});

scenario("a member that is about to leave begins nothing anew, and leaves no store", async (nodes) => {
  const cast = new Cast(nodes);
  const ada = await three(cast, nodes);
  nodes.cut(["ada"], ["bob", "cyd"]);
  await nodes.within(20_000, ada.when.noQuorum());
  const leaving = ada.leave();
  await rejects(nodes.within(5_000, ada.recover(FORCED)), {
    code: "recover-refused",
    outcome: "not-applied",
    details: { reason: "leaving", peers: [] },
  });
  nodes.heal();
  await nodes.within(10_000, leaving);
  deepEqual(cast.storesLeft, []);
});
