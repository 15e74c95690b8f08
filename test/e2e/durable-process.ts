import { defineMachine, Network } from "../../src/index.ts";

// A member with a data directory, in a process of its own. Its parent tells it what to do; SIGTERM closes it in order.

/** Ids that were added, in order. */
const Ids = defineMachine("ids", {
  state: () => ({ ids: [] as string[] }),
  commands: { add: (state, id: string) => state.ids.push(id) },
  queries: { all: (state) => state.ids },
});

export type Order =
  | { readonly type: "add"; readonly id: string }
  | { readonly type: "all" }
  | { readonly type: "leave" }
  | { readonly type: "ready" };
export type Told = {
  readonly call: number;
  readonly value?: unknown;
  readonly code?: string | undefined;
};

const tell = (message: object): void => void process.send?.(message);
const { dataDir, bootstrap } = JSON.parse(process.argv[2] ?? "") as { dataDir: string; bootstrap: string[] };

try {
  const network = await Network.create("e2e durable", { logger: false, listen: "127.0.0.1:0", bootstrap, dataDir });
  const group = network.groups.join("ids", { expect: 3, machine: Ids });
  const obey = async (order: Order): Promise<unknown> => {
    if (order.type === "add") return group.execute({ add: order.id }, { timeoutMs: 30_000 });
    if (order.type === "all") return (await group.query("all", { timeoutMs: 30_000 })).result;
    if (order.type === "leave") return group.leave();
    return network.when.ready();
  };
  process.on("message", ({ call, order }: { call: number; order: Order }) => {
    obey(order).then(
      (value) => tell({ call, value }),
      (cause: { code?: string }) => tell({ call, code: cause.code ?? String(cause) }),
    );
  });
  process.once("SIGTERM", async () => {
    await network.close();
    process.disconnect();
  });
  tell({ call: 0, value: { peerId: network.peerId, address: network.status().addresses[0] } });
} catch (cause) {
  tell({ call: 0, code: (cause as { code?: string }).code ?? String(cause) });
  process.disconnect();
}
