// Ours: one node of a network and its member of one group, through the public surface alone.
import { built, medianOf, nowUs, rateOf } from "./measure.mjs";

const { defineMachine, MosaikError, Network } = await built("index.js");

const Counter = defineMachine("bench-counter", {
  state: () => ({ total: 0 }),
  commands: { add: (state, amount) => (state.total += amount) },
  queries: { total: (state) => state.total },
});

const BEAT_MS = 5;

export class Member {
  #secret;
  #network;
  #group;
  #acknowledged = 0;
  #beat;
  #beats = [];
  #waiting = [];

  constructor({ secret }) {
    this.#secret = secret;
  }

  /** Makes the network. Where others reach it. */
  async create(bootstrap) {
    const options = { secret: this.#secret, listen: "127.0.0.1:0", logger: false };
    this.#network = await Network.create("bench", bootstrap === undefined ? options : { ...options, bootstrap });
    return this.#network.status().addresses[0];
  }

  /** Resolves once online and open for commands; when that was, in microseconds of the machine's clock. */
  async join(expect) {
    this.#group = this.#network.groups.join("bench", { machine: Counter, expect });
    await this.#group.when.online();
    return nowUs();
  }

  /** A first command, after which a lone group is open too. When it was acknowledged. */
  async first() {
    await this.#group.execute({ add: 1 });
    this.#acknowledged++;
    return nowUs();
  }

  isLeader() {
    return this.#group.isLeader;
  }

  /** One at a time: the median, in microseconds. */
  alone(durationMs) {
    return medianOf(() => this.#execute(), { durationMs });
  }

  /** Operations per second. */
  async inFlight(inFlight, durationMs) {
    return (await rateOf(() => this.#execute(), { inFlight, durationMs })).perSecond;
  }

  /** Commands per second. */
  async many(size, inFlight, durationMs) {
    const commands = Array.from({ length: size }, () => ({ add: 1 }));
    const operation = async () => {
      await this.#group.executeMany(commands);
      this.#acknowledged += size;
    };
    return (await rateOf(operation, { inFlight, durationMs })).perSecond * size;
  }

  /** Strong reads per second. */
  async strongReads(inFlight, durationMs) {
    return (await rateOf(() => this.#group.query("total"), { inFlight, durationMs })).perSecond;
  }

  acknowledged() {
    return this.#acknowledged;
  }

  /** What the machine holds, by a strong read. */
  async total() {
    return (await this.#group.query("total")).result;
  }

  // ── Failover ──

  /** A command every few milliseconds, whatever becomes of those before it. */
  startBeat() {
    this.#beat = setInterval(() => void this.#beatOnce(), BEAT_MS);
  }

  stopBeat() {
    clearInterval(this.#beat);
  }

  /** When the first command that began after `sinceUs` was acknowledged. */
  firstAfter(sinceUs) {
    const found = this.#beats.filter(({ begunUs }) => begunUs >= sinceUs).map(({ doneUs }) => doneUs);
    if (found.length > 0) return Math.min(...found);
    return new Promise((resolve) => this.#waiting.push({ sinceUs, resolve }));
  }

  async close() {
    const beganUs = nowUs();
    this.stopBeat();
    await this.#network?.close();
    return beganUs;
  }

  async #execute() {
    await this.#group.execute({ add: 1 });
    this.#acknowledged++;
  }

  async #beatOnce() {
    const begunUs = nowUs();
    try {
      await this.#group.execute({ add: 1 }, { timeoutMs: 20_000 });
    } catch (error) {
      if (!MosaikError.is(error)) throw error;
      return;
    }
    const doneUs = nowUs();
    this.#beats.push({ begunUs, doneUs });
    if (this.#beats.length > 10_000) this.#beats.shift();
    const ready = this.#waiting.filter(({ sinceUs }) => sinceUs <= begunUs);
    this.#waiting = this.#waiting.filter(({ sinceUs }) => sinceUs > begunUs);
    for (const { resolve } of ready) resolve(doneUs);
  }
}
