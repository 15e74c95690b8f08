import { randomBytes, randomInt } from "node:crypto";
import type { Env, Timer } from "./env.ts";
import type { Logger } from "./logger.ts";

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

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** One line of JSON an event, to stderr: warnings and errors, or what `MOSAIK_LOG` says (`debug`, `info`, `warn`, `error`, `silent`). */
export function stderrLogger(): Logger {
  const wanted = process.env["MOSAIK_LOG"] ?? "warn";
  const from = wanted === "silent" ? LEVELS.length : LEVELS.indexOf(wanted as (typeof LEVELS)[number]);
  const write = (level: (typeof LEVELS)[number]) => (fields: object, message: string) => {
    if (LEVELS.indexOf(level) < (from === -1 ? LEVELS.indexOf("warn") : from)) return;
    const time = new Date().toISOString();
    process.stderr.write(`${JSON.stringify({ time, level, message, ...fields }, plainError)}\n`);
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

/** `JSON.stringify` shows an error as `{}`. */
function plainError(_key: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value;
}
