import { badOption } from "./errors.ts";
import { LIMITS } from "./limits.ts";

/** A text that names something between peers: not empty, bounded. */
export function checkName(option: string, name: unknown, bytesMax: number = LIMITS.nameBytesMax): void {
  if (typeof name !== "string") throw badOption(option, "must be a string");
  if (name.length === 0) throw badOption(option, "must not be empty");
  if (Buffer.from(name).toString() !== name) throw badOption(option, "must be well-formed Unicode");
  const bytes = Buffer.byteLength(name);
  if (bytes > bytesMax) throw badOption(option, `has ${bytes} bytes, and at most ${bytesMax} are allowed`);
}

/** A field that nobody reads is a misspelt one. */
export function checkFields(value: unknown, option: string, known: readonly string[]): asserts value is object {
  if (typeof value !== "object" || value === null) throw badOption(option, "must be an object");
  for (const field of Object.keys(value)) {
    if (!known.includes(field)) throw badOption(field, `is not known; known are ${known.join(", ")}`);
  }
}

/** A function that can be called without waiting for anything. Async ones and generators show themselves before their first call. */
export function checkSynchronous(option: string, value: unknown): void {
  if (typeof value !== "function") throw badOption(option, "must be a function");
  const kind = Object.prototype.toString.call(value);
  if (kind !== "[object Function]") throw badOption(option, `must be synchronous, and is ${kind.slice(8, -1)}`);
}

/** What a command or query returned, unless it is a promise: replicas cannot wait for one. @param name - of one of several, for the message */
export function notAsync(option: string, result: unknown, name?: string): unknown {
  if (typeof result !== "object" || result === null || !("then" in result)) return result;
  if (typeof result.then !== "function") return result;
  // Its failure must not end the process as an unhandled rejection: the error below tells what is wrong.
  Promise.resolve(result).catch(() => {});
  const whole = name === undefined ? option : `${option}.${name}`;
  throw badOption(whole, "returned a promise; commands and queries are synchronous");
}
