/** A store on a simulated file system, beside a model that never crashes. */
import { deepEqual, ok } from "node:assert/strict";
import { type Env, realEnv, SeededRandom } from "../../src/env/index.ts";
import { hash } from "../../src/identity/index.ts";
import type { Entry, HardState, MemberId } from "../../src/raft/index.ts";
import { ChunkedBytes } from "../../src/storage/chunked-bytes.ts";
import { crc32c } from "../../src/storage/file/crc32c.ts";
import { fileStorageFactory } from "../../src/storage/file/data-directory.ts";
import { SimFileSystem } from "../../src/storage/file/sim-file-system.ts";
import type { IncarnationId, Storage, StorageFactory, StorageWrite } from "../../src/storage/index.ts";
import { heldSnapshot } from "../../src/storage/memory-snapshot.ts";
import { StoreState } from "../../src/storage/store-state.ts";

export const GROUP = hash("a group on a disk");
export const FOLDER = `/data/groups/${GROUP}`;
/** So small that a few entries fill one. */
export const SMALL_SEGMENTS = { bytesMin: 16 * 1024, bytesMax: 32 * 1024, reserveBytes: 2 * 1024 };

export type Operation =
  | { readonly type: "append"; readonly sizes: readonly number[]; readonly term: number }
  | { readonly type: "rewrite"; readonly back: number; readonly sizes: readonly number[]; readonly term: number }
  | { readonly type: "vote"; readonly term: number; readonly votedFor: string | undefined }
  | { readonly type: "bind" }
  | { readonly type: "prune"; readonly back: number }
  | { readonly type: "save"; readonly back: number; readonly bytes: number }
  | { readonly type: "reset"; readonly ahead: number; readonly bytes: number }
  /** Waits for all before it. */
  | { readonly type: "settle" };

/** Seeded, so that a failure can be run again; the machine's clock only spaces out tries for room. */
export function seededEnv(seed: number): Env {
  const random = new SeededRandom(seed);
  return { ...realEnv(), random };
}

export function simFiles(seed: number, onStep: (step: string) => void = () => {}): SimFileSystem {
  return new SimFileSystem({ random: new SeededRandom(seed), onStep });
}

/** The folder must be there before its stores. */
export async function factoryOn(files: SimFileSystem, seed: number): Promise<StorageFactory> {
  await files.makeDirectory("/data");
  await files.syncDirectory("/");
  return fileStorageFactory(seededEnv(seed), files, "/data", SMALL_SEGMENTS);
}

let serial = 0;
/** Differs each time; with whole sectors of zeros in between, as data may have. */
function data(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  serial++;
  for (let at = 0; at < length; at += 2_000) bytes.fill((serial % 255) + 1, at + 3, at + 900);
  if (length > 0) bytes[length - 1] = serial & 0xff;
  return bytes;
}

/** All that a store says, in a form that can be compared. */
export async function contentOf(store: Storage): Promise<string> {
  const { start, end } = store.available;
  const entries = await store.getRange(start + 1, end);
  const terms: (number | undefined)[] = [];
  for (let index = start; index <= end; index++) terms.push(await store.termAt(index));
  const reader = await store.openSnapshot();
  const snapshot = reader === undefined ? undefined : await reader.read(0, reader.head.bytes);
  await reader?.close();
  return print(store, [
    store.available,
    store.last,
    terms,
    entries.map(printEntry),
    store.snapshot && [store.snapshot.index, store.snapshot.term, [...store.snapshot.configuration]],
    snapshot && printData(snapshot),
  ]);
}

function print(names: { incarnation: unknown; hardState: HardState }, rest: unknown): string {
  const { incarnation, hardState } = names;
  return JSON.stringify([incarnation ?? null, hardState.term, hardState.votedFor ?? null, rest]);
}

function printEntry({ index, term, kind, data: bytes }: Entry): unknown {
  return [index, term, kind, printData(bytes)];
}

/** Sums of what was seen before. */
const sums = new WeakMap<Uint8Array, string>();
function printData(bytes: Uint8Array): string {
  const sum = sums.get(bytes) ?? `${bytes.length}:${crc32c(bytes)}`;
  sums.set(bytes, sum);
  return sum;
}

function modelContent(model: StoreState): string {
  const { start, end } = model.available;
  const terms = Array.from({ length: end - start + 1 }, (_, i) => model.termAt(start + i));
  const { snapshot } = model;
  return print(model, [
    model.available,
    model.last,
    terms,
    model.getRange(start + 1, end).map(printEntry),
    snapshot && [snapshot.index, snapshot.term, [...snapshot.configuration]],
    snapshot && printData(snapshot.data.slice(0, snapshot.data.length)),
  ]);
}

/** What was called for, what was promised, and what the store may therefore hold. */
export class Model {
  #state: StoreState;
  /** After each change that was called for. */
  #contents: string[];
  #promised = 0;

  constructor(store: Storage) {
    this.#state = new StoreState(store.storeId);
    this.#contents = [modelContent(this.#state)];
  }

  get last(): number {
    return this.#state.last.index;
  }
  get start(): number {
    return this.#state.available.start;
  }
  get term(): number {
    return this.#state.hardState.term;
  }
  get promised(): number {
    return this.#promised;
  }
  get calledFor(): number {
    return this.#contents.length - 1;
  }
  get termAtEnd(): number {
    return this.#state.last.term;
  }
  termAt(index: number): number {
    return this.#state.termAt(index) ?? 0;
  }

  /** @returns to be called when the store says that it is durable */
  change(apply: (state: StoreState) => void): () => void {
    apply(this.#state);
    const number = this.#contents.push(modelContent(this.#state)) - 1;
    return () => {
      ok(number > this.#promised, "promises come in the order of the calls");
      this.#promised = number;
    };
  }

  /** The store must hold all that was promised, and nothing but a beginning of what was called for. Goes on from there. */
  async check(store: Storage, label: string): Promise<void> {
    const content = await contentOf(store);
    const allowed = this.#contents.slice(this.#promised);
    const at = allowed.lastIndexOf(content);
    if (at === -1)
      deepEqual(JSON.parse(content), JSON.parse(allowed[0] ?? ""), `${label}: ${allowed.length} states allowed`);
    this.#contents = [content];
    this.#promised = 0;
    await this.#rebuild(store);
  }

  async #rebuild(store: Storage): Promise<void> {
    const state = new StoreState(store.storeId);
    const { start, end } = store.available;
    const reader = await store.openSnapshot();
    if (reader !== undefined) {
      const { index, term, configuration, bytes } = reader.head;
      state.resetTo(heldSnapshot({ index, term, configuration, data: await reader.read(0, bytes) }));
      await reader.close();
    }
    if (start > 0 || reader !== undefined) {
      // The boundary may lie before the snapshot or behind it.
      const snapshot = state.snapshot;
      state.resetTo({
        ...(snapshot ?? { configuration: new Uint8Array(0), data: new ChunkedBytes() }),
        index: start,
        term: (await store.termAt(start)) ?? 0,
      });
      state.replaceSnapshot(snapshot);
    }
    state.write({
      hardState: store.hardState,
      incarnation: store.incarnation,
      entries: await store.getRange(start + 1, end),
    });
    this.#state = state;
  }
}

/** Calls the store and the model. Resolves when the operation's order among the others is settled, not when it is durable. */
export async function perform(
  store: Storage,
  model: Model,
  operation: Operation,
  pending: Promise<void>[],
): Promise<void> {
  const write = (change: StorageWrite): void => {
    const onDurable = model.change((state) => state.write(change));
    pending.push(store.write(change).then(onDurable));
  };
  switch (operation.type) {
    case "append":
      return write({ entries: entriesAfter(model.last, operation, model.termAtEnd) });
    case "rewrite": {
      const from = Math.max(model.start + 1, model.last - operation.back);
      const term = model.termAtEnd + operation.term;
      const hardState = { term: Math.max(model.term, term), votedFor: undefined };
      return write({ truncateFrom: from, hardState, entries: entriesAfter(from - 1, operation, model.termAtEnd) });
    }
    case "vote":
      return write({
        hardState: { term: model.term + operation.term, votedFor: operation.votedFor as MemberId | undefined },
      });
    case "bind":
      return write({ incarnation: hash("the incarnation") as IncarnationId });
    case "prune": {
      const upTo = Math.max(0, model.last - operation.back);
      const onDurable = model.change((state) => state.prunePrefix(upTo));
      pending.push(store.prunePrefix(upTo).then(onDurable));
      return undefined;
    }
    case "save":
    case "reset":
      return snapshot(store, model, operation, pending);
    case "settle":
      await Promise.all(pending.splice(0));
      return undefined;
    default:
      return operation satisfies never;
  }
}

/** Its file takes a while; so that the order is known, nothing else is called meanwhile. */
async function snapshot(
  store: Storage,
  model: Model,
  operation: Extract<Operation, { readonly type: "save" | "reset" }>,
  pending: Promise<void>[],
): Promise<void> {
  await Promise.all(pending.splice(0));
  const isSave = operation.type === "save";
  const index = isSave ? Math.max(model.start, model.last - operation.back) : model.last + operation.ahead;
  if (index === 0) return;
  const term = isSave ? model.termAt(index) : model.termAtEnd + 1;
  const taken = { index, term, configuration: data(7), data: data(operation.bytes) };
  const held = heldSnapshot(taken);
  const onDurable = model.change((state) => (isSave ? state.saveSnapshot(held) : state.resetTo(held)));
  if (isSave) {
    const writer = await store.createSnapshot(taken);
    await writer.write(taken.data.subarray(0, 100));
    await writer.write(taken.data.subarray(100));
    await writer.save();
  } else await store.resetTo(taken);
  onDurable();
}

function entriesAfter(
  last: number,
  operation: { readonly sizes: readonly number[]; readonly term: number },
  termAtEnd: number,
): Entry[] {
  const term = Math.max(1, termAtEnd + operation.term);
  return operation.sizes.map((bytes, i) => ({ index: last + 1 + i, term, kind: i & 1, data: data(bytes) }));
}
