import type { Env, Timer } from "../../env/index.ts";
import { addressBucket } from "../address.ts";

/**
 * Begins handshakes a few at a time, one turn after the other, and address by address.
 *
 * The answer to a client's hello costs some milliseconds of key exchange and signature, at once. Without this a thousand clients that
 * say hello together would stop the process for as long as all of them take. What waits is bounded by `Admission`.
 */
export class HandshakeQueue {
  readonly #env: Env;
  readonly #perTurnMax: number;
  /** By address; the first one is next. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #turn: Timer | undefined;

  constructor(env: Env, perTurnMax: number) {
    this.#env = env;
    this.#perTurnMax = perTurnMax;
  }

  /** @returns how to leave; without effect once it began */
  add(host: string, begin: () => void): () => void {
    const bucket = addressBucket(host);
    const here = this.#waiting.get(bucket) ?? new Set();
    here.add(begin);
    this.#waiting.set(bucket, here);
    this.#turn ??= this.#env.after(0, () => this.#onTurn());
    return () => {
      if (here.delete(begin) && here.size === 0) this.#waiting.delete(bucket);
    };
  }

  #onTurn(): void {
    this.#turn = undefined;
    for (let left = this.#perTurnMax; left > 0; left--) this.#takeNext()?.();
    if (this.#waiting.size > 0) this.#turn ??= this.#env.after(0, () => this.#onTurn());
  }

  #takeNext(): (() => void) | undefined {
    for (const [bucket, here] of this.#waiting) {
      const [begin] = here;
      this.#waiting.delete(bucket);
      if (begin === undefined) continue;
      here.delete(begin);
      // Behind the others.
      if (here.size > 0) this.#waiting.set(bucket, here);
      return begin;
    }
    return undefined;
  }
}
