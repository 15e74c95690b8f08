/** One process of the demo: a peer, a member of one group, and a client that runs commands as fast as they are acknowledged. */
import { type Group, MosaikError, Network } from "../src/index.ts";
import { idOf, Ledger, type News, type Order } from "./protocol.ts";

const node = Number(process.argv[2]);
const tell = (news: News): void => {
  process.send?.(news);
};

const network = await Network.create("mosaik-demo", { secret: process.env["DEMO_SECRET"], listen: "127.0.0.1:0" });
let group: Group<typeof Ledger> | undefined;
let next = 0;
let isLoading = false;
let killedAfter = Number.POSITIVE_INFINITY;
let workers: Promise<void>[] = [];
const errors: Record<string, number> = {};

process.on("message", (order: Order) => void obey(order));
// A demo whose parent is gone has nobody to show anything to.
process.on("disconnect", () => process.exit(1));
tell({ type: "listening", peer: network.peerId, address: network.status().addresses[0] ?? "" });

async function obey(order: Order): Promise<void> {
  switch (order.type) {
    case "join":
      return join(order.bootstrap);
    case "load":
      isLoading = true;
      workers = Array.from({ length: order.concurrency }, work);
      return;
    case "killed":
      killedAfter = next;
      return;
    case "stop-load":
      isLoading = false;
      await Promise.all(workers);
      return tell({ type: "load-stopped", errors });
    case "report": {
      if (group === undefined) return;
      const { result, position } = await group.query("counts");
      return tell({ type: "report", counts: result, position });
    }
    case "close":
      await network.close();
      return tell({ type: "closed" });
  }
}

async function join(bootstrap: readonly string[]): Promise<void> {
  void network.discovery.dial(bootstrap).catch(() => undefined);
  group = network.groups.join("ledger", { machine: Ledger, expect: 3 });
  await group.when.online();
  tell({ type: "online", leader: group.leader ?? "" });
}

async function work(): Promise<void> {
  while (isLoading && group !== undefined) {
    const number = ++next;
    tell({ type: "issued", upTo: number });
    try {
      const { position } = await group.execute({ add: idOf(node, number) });
      tell({ type: "acknowledged", numbers: [number], position });
      if (number <= killedAfter) continue;
      killedAfter = Number.POSITIVE_INFINITY;
      tell({ type: "first-after-kill", leader: group.leader ?? "" });
    } catch (error) {
      if (!MosaikError.is(error)) throw error;
      errors[error.code] = (errors[error.code] ?? 0) + 1;
    }
  }
}
