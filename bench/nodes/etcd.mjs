// A client of etcd, as its users on npm have it. Its package is no dependency of ours, so it says where it lies.
import { createRequire } from "node:module";
import { join } from "node:path";
import { medianOf, rateOf } from "./measure.mjs";

const KEYS = 1_000;

export class EtcdClient {
  #client;
  #acknowledged = 0;
  #next = 0;
  #value = Buffer.alloc(256, 1);

  constructor({ folder, hosts }) {
    const { Etcd3 } = createRequire(join(folder, "package.json"))("etcd3");
    this.#client = new Etcd3({ hosts });
  }

  /** Resolves once a write was taken. */
  async ready() {
    for (;;) {
      try {
        return await this.#put();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  putAlone(durationMs) {
    return medianOf(() => this.#put(), { durationMs });
  }

  async puts(inFlight, durationMs) {
    return (await rateOf(() => this.#put(), { inFlight, durationMs })).perSecond;
  }

  /** Linearizable ones: the client's default. */
  async gets(inFlight, durationMs) {
    const get = () => this.#client.get(`key-${this.#next++ % KEYS}`).buffer();
    return (await rateOf(get, { inFlight, durationMs })).perSecond;
  }

  close() {
    this.#client.close();
  }

  async #put() {
    await this.#client.put(`key-${this.#acknowledged++ % KEYS}`).value(this.#value);
  }
}
