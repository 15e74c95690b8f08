import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { incarnation, memoryStore, peer, store } from "../../../test/groups/kit.ts";
import { type Logger, mosaikError, Scope, silentLogger, VirtualWorld } from "../../env/index.ts";
import type { Entry, Raft } from "../../raft/index.ts";
import type { SnapshotWriter, Storage } from "../../storage/index.ts";
import {
  ENTRY_COMMANDS,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  encodeGenesis,
  encodeOpen,
  encodeRun,
  encodeSession,
} from "../entries/entries.ts";
import { memberId } from "../entries/member-id.ts";
import { defineMachine, runtimeOf } from "../machine/index.ts";
import { batchOf, encodeCommand } from "../testing.ts";
import { Applier } from "./applier.ts";
import { Replica } from "./replica.ts";
import { Snapshotter } from "./snapshotter.ts";

const BOUND = incarnation("ada");
const SESSION = "00".repeat(16);

/** Its snapshot has as many chunks as it holds values; one that is `"bad"` cannot be encoded. */
const Bag = defineMachine("bag", {
  state: () => ({ values: [] as unknown[] }),
  commands: {
    add: ({ values }, count: number) => {
      for (let i = 0; i < count; i++) values.push(values.length);
    },
    spoil: ({ values }) => void values.push(Number.NaN),
  },
  *snapshot({ values }) {
    yield* values;
  },
  restore: (chunks) => ({ values: [...chunks] }),
});
const runtime = runtimeOf(Bag);

class Bench {
  readonly world = new VirtualWorld({ seed: 1 });
  readonly env = this.world.env("ada");
  readonly scope = new Scope(this.env, (cause) => this.world.fail(cause));
  readonly storage = memoryStore(this.env, "ada");
  readonly entries: Entry[] = [];
  readonly saved: (readonly [number, number])[] = [];
  readonly warnings: string[] = [];
  readonly failures: unknown[] = [];
  pinned: number | undefined;
  base = 0;
  readonly replica = new Replica({
    runtime,
    groupId: peer("group"),
    networkId: peer("network"),
    events: { onBatch: () => {}, onSession: () => {}, onSessionEnd: () => {}, onFailure: (f) => this.failures.push(f) },
  });
  readonly snapshotter: Snapshotter;
  readonly applier: Applier;
  #number = 0;

  constructor(everyEntries: number, storage?: Storage) {
    const bench = this;
    this.snapshotter = new Snapshotter({
      env: this.env,
      scope: this.scope,
      storage: storage ?? this.storage,
      replica: this.replica,
      raft: {
        get base() {
          return { index: bench.base, term: 1 };
        },
        entry: (index: number) => bench.entries[index - 1],
      } as unknown as Raft,
      logger: { ...silentLogger, warn: (_fields: object, text: string) => this.warnings.push(text) } as Logger,
      everyEntries,
      written: () => Promise.resolve(),
      pinned: () => this.pinned,
      onSaved: (snapshot, upTo) => {
        this.saved.push([snapshot, upTo]);
        this.base = upTo;
      },
      onFailure: (cause) => this.failures.push(cause),
    });
    this.applier = new Applier({
      replica: this.replica,
      scope: this.scope,
      snapshotter: this.snapshotter,
      onApplied: () => {},
      onProgress: () => {},
    });
    const genesis = { incarnation: BOUND, timeMs: 1, voters: [memberId(peer("ada"), store("ada"))] };
    this.push(ENTRY_GENESIS, encodeGenesis(genesis));
    this.push(ENTRY_OPEN, encodeOpen());
    this.push(ENTRY_OPEN, encodeOpen());
    this.push(ENTRY_SESSION, encodeSession(SESSION, peer("ada")));
  }

  /** Committed, and in the store. */
  push(kind: number, data: Uint8Array): void {
    const entry = { index: this.entries.length + 1, term: 1, kind, data };
    this.entries.push(entry);
    void this.storage.append([entry]);
    this.applier.push([entry]);
  }

  command(value: unknown): void {
    const batches = [batchOf([encodeCommand(runtime, value)])];
    this.push(ENTRY_COMMANDS, encodeRun({ session: 4, number: ++this.#number, timeMs: 1, batches }));
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.env.after(ms, resolve));
  }
}

function play(
  title: string,
  everyEntries: number,
  run: (bench: Bench) => Promise<void>,
  storage?: () => Storage,
): void {
  it(title, async () => {
    const bench = new Bench(everyEntries, storage?.());
    await bench.world.run(() => run(bench));
  });
}

describe("taking snapshots", () => {
  play("is decided by the log: at each so-many-th entry; a tail as long is kept", 10, async (bench) => {
    for (let i = 0; i < 40; i++) {
      bench.command({ add: 1 });
      await bench.sleep(1);
    }
    deepEqual(bench.saved, [
      [10, 0],
      [20, 10],
      [30, 20],
      [40, 30],
    ]);
    equal(bench.storage.snapshot?.index, 40);
  });

  play("keeps the log that somebody needs who fetches an earlier one", 10, async (bench) => {
    for (let i = 0; i < 16; i++) bench.command({ add: 1 });
    await bench.sleep(1);
    bench.pinned = 5;
    for (let i = 0; i < 20; i++) {
      bench.command({ add: 1 });
      await bench.sleep(1);
    }
    deepEqual(bench.saved.at(-1), [40, 5]);
  });

  play("lets the rest of the program go on, and applies nothing before all is read", 8, async (bench) => {
    bench.command({ add: 20_000 });
    let turns = 0;
    const turn = (): void => {
      turns++;
      if (bench.saved.length === 0) bench.env.after(0, turn);
    };
    turn();
    for (let i = 0; i < 3; i++) bench.command({ add: 1 });
    equal(bench.replica.index, 8);
    bench.command({ add: 1 });
    equal(bench.replica.index, 8);
    await bench.sleep(0);
    equal(bench.replica.index, 8);
    while (bench.saved.length === 0) await bench.sleep(0.01);
    equal(bench.replica.index, 9);
    ok(turns > 50, `${turns} turns`);
    const reader = await bench.storage.openSnapshot();
    ok((reader?.head.bytes ?? 0) > 60_000);
    equal(reader?.head.index, 8);
  });

  play("is given up for a state that is no plain data, once, with a warning; entries go on", 10, async (bench) => {
    bench.command("spoil");
    for (let i = 0; i < 40; i++) bench.command({ add: 1 });
    await bench.sleep(10);
    deepEqual(bench.saved, []);
    equal(bench.warnings.length, 1);
    equal(bench.replica.index, 45);
    deepEqual(bench.failures, []);
  });

  const full = (): Storage => {
    const storage = memoryStore(new VirtualWorld({ seed: 1 }).env("ada"), "ada");
    let isFull = true;
    const { createSnapshot } = storage;
    storage.createSnapshot = async (place): Promise<SnapshotWriter> => {
      const writer = await createSnapshot.call(storage, place);
      const save = async (): Promise<void> => {
        if (isFull) {
          isFull = false;
          throw mosaikError("storage-full", "no room", { details: { path: "" } });
        }
      };
      return { ...writer, save };
    };
    return storage;
  };
  play(
    "that finds no room leaves the log, and is tried again at the next place",
    10,
    async (bench) => {
      for (let i = 0; i < 20; i++) {
        bench.command({ add: 1 });
        await bench.sleep(1);
      }
      deepEqual(bench.saved, [[20, 10]]);
      equal(bench.warnings.length, 1);
      deepEqual(bench.failures, []);
    },
    full,
  );

  play("ends when another state takes the place of the one that is read", 8, async (bench) => {
    bench.command({ add: 20_000 });
    for (let i = 0; i < 3; i++) bench.command({ add: 1 });
    const other = new Replica({
      runtime,
      groupId: peer("group"),
      networkId: peer("network"),
      events: { onBatch: () => {}, onSession: () => {}, onSessionEnd: () => {}, onFailure: () => {} },
    });
    const voters = [memberId(peer("ada"), store("ada"))];
    const facts = {
      incarnation: BOUND,
      origins: [],
      position: 99,
      timeMs: 5,
      openIndex: 2,
      establishedIndex: 3,
      agreed: undefined,
    };
    const machine = { name: "bag", version: 1 };
    const state = { ...facts, machine, sessions: other.sessions, chunks: ["restored"] };
    bench.applier.restore({ index: 50, term: 1, voters }, state);
    await bench.sleep(10);
    deepEqual(bench.saved, []);
    deepEqual([bench.replica.index, bench.replica.position], [50, 99]);
  });
});
