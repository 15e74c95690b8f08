import { randomBytes, randomInt } from "node:crypto";
import type { Env, Timer } from "./env.ts";

class SystemTimer implements Timer {
  #handle: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(delayMs: number, callback: () => void) {
    if (delayMs <= 0) this.#immediate = setImmediate(callback);
    else this.#handle = setTimeout(callback, Math.ceil(delayMs));
  }

  cancel(): void {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    if (this.#handle !== undefined) clearTimeout(this.#handle);
    this.#handle = undefined;
    this.#immediate = undefined;
  }
}

/** The machine's own clock, timers, randomness and thread pool. */
export function realEnv(): Env {
  return {
    clock: {
      wallMs: () => Date.now(),
      monotonicUs: () => Math.floor(performance.now() * 1000),
    },
    random: {
      uint32: () => randomBytes(4).readUInt32LE(0),
      below: (bound) => randomInt(bound),
      bytes: (length) => new Uint8Array(randomBytes(length)),
    },
    after: (delayMs, callback) => new SystemTimer(delayMs, callback),
    compute: (job) => job(),
  };
}
