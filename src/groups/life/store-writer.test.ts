import { deepEqual, equal, rejects } from "node:assert/strict";
import { test } from "node:test";
import { type Env, mosaikError } from "../../env/index.ts";
import { bytesOf, type Entry, type Index, type MemberId, type Persist } from "../../raft/index.ts";
import type { SnapshotWriter, Storage, StorageWrite } from "../../storage/index.ts";
import { StoreWriter, type Written } from "./store-writer.ts";

const ADA = "ada" as MemberId;

/** A disk that says no until it has room, and a clock that the test turns. */
class Bench {
  readonly done: string[] = [];
  /** For what there is room. */
  room: "all" | "terms" | "entries" | "nothing" = "all";
  /** What the disk was asked for, whether it could or not. */
  attempts = 0;
  failure: Error | undefined;
  readonly news: string[] = [];
  /** Of the member, when there is room again. */
  onRoom = (): void => {};
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
      if (this.writer.refusal === undefined) this.onRoom();
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
    const { hardState, all } = this.begin(change, install);
    if (name !== "" && change.hardState !== undefined) hardState.then(() => this.news.push(`${name} votes`), quiet);
    if (name !== "") all.then(() => this.news.push(name), quiet);
    all.catch(quiet);
    return all;
  }

  begin(change: Partial<Persist>, install?: SnapshotWriter): Written {
    const step = { hardState: undefined, snapshot: undefined, truncateFrom: undefined, entries: [], ...change };
    return this.writer.write({ writeId: ++this.#writeId, ...step }, install);
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
    this.attempts++;
    if (this.failure !== undefined) throw this.failure;
    if (this.room !== "all" && this.room !== (isOfEntries ? "entries" : "terms")) {
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
  const waiting = [...entries(1, 1), ...entries(2, 2)];
  equal(
    bench.writer.waitingBytes,
    waiting.reduce((sum, entry) => sum + bytesOf(entry), 0),
  );
  bench.room = "all";
  await bench.tick();
  deepEqual(bench.done, ["term 2", "entries 1/1 2/2"]);
  deepEqual(bench.news, ["full", "two votes", "room", "one", "two", "three"]);
  equal(bench.writer.waitingBytes, 0);
  equal(bench.timers, 0);
});

test("a vote that found no room never comes after a later one, which speaks for both", async () => {
  const bench = new Bench();
  bench.room = "nothing";
  bench.write({ hardState: term(2) }, "two");
  await settled();
  bench.room = "terms";
  bench.write({ hardState: term(3) }, "three");
  await settled();
  deepEqual(bench.done, []);
  await bench.tick();
  deepEqual(bench.done, ["term 3"]);
  deepEqual(bench.news, ["full", "room", "two votes", "three votes", "two", "three"]);
});

test("terms that come and go while there is no room wait together, and cost one attempt at a time", async () => {
  const bench = new Bench();
  bench.room = "terms";
  bench.write({ entries: entries(1, 1) });
  await settled();
  bench.room = "nothing";
  const waits = { hardState: new Set<Promise<void>>(), all: new Set<Promise<void>>() };
  const tries: number[] = [];
  for (let number = 2; number <= 1_000; number++) {
    const { hardState, all } = bench.begin({ hardState: term(number) });
    waits.hardState.add(hardState);
    waits.all.add(all);
    await settled();
    if (number % 10 > 0) continue;
    bench.attempts = 0;
    await bench.tick();
    tries.push(bench.attempts);
  }
  deepEqual([waits.hardState.size, waits.all.size], [2, 2]);
  deepEqual(new Set(tries), new Set([1]), "the entry waits for the term");
  bench.room = "terms";
  await bench.tick();
  await Promise.all(waits.hardState);
  bench.room = "all";
  await bench.tick();
  await Promise.all(waits.all);
  deepEqual(bench.done, ["term 1000", "entries 1/1"]);
});

test("what joins others while they are written is not durable with them", async () => {
  const bench = new Bench();
  bench.room = "nothing";
  bench.write({ hardState: term(2) }, "two");
  bench.write({ hardState: term(3) }, "three");
  await settled();
  bench.room = "all";
  bench.hold();
  await bench.tick();
  deepEqual(bench.done, ["term 3"]);
  bench.room = "nothing";
  bench.write({ hardState: term(4) }, "four");
  await bench.release();
  deepEqual(bench.news, ["full", "room", "two votes", "full", "two"], "three is joined by four");
  bench.room = "all";
  await bench.tick();
  deepEqual(bench.done, ["term 3", "term 4"]);
  deepEqual(bench.news.slice(5), ["room", "three votes", "four votes", "three", "four"]);
});

test("nothing is written after a term that failed", async () => {
  const bench = new Bench();
  const broken = new Error("EIO");
  bench.failure = broken;
  const first = bench.write({ hardState: term(2) });
  await settled();
  bench.failure = undefined;
  const second = bench.write({ hardState: term(3), entries: entries(3, 1) });
  await Promise.all([rejects(first, broken), rejects(second, broken)]);
  deepEqual(bench.done, []);
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
  bench.room = "entries";
  bench.write({ hardState: term(6), entries: entries(6, 2) }, "later");
  await bench.release();
  deepEqual(bench.done, ["term 5", "entries 1/5"]);
  deepEqual(bench.news, ["full"]);
  bench.room = "all";
  await bench.tick();
  deepEqual(bench.done, ["term 5", "entries 1/5", "term 6", "entries 2/6"]);
  deepEqual(bench.news, ["full", "room", "later votes", "later"]);
});

test("a term that comes with the news of room is not told to be on disk with what found it", async () => {
  const bench = new Bench();
  bench.room = "terms";
  bench.write({ entries: entries(1, 1) }, "entry");
  bench.write({ hardState: term(2) }, "second");
  bench.write({ hardState: term(3) }, "third");
  await settled();
  bench.news.length = 0;
  bench.room = "entries";
  bench.onRoom = () => void bench.write({ hardState: term(4) }, "fourth");
  await bench.tick();
  deepEqual(bench.news, ["room", "full", "entry", "second"]);
  bench.onRoom = quiet;
  bench.room = "all";
  await bench.tick();
  deepEqual(bench.news.slice(4).sort(), ["fourth", "fourth votes", "room", "third"]);
});
