// A typed event stream with backpressure, and consumers that choose what they get.
//
//   node --import tsx examples/event-stream.ts produce      # waits for two consumers
//   node --import tsx examples/event-stream.ts archive      # all orders, as lines
//   node --import tsx examples/event-stream.ts watch        # the big ones, slowly
//
// All with one MOSAIK_SECRET; the first with MOSAIK_LISTEN=127.0.0.1:7000, the others with MOSAIK_BOOTSTRAP=127.0.0.1:7000.
import { defineStream, Network } from "mosaik";
import { z } from "zod";

const OrderPlaced = z.object({
  id: z.string(),
  cents: z.number().int(),
  at: z.coerce.date(),
  source: z.string().default("web"),
});
const Orders = defineStream("orders", {
  schema: OrderPlaced,
  matches: (order, wanted: { minCents: number }) => order.cents >= wanted.minCents,
});

await using network = await Network.create("shop", {
  secret: process.env["MOSAIK_SECRET"],
  listen: process.env["MOSAIK_LISTEN"] ?? "127.0.0.1:0",
  bootstrap: process.env["MOSAIK_BOOTSTRAP"],
  tags: "shop",
});

if (process.argv[2] === "produce") {
  // `wait`: the slowest consumer sets the pace, and nothing is lost while it stays.
  const orders = network.streams.produce(Orders, { lagging: "wait", require: { tags: "shop" } });
  await orders.when.subscribed({ minimumOf: 2, signal: AbortSignal.timeout(30_000) });
  // The default and the coercion are the consumer's.
  await orders.send({ id: "o-1", cents: 1_200, at: "2026-11-22T10:00:00Z" });
  const count = Number(process.env["ORDERS"] ?? 1_000);
  for (let i = 2; i <= count; i++) await orders.send({ id: `o-${i}`, cents: i * 100, at: new Date() });
  console.log(`${count} orders sent`);
} else if (process.argv[2] === "archive") {
  const orders = network.streams.consume(Orders, { maxQueued: 256 });
  for await (const order of orders) console.log(JSON.stringify(order));
} else {
  const big = network.streams.consume(Orders, {
    criteria: { minCents: 90_000 },
    require: { tags: "shop", maxRttMs: 1_000 },
    maxProducers: 2,
    prefer: (peer) => -(peer.rttMs ?? 0),
  });
  for await (const { value: order, from, missed } of big.messages()) {
    if (missed > 0) console.warn(`${missed} orders of ${from} were lost before ${order.id}`);
    console.log(`${order.id} from ${order.source} on ${order.at.toISOString().slice(0, 4)}`);
    await network.clock.sleep(1);
  }
}
