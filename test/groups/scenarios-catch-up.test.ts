import { deepEqual, equal } from "node:assert/strict";
import { type Counters, counted, type Nodes, scenario } from "./nodes.ts";

// Scenarios 12 and 13 of the reference's specification, by number: who joins later gets what is there from the log.

const T0_MS = 11_000;
const add = (...values: readonly number[]): { add: number }[] => values.map((by) => ({ add: by }));

/** One more member, which has followed the leader by then. */
async function joins(nodes: Nodes, name: string): Promise<Counters> {
  const [group] = (await nodes.join([name], { expect: 1 })) as [Counters];
  equal(await nodes.within(T0_MS, group.when.leaderElected()), nodes.network("n0").peerId);
  return group;
}

scenario("12 small: four commands before it joined, and two after", async (nodes) => {
  const [g0] = (await nodes.online(["n0"], { expect: 1 })) as [Counters];
  for (const command of add(0, 1, 2, 3)) await g0.execute(command);
  deepEqual(await g0.query("value"), { position: 4, result: 6 });

  const g1 = await joins(nodes, "n1");
  await nodes.within(10_000, g1.when.reaches(4));
  deepEqual([g1.position, await counted(g1)], [4, 6]);
  await nodes.within(2_000, g1.when.online());

  await nodes.within(2_000, g0.executeMany(add(1, 1)));
  for (const group of [g0, g1]) {
    await nodes.within(2_000, group.when.reaches(6));
    deepEqual([group.position, await counted(group)], [6, 8]);
  }
});

/** Of 200 commands, 0 to 199, whose sum is 19,900. */
async function executeAll(group: Counters, batch: number): Promise<number[]> {
  const all = Array.from({ length: 200 }, (_, i) => i);
  const positions: number[] = [];
  for (let from = 0; from < all.length; from += batch) {
    const { position, result } = await group.executeMany(add(...all.slice(from, from + batch)));
    positions.push(...result.map((_, i) => position - result.length + 1 + i));
  }
  return positions;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

for (const batch of [7, 20, 100, 1_000])
  scenario(`13 large: 200 commands in batches of ${batch} on each of two, and a third comes last`, async (nodes) => {
    const [g0] = (await nodes.online(["n0"], { expect: 1 })) as [Counters];
    deepEqual(await nodes.within(5_000, executeAll(g0, batch)), range(1, 200));

    const g1 = await joins(nodes, "n1");
    await nodes.within(20_000, g1.when.reaches(200));
    deepEqual([g1.position, await counted(g1)], [200, 19_900]);
    deepEqual(await nodes.within(5_000, executeAll(g1, batch)), range(201, 400));
    await nodes.within(20_000, g0.when.reaches(400));

    const g2 = await joins(nodes, "n2");
    await nodes.within(20_000, g2.when.reaches(400));
    for (const group of [g0, g1, g2]) deepEqual([group.position, await counted(group)], [400, 39_800]);
  });
