// An order book with a custom state machine and a custom schema.
import { command, defineMachine, type Group, MosaikError, Network, Rejection } from "mosaik";
import { z } from "zod";

const Order = z.object({
  id: z.number().int(),
  side: z.enum(["bid", "ask"]),
  price: z.number().int(),
  quantity: z.number().int().positive(),
  expires: z.enum(["never", "day"]).default("never"),
});
type Order = z.output<typeof Order>;
interface Fill {
  readonly bid: number;
  readonly ask: number;
  readonly price: number;
  readonly quantity: number;
}

/** An ordinary class: the machine below only calls it. */
class Book {
  readonly #orders: Order[];
  readonly fills: Fill[];
  constructor(orders: Order[] = [], fills: Fill[] = []) {
    this.#orders = orders;
    this.fills = fills;
  }
  place(taker: Order): Fill[] {
    if (this.#orders.some((order) => order.id === taker.id)) throw new Rejection("duplicate-order", { id: taker.id });
    const crosses = (maker: Order) =>
      maker.side !== taker.side && (taker.side === "bid" ? maker.price <= taker.price : maker.price >= taker.price);
    const made = this.#orders.filter(crosses).map(
      (maker): Fill => ({
        bid: taker.side === "bid" ? taker.id : maker.id,
        ask: taker.side === "ask" ? taker.id : maker.id,
        price: maker.price,
        quantity: Math.min(maker.quantity, taker.quantity),
      }),
    );
    this.#orders.push(taker);
    this.fills.push(...made);
    return made;
  }
  cancel(id: number): boolean {
    const index = this.#orders.findIndex((order) => order.id === id);
    return index >= 0 && this.#orders.splice(index, 1).length === 1;
  }
  best(side: "bid" | "ask"): number | undefined {
    return this.#orders
      .filter((order) => order.side === side)
      .map((order) => order.price)
      .sort((a, b) => (side === "bid" ? b - a : a - b))[0];
  }
  get orders(): readonly Order[] {
    return this.#orders;
  }
}

export const OrderBook = defineMachine("order-book", {
  version: 2,
  state: () => new Book(),
  commands: {
    place: command(Order, (book, order) => book.place(order)),
    cancel: (book, id: number) => book.cancel(id),
  },
  queries: {
    top: (book) => ({ bid: book.best("bid"), ask: book.best("ask") }),
    fills: (book, from: number) => book.fills.slice(from),
    count: (book) => book.orders.length,
  },
  *snapshot(book) {
    for (const order of book.orders) yield { kind: "order", order } as const;
    for (const fill of book.fills) yield { kind: "fill", fill } as const;
  },
  restore(chunks) {
    const orders: Order[] = [];
    const fills: Fill[] = [];
    for (const chunk of chunks) chunk.kind === "order" ? orders.push(chunk.order) : fills.push(chunk.fill);
    return new Book(orders, fills);
  },
});

// Streams and `watch` come later: the orders of this part are given.
await using network = await Network.create("exchange", {
  secret: process.env["MOSAIK_SECRET"],
  bootstrap: "match-0:7000",
});
await using book = network.groups.join("eth-usdc", {
  machine: OrderBook,
  expect: 3,
  leadership: process.env["STANDBY"] ? "reluctant" : "normal",
});
await book.when.online();
await match(book, []);

async function match(group: Group<typeof OrderBook>, orders: readonly Order[]): Promise<void> {
  for (const order of orders) {
    try {
      const { result: fills, position } = await group.execute({ place: order });
      console.log(`order ${order.id} at ${position}: ${fills.length} fills`);
      const { result: top } = await group.query("top", { consistency: { atLeast: position } });
      console.log(top.bid, top.ask);
    } catch (error) {
      if (!MosaikError.is(error)) throw error;
      switch (error.code) {
        case "command-rejected":
          console.warn(error.details.reason, error.details.data);
          break;
        case "outcome-unknown":
          console.warn("unknown:", error.details.receipt);
          break;
        default:
          throw error;
      }
    }
  }
}

const {
  result: [cancelled, made],
} = await book.executeMany([{ cancel: 4 }, { place: { id: 5, side: "bid", price: 300_000, quantity: 10 } }]);
console.log(
  cancelled,
  made.length,
  (await book.query({ fills: 0 })).result.length,
  (await book.query("count")).result + 1,
);
