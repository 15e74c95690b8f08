import { deepEqual, equal, rejects } from "node:assert/strict";
import { test } from "node:test";
import { type Env, mosaikError } from "../../env/index.ts";
import type { Entry, Index, MemberId, Persist } from "../../raft/index.ts";
import type { SnapshotWriter, Storage, StorageWrite } from "../../storage/index.ts";
import { StoreWriter } from "./store-writer.ts";

const ADA = "ada" as MemberId;

/** A disk that says no until it has room, and a clock that the test turns. */
class Bench {
  readonly done: string[] = [];
  /** Undefined: all; `terms`: no entries; `nothing`: not even terms. */
  room: "all" | "terms" | "nothing" = "all";
  readonly news: string[] = [];
  readonly writer: StoreWriter;
  #timers: (() => void)[] = [];
  #writeId = 0;
  /** What the disk takes its time for. */
  #held: (() => void)[] | undefined;

  constructor() {
    const after = (_ms: number, run: () => void) => {
      this.#timers.push(run);
      return { cancel: () => this.#timers.splice(this.#timers.indexOf(run), 1) };
    };
    const storage = {
      write: (change: StorageWrite) => this.#write(describe(change), change.entries !== undefined),
      prunePrefix: (upTo: Index) => this.#write(`prune ${upTo}`, false),
    };
    this.writer = new StoreWriter({ after } as unknown as Env, storage as unknown as Storage, () => {
      this.news.push(this.writer.refusal === undefined ? "room" : "full");
    });
  }

  /** From now on a write that is let in ends only with `release`. */
  hold(): void {
    this.#held = [];
  }
  async release(): Promise<void> {
    for (const end of this.#held?.splice(0) ?? []) end();
    this.#held = undefined;
    await settled();
  }

  /** @param name - told when it is durable */
  write(change: Partial<Persist>, name = "", install?: SnapshotWriter): Promise<void> {
    const step = { hardState: undefined, snapshot: undefined, truncateFrom: undefined, entries: [], ...change };
    const { hardState, all } = this.writer.write({ writeId: ++this.#writeId, ...step }, install);
    if (name !== "" && change.hardState !== undefined) hardState.then(() => this.news.push(`${name} votes`), quiet);
    if (name !== "") all.then(() => this.news.push(name), quiet);
    all.catch(quiet);
    return all;
  }

  snapshot(name: string): SnapshotWriter {
    return { install: () => this.#write(`install ${name}`, false) } as SnapshotWriter;
  }

  async tick(): Promise<void> {
    for (const run of this.#timers.splice(0)) run();
    await settled();
  }

  get timers(): number {
    return this.#timers.length;
  }

  async #write(what: string, isOfEntries: boolean): Promise<void> {
    if (this.room === "nothing" || (this.room === "terms" && isOfEntries)) {
      throw mosaikError("storage-full", "no room", { details: { path: "" } });
    }
    this.done.push(what);
    if (this.#held !== undefined) await new Promise<void>((resolve) => this.#held?.push(resolve));
  }
}

const quiet = (): void => {};

async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}

function describe({ hardState, truncateFrom, entries }: StorageWrite): string {
  if (hardState !== undefined) return `term ${hardState.term}`;
  const cut = truncateFrom === undefined ? "" : `cut ${truncateFrom} `;
  return `${cut}entries ${(entries ?? []).map(({ index, term }) => `${index}/${term}`).join(" ")}`;
}

function entries(term: number, ...indexes: readonly Index[]): Entry[] {
  return indexes.map((index) => ({ index, term, kind: 1, data: new Uint8Array(10) }));
}

const term = (number: number) => ({ term: number, votedFor: ADA });

test("what gathers while the disk is busy is one write, cut as its parts would have been", async () => {
  const bench = new Bench();
  bench.hold();
  bench.write({ entries: entries(1, 1) });
  await settled();
  bench.write({ entries: entries(1, 2, 3, 4) });
  bench.write({ truncateFrom: 3, entries: entries(2, 3) });
  bench.write({ entries: entries(2, 4) });
  await bench.release();
  deepEqual(bench.done, ["entries 1/1", "cut 3 entries 2/1 3/2 4/2"]);
});

test("entries never come before the term that they are of", async () => {
  const bench = new Bench();
  bench.hold();
  bench.write({ hardState: term(2), entries: entries(2, 1) });
  await settled();
  deepEqual(bench.done, ["term 2"]);
  await bench.release();
  deepEqual(bench.done, ["term 2", "entries 1/2"]);

  bench.room = "nothing";
  bench.write({ hardState: term(3), entries: entries(3, 2) });
  await settled();
  bench.room = "all";
  await bench.tick();
  deepEqual(bench.done.slice(2), ["term 3", "entries 2/3"]);
});

test("entries that find no room are kept, in order, and votes pass", async () => {
  const bench = new Bench();
  bench.room = "terms";
  bench.write({ entries: entries(1, 1) }, "one");
  await settled();
  equal(bench.timers, 1);
  bench.write({ hardState: term(2) }, "two");
  bench.write({ entries: entries(2, 2) }, "three");
  await bench.tick();
  deepEqual(bench.done, ["term 2"]);
  deepEqual(bench.news, ["full", "two votes"]);
  equal(bench.writer.waitingBytes, 20);
  bench.room = "all";
  await bench.tick();
  deepEqual(bench.done, ["term 2", "entries 1/1 2/2"]);
  deepEqual(bench.news, ["full", "two votes", "room", "one", "two", "three"]);
  equal(bench.writer.waitingBytes, 0);
  equal(bench.timers, 0);
});

test("a vote that found no room never comes after a later one", async () => {
  const bench = new Bench();
  bench.room = "nothing";
  bench.write({ hardState: term(2) }, "two");
  await settled();
  bench.room = "terms";
  bench.write({ hardState: term(3) }, "three");
  await settled();
  deepEqual(bench.done, ["term 3"]);
  await bench.tick();
  deepEqual(bench.done, ["term 3", "term 3"]);
  deepEqual(bench.news, ["full", "room", "two votes", "three votes", "two", "three"]);
});

test("what waits for room need not be written before a snapshot that replaces it", async () => {
  const bench = new Bench();
  bench.room = "terms";
  bench.write({ entries: entries(1, 1, 2) }, "one");
  await settled();
  bench.write({ entries: entries(2, 10) }, "two", bench.snapshot("of 9"));
  equal(bench.writer.isInstalling, true);
  await bench.tick();
  deepEqual(bench.done, ["install of 9"]);
  deepEqual(bench.news, ["full", "room", "one", "full"]);
  equal(bench.writer.isInstalling, false);
  bench.room = "all";
  await bench.tick();
  deepEqual(bench.done, ["install of 9", "entries 10/2"]);
});

test("what waits for room is given up when the writer stops", async () => {
  const bench = new Bench();
  bench.room = "nothing";
  const waiting = [bench.write({ hardState: term(2) }), bench.write({ entries: entries(2, 1) }), bench.writer.prune(1)];
  await settled();
  bench.writer.stop();
  await Promise.all(waiting.map((wait) => rejects(wait, { code: "closed" })));
  deepEqual([bench.done, bench.timers, bench.news], [[], 0, ["full"]]);
});

test("any other failure is told to all that wait", async () => {
  const bench = new Bench();
  const broken = new Error("EIO");
  const snapshot = { install: () => Promise.reject(broken) } as unknown as SnapshotWriter;
  const waiting = [bench.write({}, "", snapshot), bench.write({ entries: entries(1, 1) })];
  await Promise.all(waiting.map((wait) => rejects(wait, broken)));
  deepEqual(bench.done, []);
});

test("nor before one that came, and found no room, while they waited for another", async () => {
  const bench = new Bench();
  bench.hold();
  bench.write({ hardState: term(5), entries: entries(5, 1) });
  await settled();
  bench.room = "nothing";
  bench.write({ hardState: term(6), entries: entries(6, 2) }, "later");
  await settled();
  bench.room = "all";
  await bench.release();
  deepEqual(bench.done, ["term 5", "entries 1/5"]);
  deepEqual(bench.news, ["full"]);
  await bench.tick();
  deepEqual(bench.done, ["term 5", "entries 1/5", "term 6", "entries 2/6"]);
  deepEqual(bench.news, ["full", "room", "later votes", "later"]);
});
