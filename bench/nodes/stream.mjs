// Ours: one end of a stream, through the public surface alone.
import { built, Intake, medianOf, nowUs } from "./measure.mjs";

const { defineStream, Network } = await built("index.js");

const Ping = defineStream("bench-ping");
const Pong = defineStream("bench-pong");

export class StreamEnd {
  #network;
  #intakes = [];
  #producers = new Map();

  /** Where others reach it. */
  async create(bootstrap) {
    const options = { secret: "secret of the streams bench", listen: "127.0.0.1:0", logger: false };
    this.#network = await Network.create("bench", bootstrap === undefined ? options : { ...options, bootstrap });
    return this.#network.status().addresses[0];
  }

  /** Resolves once so many consumers are connected. */
  async produce(name, consumers) {
    const producer = this.#network.streams.produce(defineStream(name), { lagging: "wait" });
    this.#producers.set(name, producer);
    await producer.when.subscribed({ minimumOf: consumers });
  }

  async consume(name, consumers) {
    const stream = defineStream(name);
    this.#intakes = Array.from({ length: consumers }, () => {
      const intake = new Intake();
      void intake.read(this.#network.streams.consume(stream), (value) => value.length);
      return intake;
    });
  }

  received(count) {
    return Intake.all(this.#intakes, count);
  }

  /** When it began. */
  async send(name, { bytes, count }) {
    const value = new Uint8Array(bytes).fill(1);
    const beganUs = nowUs();
    await this.#producers.get(name).sendMany(repeated(value, count));
    return beganUs;
  }

  async echo() {
    const pongs = this.#network.streams.produce(Pong);
    void (async () => {
      for await (const value of this.#network.streams.consume(Ping)) await pongs.send(value);
    })();
  }

  /** Median of half a round trip, in microseconds. */
  async halfPingPong({ bytes, durationMs }) {
    const value = new Uint8Array(bytes).fill(1);
    const pings = this.#network.streams.produce(Ping);
    const pongs = this.#network.streams.consume(Pong, { onlineWhen: { minimumOf: 1 } });
    await Promise.all([pings.when.online(), pongs.when.online()]);
    const once = async () => {
      await pings.send(value);
      await pongs.receive();
    };
    const us = await medianOf(once, { durationMs });
    await Promise.all([pings.close(), pongs.close()]);
    return us / 2;
  }
}

function* repeated(value, count) {
  for (let i = 0; i < count; i++) yield value;
}
