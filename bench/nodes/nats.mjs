// An end of a NATS subject, as users of its npm package have it: iterators, and a connection for each consumer.
import { createRequire } from "node:module";
import { join } from "node:path";
import { Intake, medianOf, nowUs } from "./measure.mjs";

/** A client that publishes without a pause fills the server's queue for the consumer, and is cut off. */
const FLUSH_BYTES = 4 * 1024 * 1024;

export class NatsEnd {
  #nats;
  #port;
  #own;
  #intakes = [];

  constructor({ folder, port }) {
    this.#nats = createRequire(join(folder, "package.json"))("nats");
    this.#port = port;
  }

  async start() {
    this.#own = await this.#connect();
  }

  async consume(subject, consumers) {
    this.#intakes = await Promise.all(
      Array.from({ length: consumers }, async () => {
        const connection = await this.#connect();
        const intake = new Intake();
        void intake.read(connection.subscribe(subject), ({ data }) => data.length);
        await connection.flush();
        return intake;
      }),
    );
  }

  received(count) {
    return Intake.all(this.#intakes, count);
  }

  /** When it began. */
  async send(subject, { bytes, count }) {
    const value = new Uint8Array(bytes).fill(1);
    const perFlush = Math.ceil(FLUSH_BYTES / bytes);
    const beganUs = nowUs();
    for (let sent = 1; sent <= count; sent++) {
      this.#own.publish(subject, value);
      if (sent % perFlush === 0) await this.#own.flush();
    }
    await this.#own.flush();
    return beganUs;
  }

  async echo() {
    void (async () => {
      for await (const { data } of this.#own.subscribe("ping")) this.#own.publish("pong", data);
    })();
    await this.#own.flush();
  }

  /** Median of half a round trip, in microseconds. */
  async halfPingPong({ bytes, durationMs }) {
    const value = new Uint8Array(bytes).fill(1);
    const subscription = this.#own.subscribe("pong");
    const pongs = subscription[Symbol.asyncIterator]();
    const once = () => {
      this.#own.publish("ping", value);
      return pongs.next();
    };
    const us = await medianOf(once, { durationMs });
    subscription.unsubscribe();
    return us / 2;
  }

  /** Tries for as long as the server may take to start. */
  #connect() {
    const options = { servers: `127.0.0.1:${this.#port}`, waitOnFirstConnect: true, reconnectTimeWait: 50 };
    return this.#nats.connect({ ...options, maxReconnectAttempts: 100 });
  }
}
