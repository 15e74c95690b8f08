// An order book as a replicated state machine: an ordinary class, commands with a schema, rejections, and a watch on what is applied.
//
//   node --import tsx examples/order-book.ts
import { type Applied, command, defineMachine, MosaikError, Network, Rejection } from "mosaik";
import { z } from "zod";

const Order = z.object({
  id: z.number().int(),
  side: z.enum(["bid", "ask"]),
  price: z.number().int(),
  quantity: z.number().int().positive(),
});
type Order = z.output<typeof Order>;
type Fill = Readonly<{ bid: number; ask: number; price: number; quantity: number }>;

/** The machine below only calls it. */
class Book {
  readonly #open: Order[] = [];

  place(taker: Order): Fill[] {
    if (this.#open.some(({ id }) => id === taker.id)) throw new Rejection("duplicate-order", { id: taker.id });
    const fills: Fill[] = [];
    let left = taker.quantity;
    for (const maker of this.#crossing(taker)) {
      const quantity = Math.min(left, maker.quantity);
      const [bid, ask] = taker.side === "bid" ? [taker.id, maker.id] : [maker.id, taker.id];
      fills.push({ bid, ask, price: maker.price, quantity });
      maker.quantity -= quantity;
      if (maker.quantity === 0) this.cancel(maker.id);
      left -= quantity;
      if (left === 0) return fills;
    }
    this.#open.push({ ...taker, quantity: left });
    return fills;
  }

  cancel(id: number): boolean {
    const index = this.#open.findIndex((order) => order.id === id);
    return index >= 0 && this.#open.splice(index, 1).length === 1;
  }

  best(side: Order["side"]): number | undefined {
    const prices = this.#open.filter((order) => order.side === side).map(({ price }) => price);
    return prices.sort((a, b) => (side === "bid" ? b - a : a - b))[0];
  }

  /** The other side's orders that would trade with this one, best price first; among equals, first in, first out. */
  #crossing({ side, price }: Order): Order[] {
    return this.#open
      .filter((maker) => maker.side !== side && (side === "bid" ? maker.price <= price : maker.price >= price))
      .sort((a, b) => (side === "bid" ? a.price - b.price : b.price - a.price));
  }
}

const OrderBook = defineMachine("order-book", {
  state: () => new Book(),
  commands: {
    place: command(Order, (book, order) => book.place(order)),
    cancel: (book, id: number) => book.cancel(id),
  },
  queries: { top: (book) => ({ bid: book.best("bid"), ask: book.best("ask") }) },
});

const network = await Network.create("exchange", {
  secret: process.env["MOSAIK_SECRET"],
  bootstrap: process.env["MOSAIK_BOOTSTRAP"],
});
const book = network.groups.join("eth-usdc", { machine: OrderBook, expect: 1 });

const seen: Applied<typeof OrderBook>[] = [];
const watching = (async () => {
  for await (const entry of book.watch()) if (entry.type === "applied") seen.push(entry);
})();

await book.execute({ place: { id: 1, side: "ask", price: 101, quantity: 5 } });
await book.execute({ place: { id: 2, side: "ask", price: 100, quantity: 5 } });
const { result: fills, position } = await book.execute({ place: { id: 3, side: "bid", price: 101, quantity: 8 } });
console.log(`order 3, at position ${position}: ${fills.map((fill) => `${fill.quantity} at ${fill.price}`).join(", ")}`);

try {
  await book.execute({ place: { id: 1, side: "bid", price: 1, quantity: 1 } });
} catch (error) {
  if (!MosaikError.is(error, "command-rejected")) throw error;
  console.log(`order 1 again: ${error.details.reason}`);
}

const { result } = await book.executeMany([{ cancel: 1 }, { place: { id: 5, side: "bid", price: 99, quantity: 10 } }]);
console.log(`cancelled: ${result[0]}; fills: ${result[1].length}; top:`, (await book.query("top")).result);

await network.close();
await watching;
console.log(`applied: ${seen.map((entry) => entry.name).join(", ")}`);
