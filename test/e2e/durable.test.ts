// Processes over TLS with data directories: killed, closed, and started again.
import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Network } from "../../src/index.ts";
import type { Order, Told } from "./durable-process.ts";

// Real sockets, disks and time: the runner's deadline for a file is the only one.
const PROCESS = fileURLToPath(new URL("./durable-process.ts", import.meta.url));

const root = mkdtempSync(join(tmpdir(), "mosaik-durable-"));
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

/** One life of a member. */
class Process {
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, { resolve: (value: unknown) => void; reject: (cause: unknown) => void }>();
  readonly #exit: Promise<unknown>;
  #callCount = 0;
  peerId = "";
  address = "";

  private constructor(dataDir: string, bootstrap: readonly string[]) {
    const argument = JSON.stringify({ dataDir, bootstrap });
    this.#child = fork(PROCESS, [argument], { execArgv: ["--import", "tsx"], stdio: "inherit" });
    running.add(this.#child);
    this.#exit = once(this.#child, "exit").then(([code]) => {
      running.delete(this.#child);
      for (const { reject } of this.#calls.values()) reject(Object.assign(new Error("it died"), { code: "died" }));
      return code;
    });
    this.#child.on("message", ({ call, value, code }: Told) => {
      const waiting = this.#calls.get(call);
      this.#calls.delete(call);
      if (code === undefined) waiting?.resolve(value);
      else waiting?.reject(Object.assign(new Error(code), { code }));
    });
  }

  /** Rejects if it could not start. */
  static async start(dataDir: string, bootstrap: readonly string[] = []): Promise<Process> {
    const process = new Process(dataDir, bootstrap);
    const { peerId, address } = (await process.#answer(0)) as { peerId: string; address: string };
    process.peerId = peerId;
    process.address = address;
    return process;
  }

  call(order: Order): Promise<unknown> {
    const call = ++this.#callCount;
    const answer = this.#answer(call);
    this.#child.send({ call, order }, () => {});
    return answer;
  }

  /** @returns when it is gone; the code, or null for a killed one */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<unknown> {
    this.#child.kill(signal);
    return this.#exit;
  }

  #answer(call: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#calls.set(call, { resolve, reject }));
  }
}

/** Starts one process for each directory, and waits until all are ready. Ports are new each time. */
async function startAll(directories: readonly string[]): Promise<Process[]> {
  const processes: Process[] = [];
  for (const directory of directories) {
    processes.push(
      await Process.start(
        directory,
        processes.map(({ address }) => address),
      ),
    );
  }
  await Promise.all(processes.map((process) => process.call({ type: "ready" })));
  return processes;
}

/** Ids that were handed out, and what is known of each. */
class Ledger {
  readonly acknowledged = new Set<string>();
  readonly unknown = new Set<string>();
  #count = 0;

  async add(process: Process): Promise<void> {
    const id = `id-${++this.#count}`;
    this.unknown.add(id);
    await process.call({ type: "add", id });
    this.unknown.delete(id);
    this.acknowledged.add(id);
  }

  async check(processes: readonly Process[]): Promise<void> {
    const states = (await Promise.all(processes.map((process) => process.call({ type: "all" })))) as string[][];
    for (const ids of states) {
      deepEqual(ids, states[0]);
      equal(new Set(ids).size, ids.length, "each at most once");
      for (const id of this.acknowledged) ok(ids.includes(id), `${id} was acknowledged`);
      for (const id of ids) ok(this.acknowledged.has(id) || this.unknown.has(id), `${id} was asked for`);
    }
  }
}

function directories(name: string): string[] {
  return [1, 2, 3].map((number) => join(root, name, String(number)));
}

describe("members with a data directory", () => {
  it("come back with every acknowledged command when all are killed at once, again and again", async () => {
    const places = directories("killed");
    const ledger = new Ledger();
    let peerIds: string[] | undefined;
    for (let life = 1; life <= 3; life++) {
      const processes = await startAll(places);
      const ids = processes.map(({ peerId }) => peerId);
      deepEqual(ids, peerIds ?? ids);
      peerIds = ids;
      await ledger.check(processes);
      // Killed while commands are under way.
      const goal = ledger.acknowledged.size + 60;
      const clients = processes.map(async (process) => {
        for (;;) await ledger.add(process);
      });
      const ends = clients.map((client) => rejects(client, { code: "died" }));
      while (ledger.acknowledged.size < goal) await ledger.add(processes[life % 3] as Process);
      await Promise.all(processes.map((process) => process.end("SIGKILL")));
      await Promise.all(ends);
    }
    const processes = await startAll(places);
    await ledger.check(processes);
    await ledger.add(processes[0] as Process);
    await Promise.all(processes.map((process) => process.end("SIGKILL")));
  });

  it("are themselves again after a restart of one, under another address, and after all were closed in turn", async () => {
    const places = directories("closed");
    const ledger = new Ledger();
    const processes = await startAll(places);
    const peerIds = processes.map(({ peerId }) => peerId);
    for (let i = 0; i < 10; i++) await ledger.add(processes[i % 3] as Process);

    // One is killed; the others go on; it catches up from its own log.
    await processes[1]?.end("SIGKILL");
    for (let i = 0; i < 10; i++) await ledger.add(processes[0] as Process);
    const [first, , third] = processes as [Process, Process, Process];
    const second = await Process.start(places[1] as string, [third.address]);
    notEqual(second.address, processes[1]?.address);
    equal(second.peerId, peerIds[1]);
    await second.call({ type: "ready" });
    await ledger.add(second);
    await ledger.check([first, second, third]);

    // A StatefulSet that is scaled to zero, from the highest number down, and up again.
    for (const process of [third, second, first]) equal(await process.end("SIGTERM"), 0);
    const again = await startAll(places);
    deepEqual(
      again.map(({ peerId }) => peerId),
      peerIds,
    );
    await ledger.check(again);
    await ledger.add(again[2] as Process);
    await ledger.check(again);
    await Promise.all(again.map((process) => process.end("SIGKILL")));
  });

  it("give their stores up when they leave, and may join anew", async () => {
    const places = directories("left");
    const ledger = new Ledger();
    const processes = await startAll(places);
    await ledger.add(processes[0] as Process);
    await processes[2]?.call({ type: "leave" });
    const [aside] = readdirSync(join(places[2] as string, "aside"));
    equal(readFileSync(join(places[2] as string, "aside", aside as string, "reason"), "utf8"), "the member left");
    equal(await processes[2]?.end("SIGTERM"), 0);
    const third = await Process.start(places[2] as string, [processes[0]?.address as string]);
    await third.call({ type: "ready" });
    await ledger.check([...processes.slice(0, 2), third]);
    await Promise.all([...processes.slice(0, 2), third].map((process) => process.end("SIGKILL")));
  });
});

describe("a data directory", () => {
  it("of which an older copy is put back is found out by the others, set aside, and its vote is not used again", async () => {
    const places = directories("copied");
    const ledger = new Ledger();
    const [first, second, third] = (await startAll(places)) as [Process, Process, Process];
    await ledger.add(first);
    await third.end("SIGKILL");
    const filter = (path: string): boolean => !path.endsWith(".sock");
    cpSync(places[2] as string, join(root, "copy"), { recursive: true, filter });
    const again = await Process.start(places[2] as string, [first.address]);
    await again.call({ type: "ready" });
    for (let i = 0; i < 5; i++) await ledger.add(again);
    await again.end("SIGKILL");
    rmSync(places[2] as string, { recursive: true });
    cpSync(join(root, "copy"), places[2] as string, { recursive: true });

    const rolledBack = await Process.start(places[2] as string, [first.address]);
    equal(rolledBack.peerId, third.peerId);
    await rolledBack.call({ type: "ready" });
    await ledger.check([first, second, rolledBack]);
    const [aside] = readdirSync(join(places[2] as string, "aside"));
    const reason = readFileSync(join(places[2] as string, "aside", aside as string, "reason"), "utf8");
    ok(/rolled back, or copied/.test(reason), reason);
    await Promise.all([first, second, rolledBack].map((process) => process.end("SIGKILL")));
  });

  it("is for one process at a time; one that is killed leaves it free", async () => {
    const directory = join(root, "locked");
    const first = await Process.start(directory);
    await rejects(Process.start(directory), { code: "data-dir-locked" });
    await rejects(Network.create("e2e durable", { dataDir: directory, logger: false }), { code: "data-dir-locked" });
    await first.end("SIGKILL");
    const second = await Process.start(directory);
    equal(second.peerId, first.peerId);
    equal(await second.end("SIGTERM"), 0);
    const third = await Network.create("e2e durable", { dataDir: directory, logger: false });
    equal(third.peerId, first.peerId);
    await third.close();
  });

  it("is let go when the network cannot start", async () => {
    const dataDir = join(root, "port in use");
    const other = await Network.create("e2e durable", { logger: false });
    const [listen] = other.status().addresses;
    await rejects(Network.create("e2e durable", { dataDir, listen, logger: false }), { code: "address-in-use" });
    const network = await Network.create("e2e durable", { dataDir, logger: false });
    await network.close();
    await other.close();
  });

  it("keeps the identity for its owner alone, and says so when it is damaged", async () => {
    const dataDir = join(root, "identity");
    const network = await Network.create("e2e durable", { dataDir, logger: false });
    await network.close();
    equal(statSync(dataDir).mode & 0o777, 0o700);
    const path = join(dataDir, "identity");
    equal(statSync(path).mode & 0o777, 0o600);
    const bytes = readFileSync(path);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    await rejects(Network.create("e2e durable", { dataDir, logger: false }), {
      code: "storage-failed",
      details: { path },
    });
  });

  it("that is a file, or in nobody's power to make, is refused", async () => {
    const file = join(root, "a file");
    writeFileSync(file, "");
    await rejects(Network.create("e2e durable", { dataDir: file, logger: false }), { code: "storage-failed" });
    await rejects(Network.create("e2e durable", { dataDir: join(file, "below"), logger: false }), {
      code: "storage-failed",
    });
  });
});
