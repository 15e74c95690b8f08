import { deepEqual, equal, rejects } from "node:assert/strict";
import { describe, it } from "node:test";
import { incarnation, memoryStore, peer, statusOf, store } from "../../../test/groups/kit.ts";
import type { PeerDirectory } from "../../discovery/index.ts";
import { Scope, VirtualWorld } from "../../env/index.ts";
import type { Entry, LogPosition } from "../../raft/index.ts";
import type { MemoryStorage } from "../../storage/index.ts";
import {
  ENTRY_COMMANDS,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  encodeConfiguration,
  encodeGenesis,
  encodeOpen,
  encodeRun,
  encodeSession,
  LOG_FORMAT,
  memberId,
} from "../entries/index.ts";
import type { Life, LifeContext } from "../life/index.ts";
import { ChunkList, defineMachine, runtimeOf } from "../machine/index.ts";
import { batchOf, encodeCommand } from "../testing.ts";
import { ExportReader, exportState, readImport } from "./export.ts";
import type { Seen } from "./founding.ts";
import { type Beginning, Recovery } from "./recovery.ts";
import { emptyReplica } from "./replay.ts";

const BOUND = incarnation("ada");
const SELF = memberId(peer("ada"), store("ada"));
const runtime = runtimeOf(
  defineMachine("sum", {
    state: () => ({ sum: 0 }),
    commands: { add: (state, by: number) => void (state.sum += by) },
    snapshot: ({ sum }) => [sum],
    restore: ([sum]) => ({ sum: sum as number }),
  }),
);
/** Commands come after so many other entries. */
const SESSION_INDEX = 4;
const END = 24;

/** A member whose log ends with twenty commands, in a store that a test may change while it is read. */
class Bench {
  readonly world = new VirtualWorld({ seed: 1 });
  readonly env = this.world.env("ada");
  readonly scope = new Scope(this.env, (cause) => this.world.fail(cause));
  readonly storage: MemoryStorage = memoryStore(this.env, "ada");
  readonly entries: Entry[] = [];
  readonly others: Seen[] = [];
  readonly begun: Beginning[] = [];
  last: LogPosition = { index: END, term: 1 };
  /** Its store was doubted. */
  isAside = false;
  readonly context = {
    env: this.env,
    scope: this.scope,
    selfId: peer("ada"),
    groupId: peer("group"),
    networkId: peer("network"),
    runtime,
    compatibility: { own: { format: LOG_FORMAT } },
    bonds: { untried: [] },
    isLeaving: () => false,
  } as unknown as LifeContext;

  async fill(): Promise<void> {
    this.#push(ENTRY_GENESIS, encodeGenesis({ incarnation: BOUND, timeMs: 1, voters: [SELF] }));
    this.#push(ENTRY_OPEN, encodeOpen());
    this.#push(ENTRY_OPEN, encodeOpen());
    this.#push(ENTRY_SESSION, encodeSession("00".repeat(16), peer("ada")));
    for (let number = 1; this.entries.length < END; number++) {
      const batches = [batchOf([encodeCommand(runtime, { add: number })])];
      this.#push(ENTRY_COMMANDS, encodeRun({ session: SESSION_INDEX, number, timeMs: 1, batches }));
    }
    await this.storage.append(this.entries);
  }

  /** As a member does at times: what the snapshot covers is let go of. */
  async compact(index: number): Promise<void> {
    const replica = emptyReplica(this.context);
    for (const entry of this.entries.slice(0, index)) replica.apply(entry);
    const writer = await this.storage.createSnapshot({ index, term: 1, configuration: encodeConfiguration([SELF]) });
    await writer.write(Buffer.concat([...(replica.encodeSnapshot() ?? [])]));
    await writer.save();
    await this.storage.prunePrefix(index);
  }

  get life(): Life {
    const bench = this;
    const raft = {
      term: 1,
      get last() {
        return bench.last;
      },
    };
    const driver = { raft, written: () => Promise.resolve() };
    const replica = { isOpen: true, index: END };
    return { isOpen: true, incarnation: BOUND, storage: this.storage, seesQuorum: false, driver, replica } as never;
  }

  /** What it exports, and how much its commands came to. */
  async exported(): Promise<{ position: number; chunks: unknown[] }> {
    const reader = new ExportReader(new ChunkList());
    for await (const bytes of exportState(this.context, this.life, undefined)) reader.push(bytes);
    const { position, chunks } = reader.end();
    return { position, chunks: [...chunks] };
  }

  recover(isForced: boolean, signal?: AbortSignal): Promise<void> {
    const { life } = this;
    const recovery = new Recovery({
      context: this.context,
      directory: { isBootstrapped: true } as PeerDirectory,
      isEligible: true,
      isLoaded: () => true,
      life: () => (this.isAside ? undefined : life),
      others: () => this.others,
      begin: async (_, beginning) => void this.begun.push(beginning),
    });
    return recovery.run(isForced, 5_000, signal);
  }

  /** Does this once, right before what was called for. */
  before(method: "getRange" | "createSuccessor" | "openSnapshot", work: () => Promise<void> | void): void {
    const { storage } = this;
    const original = storage[method] as (...given: unknown[]) => Promise<never>;
    storage[method] = async (...given: unknown[]): Promise<never> => {
      storage[method] = original as never;
      await work();
      return original.apply(storage, given);
    };
  }

  #push(kind: number, data: Uint8Array): void {
    this.entries.push({ index: this.entries.length + 1, term: 1, kind, data });
  }
}

function play(title: string, scene: (bench: Bench) => Promise<void>): void {
  it(title, async () => {
    const bench = new Bench();
    await bench.world.run(async () => {
      await bench.fill();
      await scene(bench);
    });
  });
}

const WHOLE = { position: 20, chunks: [210] };
const changed = (code: string): object => ({ code, outcome: "not-applied", details: { reason: "changed" } });
const refused = (reason: string, ...peers: string[]): object => ({
  code: "recover-refused",
  details: { reason, peers },
});

describe("a store that is read while it is in use", () => {
  play("is read again if it lets go of entries meanwhile: no command is left out", async (bench) => {
    await bench.compact(10);
    bench.before("getRange", () => bench.compact(15));
    deepEqual(await bench.exported(), WHOLE);
  });

  play("is read again if it has another snapshot once the first one was read", async (bench) => {
    await bench.compact(10);
    const { openSnapshot } = bench.storage;
    bench.storage.openSnapshot = async () => {
      bench.storage.openSnapshot = openSnapshot;
      const reader = await bench.storage.openSnapshot();
      await bench.compact(15);
      return reader;
    };
    deepEqual(await bench.exported(), WHOLE);
  });

  play("is not exported, and nothing begins from it, if that never ends", async (bench) => {
    const { getRange } = bench.storage;
    const lacking = [6, END];
    for (const index of lacking) {
      bench.storage.getRange = async (from, to) =>
        (await getRange.call(bench.storage, from, to)).filter((entry) => entry.index !== index);
      await rejects(bench.exported(), changed("snapshot-refused"));
      await rejects(bench.recover(true), refused("changed"));
    }
    deepEqual(bench.begun, []);
  });
});

describe("an import", () => {
  play("makes no machine but that of its replica, which makes another one to take the state", async (bench) => {
    const bytes: Uint8Array[] = [];
    for await (const piece of exportState(bench.context, bench.life, undefined)) bytes.push(piece);
    let machines = 0;
    const create: typeof runtime.create = () => {
      machines++;
      return runtime.create();
    };
    const context = { ...bench.context, runtime: { ...runtime, create } };
    const replica = await readImport(context, memoryStore(bench.env, "bob"), bytes);
    deepEqual([replica.position, machines], [20, 2]);
  });
});

describe("recovery", () => {
  play("begins where the log that was read ends", async (bench) => {
    await bench.compact(END);
    await bench.recover(true);
    deepEqual(bench.begun[0]?.origin, { incarnation: BOUND, last: { index: END, term: 1 }, position: 20 });
  });

  play("is refused if the last entry is not the one that was read, whatever its index", async (bench) => {
    bench.last = { index: END, term: 2 };
    await rejects(bench.recover(true), refused("changed"));
    equal(bench.begun.length, 0);
  });

  play("is refused if the log is a shorter one when the new store is whole", async (bench) => {
    bench.before("createSuccessor", () => void (bench.last = { index: END - 1, term: 1 }));
    await rejects(bench.recover(true), refused("changed"));
    equal(bench.begun.length, 0);
  });

  for (const method of ["openSnapshot", "createSuccessor"] as const)
    play(
      `is refused if the store is set aside right before ${method}: it is not the member that is closed`,
      async (bench) => {
        bench.before(method, () => {
          bench.isAside = true;
          return bench.storage.setAside("doubted");
        });
        await rejects(bench.recover(true), refused("changed"));
        equal(bench.begun.length, 0);
      },
    );

  play("tells why it was given up by its caller, also if the store is set aside", async (bench) => {
    const given = new AbortController();
    bench.before("createSuccessor", () => {
      bench.isAside = true;
      given.abort(new Error("enough"));
      return bench.storage.setAside("doubted");
    });
    await rejects(bench.recover(true, given.signal), { message: "enough" });
  });

  play("is refused once another member has begun the group anew, unless forced", async (bench) => {
    const origins = [{ incarnation: BOUND, last: bench.last, position: 20 }];
    const status = statusOf({ incarnation: incarnation("bob"), isOpen: true, origins });
    bench.before("createSuccessor", () => void bench.others.push({ peer: peer("bob"), status }));
    for (let attempt = 0; attempt < 2; attempt++)
      await rejects(bench.recover(false), refused("recovered", peer("bob")));
    equal(bench.begun.length, 0);
    await bench.recover(true);
    equal(bench.begun.length, 1);
  });
});
