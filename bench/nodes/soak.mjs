// Ours, under much more load than it can bear: members that are watched, and observers that send as fast as they can and count what becomes of it.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { built, nowUs } from "./measure.mjs";

const { defineMachine, MosaikError, Network } = await built("index.js");

const Counter = defineMachine("soak-counter", {
  state: () => ({ total: 0 }),
  commands: { add: (state, { amount }) => (state.total += amount) },
  queries: { total: (state) => state.total },
});

const PAYLOAD = "x".repeat(256);
/** Calls in one turn of the event loop: four times as many as may be on their way at once, so that a flooder is refused nearly all the time. */
const BURST = 16_384;
const SAMPLE_MS = 250;

export class Soaker {
  #secret;
  #network;
  #group;
  #counts = { attempts: 0, acknowledged: 0, overloaded: 0, unknown: 0, notApplied: 0 };
  #samples = [];
  #sampler;
  #delay = monitorEventLoopDelay({ resolution: 10 });

  constructor({ secret }) {
    this.#secret = secret;
  }

  async create(bootstrap) {
    const options = { secret: this.#secret, listen: "127.0.0.1:0", logger: false };
    this.#network = await Network.create("soak", bootstrap === undefined ? options : { ...options, bootstrap });
    return this.#network.status().addresses[0];
  }

  async join(expect) {
    this.#group = this.#network.groups.join("soak", { machine: Counter, expect });
    await this.#group.when.online();
    return nowUs();
  }

  async observe() {
    this.#group = this.#network.groups.join("soak", { machine: Counter, leadership: "observer" });
    await this.#group.when.online();
  }

  /** Memory, term and loop delay from now on. */
  watch() {
    this.#sample();
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#delay.enable();
  }

  watched() {
    this.#delay.disable();
    clearInterval(this.#sampler);
    return { samples: this.#samples, delayP99Ms: this.#delay.percentile(99) / 1e6 };
  }

  /** Until the time is over, and what was sent came to its end. */
  async flood(durationMs) {
    const untilUs = nowUs() + durationMs * 1_000;
    const open = new Set();
    while (nowUs() < untilUs) {
      for (let i = 0; i < BURST; i++) {
        const call = this.#attempt().finally(() => open.delete(call));
        open.add(call);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(open);
    return this.#counts;
  }

  async total() {
    return (await this.#group.query("total", { timeoutMs: 60_000 })).result;
  }

  async close() {
    await this.#network?.close();
  }

  #sample() {
    this.#samples.push({ rss: process.memoryUsage.rss(), term: this.#group.term });
  }

  async #attempt() {
    const counts = this.#counts;
    counts.attempts++;
    try {
      await this.#group.execute({ add: { amount: 1, payload: PAYLOAD } });
      counts.acknowledged++;
    } catch (error) {
      if (MosaikError.is(error, "overloaded") && error.details.rejected.length === 1) counts.overloaded++;
      else if (MosaikError.is(error) && error.outcome === "unknown") counts.unknown++;
      else if (MosaikError.is(error) && error.outcome === "not-applied") counts.notApplied++;
      else throw error;
    }
  }
}
