// Ours, under more than it can bear: a producer that sends as fast as it can, and consumers that read as fast as they can, or slowly.
import { built, ProcessWatch } from "./measure.mjs";

const { defineStream, Network } = await built("index.js");

const Parcels = defineStream("soak");
const PAYLOAD = new Uint8Array(256).fill(1);

export class StreamSoaker {
  #secret;
  #network;
  #ends = [];
  #figures = { received: 0, missed: 0, gaps: 0 };
  #watch;

  constructor({ secret }) {
    this.#secret = secret;
  }

  /** Where others reach it. */
  async create(bootstrap) {
    const options = { secret: this.#secret, listen: "127.0.0.1:0", logger: false };
    this.#network = await Network.create("soak", bootstrap === undefined ? options : { ...options, bootstrap });
    return this.#network.status().addresses[0];
  }

  /** Reads on, one value each `pauseMs`, or as fast as it can. */
  consume(pauseMs) {
    const consumer = this.#network.streams.consume(Parcels);
    this.#ends.push(consumer);
    void (async () => {
      let before = 0;
      for await (const { sequence, missed } of consumer.messages()) {
        if (before > 0 && sequence !== before + missed + 1) this.#figures.gaps++;
        before = sequence;
        this.#figures.received++;
        this.#figures.missed += missed;
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    })();
  }

  /** Sends without pause to so many, until the time is over. How many were taken. */
  async flood(consumers, lagging, durationMs) {
    const producer = this.#network.streams.produce(Parcels, { lagging });
    await producer.when.subscribed({ minimumOf: consumers });
    const until = performance.now() + durationMs;
    let taken = 0;
    while (performance.now() < until) {
      await producer.send(PAYLOAD);
      taken++;
    }
    return taken;
  }

  watch() {
    this.#watch = new ProcessWatch();
  }

  watched() {
    return { ...this.#watch.end(), figures: this.#figures };
  }

  async close() {
    for (const end of this.#ends) await end.close();
    await this.#network.close();
  }
}
