import { defineStream, Network, type NetworkOptions, type Producer } from "../../src/index.ts";

// Nodes in a process of their own, with a producer or consumers each. Its parent tells it to send, asks for figures, and tells it to close; then nothing may
// keep it alive.

export interface StreamProcessOptions {
  readonly nodes: number;
  readonly network: NetworkOptions;
  /** So many values from each node, when told to. Undefined: it consumes. */
  readonly produces: number | undefined;
  /** Of each node. */
  readonly consumers: number;
}

/** Of each consumer. */
export interface Figures {
  readonly received: number;
  readonly missed: number;
  readonly isOrdered: boolean;
  readonly last: number;
}

const Parcels = defineStream<{ number: number; pad?: Uint8Array }>("parcels");
const options = JSON.parse(process.argv[2] as string) as StreamProcessOptions;
const networks = await Promise.all(
  Array.from({ length: options.nodes }, () => Network.create("e2e streams", { logger: false, ...options.network })),
);
const producers: Producer<{ number: number }>[] = [];
const figures: { -readonly [Name in keyof Figures]: Figures[Name] }[] = [];

for (const network of networks) {
  if (options.produces !== undefined) {
    producers.push(network.streams.produce(Parcels, { lagging: "wait" }));
  }
  for (let i = 0; i < options.consumers; i++) {
    const own = { received: 0, missed: 0, isOrdered: true, last: 0 };
    figures.push(own);
    const consumer = network.streams.consume(Parcels);
    void (async () => {
      for await (const { value, missed } of consumer.messages()) {
        own.isOrdered &&= value.number > own.last;
        own.last = value.number;
        own.received++;
        own.missed += missed;
      }
    })();
  }
}

process.on("message", async (message) => {
  if (message === "figures") process.send?.(figures);
  if (message === "send") {
    const values = Array.from({ length: options.produces ?? 0 }, (_, i) => ({ number: i + 1 }));
    for (const producer of producers) void producer.sendMany(values);
  }
  if (message !== "close") return;
  await Promise.all(networks.map((network) => network.close()));
  process.disconnect();
});
process.send?.("up");
