/** One process of the demo: a peer, a member of one group, and a client that runs commands as fast as they are acknowledged. */
import { type Group, MosaikError, Network } from "../src/index.ts";
import { idOf, Ledger, type News, type Order } from "./protocol.ts";

const VIEW_EVERY_MS = 100;
const RESERVED_AT_ONCE = 256;
/** Between two commands of one client, so that the machine has time for the newcomer, too. */
const THINK_MS = 5;

const [name = ""] = process.argv.slice(2);
const network = await Network.create("mosaik-demo", { secret: process.env["DEMO_SECRET"], listen: "127.0.0.1:0" });
let group: Group<typeof Ledger> | undefined;

let isLoading = false;
let clients: Promise<void>[] = [];
let next = 0;
let reserved = 0;
let reservation: Promise<void> = Promise.resolve();
let acknowledged: number[] = [];
let killedAfter = Number.POSITIVE_INFINITY;

process.on("message", (order: Order) => void obey(order));
// Ctrl-C reaches all processes of a terminal: it is for the director, who ends us.
process.on("SIGINT", () => {});
// A demo whose director is gone has nobody to show anything to.
process.on("disconnect", () => process.exit(1));
tell({ type: "listening", peer: network.peerId, address: network.status().addresses[0] ?? "" });

async function obey(order: Order): Promise<void> {
  switch (order.type) {
    case "join":
      return join(order.bootstrap);
    case "load":
      isLoading = true;
      clients = Array.from({ length: order.concurrency }, runCommands);
      return;
    case "leader-killed":
      killedAfter = next;
      return;
    case "stop-load":
      isLoading = false;
      await Promise.all(clients);
      tellAcknowledged();
      return tell({ type: "load-stopped" });
    case "report": {
      if (group === undefined) return;
      const { result } = await group.query("counts");
      return tell({ type: "report", counts: result });
    }
    case "close":
      await network.close();
      return tell({ type: "closed" });
  }
}

async function join(bootstrap: readonly string[]): Promise<void> {
  if (bootstrap.length > 0) await network.discovery.dial(bootstrap);
  group = network.groups.join("ledger", {
    machine: Ledger,
    expect: 3,
    // A demo has no patience: one that is silent for a second may be replaced by one that is there for half a second.
    tuning: { removeDeadAfterMs: 1_000, promoteAfterMs: 500 },
  });
  setInterval(tellView, VIEW_EVERY_MS, group).unref();
  await group.when.online();
  tell({ type: "online", leader: group.leader ?? "" });
}

/** One client: the next command soon after the last one is acknowledged. `execute` rides out the election after the kill. */
async function runCommands(): Promise<void> {
  while (isLoading && group !== undefined) {
    const number = await takeNumber();
    try {
      await group.execute({ add: idOf(name, number) });
    } catch (error) {
      // Not acknowledged within ten seconds: it may count once, or not at all.
      if (MosaikError.is(error, "outcome-unknown", "group-offline")) continue;
      throw error;
    }
    if (acknowledged.push(number) === 1) setImmediate(tellAcknowledged);
    if (number > killedAfter) {
      killedAfter = Number.POSITIVE_INFINITY;
      tell({ type: "first-after-kill", leader: group.leader ?? "" });
    }
    await network.clock.sleep(THINK_MS);
  }
}

/** An id that the ledger may hold is one that the director has heard of. */
async function takeNumber(): Promise<number> {
  const number = ++next;
  if (number > reserved) {
    reserved += RESERVED_AT_ONCE;
    reservation = new Promise((resolve) => {
      process.send?.({ type: "reserved", upTo: reserved } satisfies News, () => resolve());
    });
  }
  await reservation;
  return number;
}

function tellAcknowledged(): void {
  if (acknowledged.length > 0) tell({ type: "acknowledged", numbers: acknowledged });
  acknowledged = [];
}

function tellView({ members, isLeader, term, position }: Group<typeof Ledger>): void {
  const role = members.find(({ id }) => id === network.peerId)?.role ?? "learner";
  const voters = members.filter((member) => member.role === "voter").map(({ id }) => id);
  tell({ type: "view", role, isLeader, term, position, voters });
}

function tell(news: News): void {
  process.send?.(news);
}
