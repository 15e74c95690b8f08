import { deepEqual, equal, ok } from "node:assert/strict";
import { type Consumer, defineStream, type Message, type Producer } from "../../src/index.ts";
import type { Sim, SimNode } from "../../src/sim/index.ts";
import { story } from "../../src/sim/story.ts";

/** Places from 1, as the producer's program counts them; all of one producer are sent while its consumers are there. */
interface Parcel {
  readonly place: number;
  readonly pad: string;
}
const Parcels = defineStream<Parcel>("parcels");
const POLICIES = ["disconnect", "drop-oldest", "drop-newest", "wait"] as const;

/** A producer's program: numbers what it sends. */
class Shop {
  readonly producer: Producer<Parcel>;
  sent = 0;

  constructor(producer: Producer<Parcel>) {
    this.producer = producer;
  }

  async send(count: number, padChars = 10): Promise<void> {
    for (let i = 0; i < count; i++) await this.producer.send({ place: ++this.sent, pad: "x".repeat(padChars) });
  }
}

/** A consumer's program: wants every gap to be told to the value. */
class Reader {
  readonly #messages: AsyncIterator<Message<Parcel>>;
  #last: number;
  received = 0;
  missed = 0;

  /** @param after - what was sent before it came */
  constructor(consumer: Consumer<Parcel>, after = 0) {
    this.#messages = consumer.messages()[Symbol.asyncIterator]();
    this.#last = after;
  }

  /** Reads until this place comes. All that lies between two values is missed, and nothing else. */
  async readTo(place: number): Promise<void> {
    while (this.#last < place) {
      const { value: message } = await this.#messages.next();
      ok(message !== undefined, `the consumer ended after ${this.#last}`);
      equal(message.value.place, this.#last + message.missed + 1);
      equal(message.sequence, message.value.place);
      this.#last = message.value.place;
      this.received++;
      this.missed += message.missed;
    }
    equal(this.#last, place);
  }

  get counts(): [received: number, missed: number] {
    return [this.received, this.missed];
  }
}

const produce = ({ network }: SimNode): Producer<Parcel> =>
  network.streams.produce(Parcels, { lagging: "drop-oldest" });
const consume = ({ network }: SimNode): Consumer<Parcel> => network.streams.consume(Parcels);

/** Ada's shop, of which bob and cyd have read the first ten parcels. */
async function afterTen(sim: Sim): Promise<
  {
    readonly [Name in "ada" | "bob" | "cyd"]: SimNode;
  } & { readonly shop: Shop; readonly bobs: Reader; readonly cyds: Reader }
> {
  const [ada, bob, cyd] = [await sim.node("ada"), await sim.node("bob"), await sim.node("cyd")];
  const shop = new Shop(produce(ada));
  const [bobs, cyds] = [new Reader(consume(bob)), new Reader(consume(cyd))];
  await shop.producer.when.subscribed({ minimumOf: 2 });
  await shop.send(10);
  await Promise.all([bobs.readTo(10), cyds.readTo(10)]);
  return { ada, bob, cyd, shop, bobs, cyds };
}

for (const lagging of POLICIES) {
  const outcome = lagging === "wait" ? "sets the pace, and loses nothing" : "costs values, and each is told as missed";
  story(`streams: a slow link with \`${lagging}\` ${outcome}`, async (sim) => {
    const [ada, bob] = [await sim.node("ada"), await sim.node("bob")];
    const shop = new Shop(ada.network.streams.produce(Parcels, { lagging, maxQueued: 10 }));
    const reader = new Reader(consume(bob));
    await shop.producer.when.subscribed();

    // Four megabytes: more than the link holds, and the queue.
    sim.slow(ada, bob, 400_000);
    const reading = reader.readTo(401);
    await shop.send(400, 10_000);
    sim.heal();

    // Whoever was put out comes back, and hears of it.
    await shop.producer.when.subscribed();
    await sim.sleep(5_000);
    await shop.send(1);
    await reading;
    equal(reader.received + reader.missed, 401);
    equal(reader.missed > 0, lagging !== "wait");
    const [{ items, missed } = { items: 0, missed: 0 }] = shop.producer.consumers;
    if (lagging !== "disconnect") deepEqual([items, missed], reader.counts);
  });
}

story("streams: what a half-open link swallows is told when its consumer comes back", async (sim) => {
  const { ada, bob, shop, bobs, cyds } = await afterTen(sim);

  // Nobody is told; ada goes on sending to bob for as long as she takes him for alive.
  sim.halfOpen(ada, bob);
  await shop.send(20);
  await sim.sleep(1_000);
  equal(shop.producer.consumers.length, 2);
  await sim.until(() => shop.producer.consumers.length === 1, { withinMs: 60_000 });
  await shop.send(5);
  await shop.producer.when.subscribed({ minimumOf: 2 });
  await shop.send(10);
  await Promise.all([bobs.readTo(45), cyds.readTo(45)]);
  deepEqual(bobs.counts, [20, 25]);
  deepEqual(cyds.counts, [45, 0]);
});

story("streams: a link that ends before a value comes takes nothing from what is told", async (sim) => {
  const { ada, bob, shop, bobs, cyds } = await afterTen(sim);
  for (const until of [15, 20]) {
    sim.cut(ada, bob);
    await sim.until(() => shop.producer.consumers.length === 1, { withinMs: 60_000 });
    await shop.send(until - shop.sent);
    sim.heal();
    await shop.producer.when.subscribed({ minimumOf: 2 });
    // So that the next cut is of a link that bob has, too.
    await sim.sleep(1_000);
  }
  await shop.send(10);
  await Promise.all([bobs.readTo(30), cyds.readTo(30)]);
  deepEqual(bobs.counts, [20, 10]);
  deepEqual(cyds.counts, [30, 0]);
});

story("streams: a producer that is restarted counts anew, and nothing of its former life comes after", async (sim) => {
  const [ada, bob] = [await sim.node("ada"), await sim.node("bob")];
  const former = new Shop(produce(ada));
  const consumer = consume(bob);
  const before = new Reader(consumer);
  await former.producer.when.subscribed();
  await former.send(10);
  await before.readTo(10);
  await former.send(5);
  ada.crash();
  await ada.restart();

  const later = new Shop(produce(ada));
  await later.producer.when.subscribed();
  await later.send(10);
  // The five may have been on their way, or not; in their order, and before all that is of the new life.
  const messages = consumer.messages()[Symbol.asyncIterator]();
  const places: number[] = [];
  for (let last = 0; last !== 10; ) {
    const { value: message } = await messages.next();
    equal(message?.missed, 0);
    last = message?.value.place ?? 0;
    places.push(last);
  }
  const ofFormer = places.length - 10;
  ok(ofFormer >= 0 && ofFormer <= 5);
  deepEqual(places, [11, 12, 13, 14, 15].slice(0, ofFormer).concat([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
});

story("streams: a consumer that is restarted begins with what is sent then, and costs others nothing", async (sim) => {
  const { bob, shop, cyds } = await afterTen(sim);
  bob.crash();
  await sim.until(() => shop.producer.consumers.length === 1, { withinMs: 60_000 });
  await shop.send(10);
  await bob.restart();

  // What was sent while nobody of this life was there is not missed: nobody waited for it.
  const later = new Reader(consume(bob), 20);
  await shop.producer.when.subscribed({ minimumOf: 2 });
  await shop.send(10);
  await Promise.all([later.readTo(30), cyds.readTo(30)]);
  deepEqual(later.counts, [10, 0]);
  deepEqual(cyds.counts, [30, 0]);
});

story("streams: a partition that ends before the link does costs nothing", async (sim) => {
  const [ada, bob] = [await sim.node("ada"), await sim.node("bob")];
  const shop = new Shop(produce(ada));
  const reader = new Reader(consume(bob));
  await shop.producer.when.subscribed();
  sim.cut(ada, bob);
  await shop.send(100);
  await sim.sleep(2_000);
  sim.heal();
  await reader.readTo(100);
  deepEqual(reader.counts, [100, 0]);
});

story("streams: each side of a partition goes on, and after the heal each hears what it missed", async (sim) => {
  const [ada, bob] = [await sim.node("ada"), await sim.node("bob")];
  const [cyd, dan] = [await sim.node("cyd"), await sim.node("dan")];
  const shops = [new Shop(produce(ada)), new Shop(produce(cyd))] as const;
  // On each node but its own a consumer of each shop.
  const from = ({ network: { peerId } }: SimNode) => ({
    require: { where: ({ id }: { id: string }) => id === peerId },
  });
  const readersOf = (shop: SimNode): Reader[] =>
    [ada, bob, cyd, dan]
      .filter((node) => node !== shop)
      .map(({ network }) => new Reader(network.streams.consume(Parcels, from(shop))));
  const [ofAda, ofCyd] = [readersOf(ada), readersOf(cyd)];
  for (const { producer } of shops) await producer.when.subscribed({ minimumOf: 3 });
  for (const shop of shops) await shop.send(5);
  await Promise.all([...ofAda, ...ofCyd].map((reader) => reader.readTo(5)));

  sim.cut([ada, bob], [cyd, dan]);
  await sim.until(() => shops.every(({ producer }) => producer.consumers.length === 1), { withinMs: 60_000 });
  await shops[0].send(7);
  await shops[1].send(9);
  sim.heal();
  for (const { producer } of shops) await producer.when.subscribed({ minimumOf: 3 });
  for (const shop of shops) await shop.send(5);
  await Promise.all([...ofAda.map((reader) => reader.readTo(17)), ...ofCyd.map((reader) => reader.readTo(19))]);
  const [bobs, cyds, dans] = ofAda.map(({ counts }) => counts);
  deepEqual(
    [bobs, cyds, dans],
    [
      [17, 0],
      [10, 7],
      [10, 7],
    ],
  );
  const [adas, bobsOfCyd, dansOfCyd] = ofCyd.map(({ counts }) => counts);
  deepEqual(
    [adas, bobsOfCyd, dansOfCyd],
    [
      [10, 9],
      [10, 9],
      [19, 0],
    ],
  );
});
