import { equal } from "node:assert/strict";
import { test } from "node:test";
import { mosaikError, type Receipt, VirtualWorld } from "../env/index.ts";
import { History } from "./history.ts";
import { Ledger } from "./records.ts";
import type { SimulatedNode, Simulation } from "./simulation.ts";
import { Waits } from "./waits.ts";
import { Client } from "./workload.ts";

const RECEIPT = "m1.receipt" as Receipt;

test("a client ends with its process, also if that dies while another one is asked what became of a command", async () => {
  const world = new VirtualWorld({ seed: 1 });
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => world.env("sim").after(ms, resolve));
  let calls = 0;
  let asked = 0;
  const called = <T>(answer: () => T) => {
    calls++;
    return new Promise<T>((resolve) => resolve(answer()));
  };
  const unknown = (): never => {
    const init = { outcome: "unknown", details: { receipt: RECEIPT }, hidden: { rejected: [] } } as const;
    throw mosaikError("outcome-unknown", "nobody knows", init);
  };
  const ada = nodeOf(world, "ada", {
    query: () => called(() => ({ position: 1, result: null })),
    execute: () => called(unknown),
  });
  const bob = nodeOf(world, "bob", {
    outcomeOf: async () => {
      asked++;
      world.node("ada").crash();
    },
  });
  const client = new Client({
    simulation: { world, random: world.random } as unknown as Simulation,
    node: ada,
    id: 1,
    waits: new Waits(sleep),
    record: () => ({ history: new History(() => world.nowUs), ledger: new Ledger() }),
    fellows: () => [bob],
  });
  let callsInLife = 0;
  await world.run(async () => {
    client.start();
    while (asked === 0) await sleep(10);
    callsInLife = calls;
    await sleep(10_000);
  });
  equal(client.isDone, true);
  equal(asked, 1);
  equal(calls, callsInLife);
});

function nodeOf(world: VirtualWorld, name: string, group: object): SimulatedNode {
  return { name, machine: world.node(name), group: () => ({ state: "online", ...group }) } as unknown as SimulatedNode;
}
