import { doesNotThrow, equal, rejects, throws } from "node:assert/strict";
import { test } from "node:test";
import { mosaikError } from "../env/index.ts";
import type { SimulatedNode } from "./simulation.ts";
import { Waits } from "./waits.ts";

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const nodeOf = (machine: { life: number }): SimulatedNode => ({ name: "ada", machine }) as SimulatedNode;

test("waits-end: what does not end is told, unless its process died", async () => {
  const waits = new Waits(later);
  const machine = { life: 1 };
  void waits.watch(nodeOf(machine), "when.online", new Promise<void>(() => {}));
  await waits.watch(nodeOf(machine), "execute", Promise.resolve());
  equal(waits.settled, 1);
  throws(() => waits.check(), { invariant: "waits-end", message: /1 waits did not end.*when.online of ada/ });
  machine.life = 2;
  doesNotThrow(() => waits.check());
});

test("what comes about, is refused, or dies with its process; anything else is a bug", async () => {
  const waits = new Waits(later);
  const machine = { life: 1 };
  const node = nodeOf(machine);
  equal(await waits.ends(node, "leave", Promise.resolve()), true);
  equal(await waits.ends(node, "leave", Promise.reject(mosaikError("closed", "closed"))), false);
  await rejects(waits.ends(node, "leave", Promise.reject(new TypeError("a bug"))), TypeError);
  const dies = waits.ends(node, "leave", new Promise(() => {}));
  machine.life = 2;
  equal(await dies, false);
});
