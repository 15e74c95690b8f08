import { DecodeError } from "../../wire/index.ts";
import type { ChunkIntake } from "./chunk-intake.ts";

/**
 * A state of plain data in pieces, for machines that say nothing of snapshots: containers are opened, filled and closed, as in a text. Small
 * ones go whole, as items of the one around them; so a piece is small, however large the state.
 */
type PlainChunk =
  | readonly [typeof OPEN, Kind, unknown?]
  /** Items of the container that is open: keys and values in turn, or values alone. */
  | readonly [typeof FILL, readonly unknown[]]
  | readonly [typeof CLOSE];

const OPEN = 0;
const FILL = 1;
const CLOSE = 2;

const KIND = { record: 0, array: 1, map: 2 } as const;
type Kind = (typeof KIND)[keyof typeof KIND];
type Container = Record<string, unknown> | unknown[] | Map<unknown, unknown>;

/** About as many values, or times 64 bytes, to a piece. */
const PIECE_WEIGHT = 256;

/** Whatever is no plain data is handed out as it is: the codec refuses it, with its reason. */
export function* plainChunks(state: object): Generator<unknown, void, void> {
  const kind = kindOf(state);
  if (kind === undefined) yield [FILL, [state]] satisfies PlainChunk;
  else yield* chunksOf(state as Container, kind, [OPEN, kind]);
}

/** Makes a plain state of its pieces, one by one: so a large one is made in small steps, however long each waits for the next. */
export class PlainIntake implements ChunkIntake {
  readonly #path: Container[] = [];
  #root: Container | undefined;

  /** @throws DecodeError for what `plainChunks` never makes */
  add(chunk: unknown): void {
    if (!Array.isArray(chunk)) throw new DecodeError("a piece of a state that is none");
    const [what, argument, key] = chunk as unknown[];
    const current = this.#path[this.#path.length - 1];
    if (what === OPEN) this.#open(current, argument, key);
    else if (current === undefined) throw new DecodeError("a piece outside of its state");
    else if (what === FILL && Array.isArray(argument)) fill(current, argument);
    else if (what === CLOSE) this.#path.pop();
    else throw new DecodeError("an unknown piece of a state");
  }

  /** The state itself, no copy: of one machine. @throws DecodeError */
  take(): object {
    if (this.#root === undefined || this.#path.length > 0) throw new DecodeError("a state that ends early");
    return this.#root;
  }

  [Symbol.iterator](): Iterator<unknown> {
    return plainChunks(this.take());
  }

  #open(current: Container | undefined, kind: unknown, key: unknown): void {
    if (this.#root !== undefined && current === undefined) throw new DecodeError("two states in one snapshot");
    const opened = emptyOf(kind);
    if (current !== undefined) add(current, key, opened);
    this.#root ??= opened;
    this.#path.push(opened);
  }
}

/** @throws DecodeError for what `plainChunks` never makes */
export function fromPlainChunks(chunks: Iterable<unknown>): object {
  if (chunks instanceof PlainIntake) return chunks.take();
  const intake = new PlainIntake();
  for (const chunk of chunks) intake.add(chunk);
  return intake.take();
}

function* chunksOf(container: Container, kind: Kind, opening: PlainChunk): Generator<PlainChunk, void, void> {
  yield opening;
  let items: unknown[] = [];
  let weight = 0;
  for (const [key, value] of itemsOf(container)) {
    const childWeight = weigh(value, PIECE_WEIGHT);
    const childKind = childWeight > PIECE_WEIGHT ? kindOf(value) : undefined;
    if (childKind !== undefined || weight + childWeight > PIECE_WEIGHT) {
      if (items.length > 0) yield [FILL, items];
      items = [];
      weight = 0;
    }
    if (childKind !== undefined) {
      yield* chunksOf(value as Container, childKind, kind === KIND.array ? [OPEN, childKind] : [OPEN, childKind, key]);
      continue;
    }
    if (kind === KIND.array) items.push(value);
    else items.push(key, value);
    weight += 1 + childWeight;
  }
  if (items.length > 0) yield [FILL, items];
  yield [CLOSE];
}

function* itemsOf(container: Container): Generator<readonly [unknown, unknown], void, void> {
  if (container instanceof Map) return yield* container;
  if (Array.isArray(container)) {
    for (let at = 0; at < container.length; at++) {
      if (!(at in container)) throw new TypeError("an array with holes is no plain data");
      yield [at, container[at]];
    }
    return;
  }
  for (const key of Object.keys(container)) {
    if (key === "__proto__") throw new TypeError("a field `__proto__` is no plain data");
    yield [key, container[key]];
  }
}

/** How much a value is, as far as `limit`: what is larger is not looked through. */
function weigh(value: unknown, limit: number): number {
  if (typeof value === "string") return 1 + (value.length >>> 6);
  if (typeof value !== "object" || value === null) return 1;
  if (value instanceof Uint8Array) return 1 + (value.length >>> 6);
  let weight = 1;
  if (kindOf(value) === undefined) return weight;
  for (const [key, item] of itemsOf(value as Container)) {
    weight += weigh(key, limit - weight) + weigh(item, limit - weight);
    if (weight > limit) break;
  }
  return weight;
}

function kindOf(value: unknown): Kind | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Map.prototype) return KIND.map;
  if (prototype === Array.prototype) return KIND.array;
  return prototype === Object.prototype || prototype === null ? KIND.record : undefined;
}

function emptyOf(kind: unknown): Container {
  if (kind === KIND.map) return new Map();
  if (kind === KIND.array) return [];
  if (kind === KIND.record) return {};
  throw new DecodeError("a container of an unknown kind");
}

function fill(container: Container, items: readonly unknown[]): void {
  if (Array.isArray(container)) {
    for (const item of items) container.push(item);
    return;
  }
  if (items.length % 2 !== 0) throw new DecodeError("a key without a value");
  for (let at = 0; at < items.length; at += 2) add(container, items[at], items[at + 1]);
}

function add(container: Container, key: unknown, value: unknown): void {
  if (container instanceof Map) container.set(key, value);
  else if (Array.isArray(container)) container.push(value);
  else if (typeof key === "string" && key !== "__proto__") container[key] = value;
  else throw new DecodeError("a field without a name");
}
