// Ours, under much more load than it can bear: members that are watched, and observers that send as fast as they can and count what becomes of it.
import { built, nowUs, ProcessWatch } from "./measure.mjs";

const { defineMachine, MosaikError, Network } = await built("index.js");

const Counter = defineMachine("soak-counter", {
  state: () => ({ total: 0 }),
  commands: { add: (state, { amount }) => (state.total += amount) },
  queries: { total: (state) => state.total },
});

const PAYLOAD = "x".repeat(256);
/** Calls in one turn of the event loop: four times as many as may be on their way at once, so that a flooder is refused nearly all the time. */
const BURST = 16_384;

export class Soaker {
  #secret;
  #network;
  #group;
  #counts = { attempts: 0, acknowledged: 0, overloaded: 0, unknown: 0, notApplied: 0 };
  #terms = new Set();
  #watch;

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

  /** The group's terms as well. */
  watch() {
    this.#watch = new ProcessWatch(() => this.#terms.add(this.#group.term));
  }

  watched() {
    return { ...this.#watch.end(), terms: [...this.#terms] };
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
