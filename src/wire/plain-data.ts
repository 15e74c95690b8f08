import { Buffer } from "node:buffer";
import { LIMITS, mosaikError } from "../env/index.ts";

/**
 * Extension types of the MessagePack codec; 0 is `undefined`. Published: they are in logs and snapshots.
 * A date is fixext 8 with its milliseconds as a float. Map and text are a marker (fixext 1) before an array and a byte string.
 */
export const EXTENSION = { undefined: 0, date: 1, map: 2, text: 3 } as const;

/** A `Map` on its way: keys and values in turn. */
export class MarkedMap {
  readonly items: readonly unknown[];
  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** A text that begins with a byte order mark, which text decoders like to swallow. */
export class MarkedText {
  readonly utf8: Uint8Array;
  constructor(text: string) {
    this.utf8 = new Uint8Array(Buffer.from(text));
  }
}

const BYTE_ORDER_MARK = 0xfeff;
const INT64_MIN = -(2n ** 63n);
const UINT64_END = 2n ** 64n;

/**
 * Refuses whatever would come back as something else; see `messagePack` for the list. Returns the value itself, or, if it holds what
 * needs a mark, a copy of the parts around it.
 *
 * @throws `not-encodable`
 */
export function checkPlainData(value: unknown): unknown {
  try {
    return check(value, 0);
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw notEncodable(value, `${cause.message} cannot be encoded: it would not come back the same`);
  }
}

/** The value goes along where logging cannot print it. */
export function notEncodable(value: unknown, message: string, cause?: unknown): Error {
  return mosaikError("not-encodable", message, {
    outcome: "not-applied",
    hidden: { rejected: [value] },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Says what stands in the way, without a key or a value: these are the caller's secrets. */
class Refused extends Error {}

function check(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
      if (!isWellFormed(value)) throw new Refused("a text with half a surrogate pair");
      return value.charCodeAt(0) === BYTE_ORDER_MARK ? new MarkedText(value) : value;
    case "number":
      if (Number.isNaN(value)) throw new Refused("NaN");
      if (value === 0 && Object.is(value, -0)) throw new Refused("-0");
      return value;
    case "boolean":
    case "undefined":
      return value;
    case "bigint":
      if (value < INT64_MIN || value >= UINT64_END) throw new Refused("a bigint of more than 64 bits");
      return value;
    case "object":
      return value === null ? null : checkObject(value, depth + 1);
    default:
      throw new Refused(`a ${typeof value}`);
  }
}

function checkObject(value: object, depth: number): unknown {
  if (value instanceof Uint8Array) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Date.prototype) return checkDate(value as Date);

  if (depth > LIMITS.valueDepthMax) throw new Refused(`a cycle, or more than ${LIMITS.valueDepthMax} levels,`);
  if (prototype === Object.prototype || prototype === null) return checkRecord(value as Record<string, unknown>, depth);
  if (prototype === Array.prototype) return checkArray(value as unknown[], depth);
  if (prototype === Map.prototype) return markMap(value as Map<unknown, unknown>, depth);
  throw new Refused(`an object of class ${className(prototype)}`);
}

function checkDate(date: Date): Date {
  if (Number.isNaN(date.getTime())) throw new Refused("an invalid date");
  return date;
}

function checkArray(array: unknown[], depth: number): unknown[] {
  let copy: unknown[] | undefined;
  for (let index = 0; index < array.length; index += 1) {
    const item = array[index];
    if (item === undefined && !(index in array)) throw new Refused("an array with holes");
    const checked = check(item, depth);
    if (checked === item) continue;
    copy ??= array.slice();
    copy[index] = checked;
  }
  return copy ?? array;
}

function checkRecord(record: Record<string, unknown>, depth: number): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(record)) {
    checkKey(key);
    const item = record[key];
    const checked = check(item, depth);
    if (checked === item) continue;
    copy ??= { ...record };
    copy[key] = checked;
  }
  return copy ?? record;
}

function checkKey(key: string): void {
  if (key === "__proto__") throw new Refused("a key `__proto__`");
  if (!isWellFormed(key)) throw new Refused("a key with half a surrogate pair");
  if (key.charCodeAt(0) === BYTE_ORDER_MARK) throw new Refused("a key that begins with a byte order mark");
}

function markMap(map: ReadonlyMap<unknown, unknown>, depth: number): MarkedMap {
  const items: unknown[] = [];
  for (const [key, value] of map) items.push(check(key, depth), check(value, depth));
  return new MarkedMap(items);
}

function className(prototype: unknown): string {
  const name: unknown = (prototype as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === "string" && name !== "" ? name : "unknown";
}

/** ES2024, which Node has since 20; TypeScript's library for our target does not know it. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
