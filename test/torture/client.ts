/** A process of clients. It is never harmed, so that what it saw is exact; it calls members over plain sockets. */
import { connect, type Socket } from "node:net";
import { SeededRandom } from "../../src/env/index.ts";
import type { Operation, OperationName } from "../../src/sim/history.ts";
import { Keys } from "./keys.ts";
import { onLines, writeLine } from "./lines.ts";
import { type Call, type ClientInit, type FromClient, isList, type Reply, type ToClient } from "./protocol.ts";

/** Longer than a member takes to give up. */
const REPLY_TIMEOUT_MS = 5_000;
/** From call to call, if the answer comes before: a slow cluster is called as often as a fast one. */
const PERIOD_MS = { from: 50, to: 350 } as const;
const RECONNECT_MS = 100;
const REPORT_MS = 250;
/** Of one process, and of processes. */
const CLIENTS_MAX = 1_000_000;
const PROCESSES_MAX = 100;

const init = JSON.parse(process.argv[2] ?? "{}") as ClientInit;
const random = new SeededRandom(init.seed, "clients", String(init.number));
const keys = new Keys(init.operationsPerKey);
const lastSeen = new Map<string, unknown>();
let done: Operation[] = [];
let isStopped = false;
let nextClient = init.number * CLIENTS_MAX;
let nextValue = init.number;

const tell = (news: FromClient): void => void process.send?.(news);
/** Integers; one clock for all processes of the machine. */
const nowNs = (): number => Number(process.hrtime.bigint());
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A connection to one member that comes back. */
class Line {
  readonly #address: { readonly host: string; readonly port: number };
  #socket: Socket | undefined;
  #isOpen = false;
  #isEnded = false;
  #nextId = 1;
  readonly #waiting = new Map<number, (reply: Reply | undefined) => void>();

  constructor(address: { readonly host: string; readonly port: number }) {
    this.#address = address;
    this.#connect();
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Undefined: nobody knows. */
  call(op: OperationName, key: string, input: unknown): Promise<Reply | undefined> {
    const call: Call = { id: this.#nextId++, op, key, input };
    return new Promise((resolve) => {
      const settle = (reply: Reply | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(call.id);
        resolve(reply);
      };
      const timer = setTimeout(settle, REPLY_TIMEOUT_MS, undefined);
      this.#waiting.set(call.id, settle);
      writeLine(this.#socket as Socket, call);
    });
  }

  #connect(): void {
    const socket = connect(this.#address);
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("connect", () => {
      this.#isOpen = true;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isOpen = false;
      for (const settle of [...this.#waiting.values()]) settle(undefined);
      if (!this.#isEnded) setTimeout(() => this.#connect(), RECONNECT_MS);
    });
    onLines(socket, (line) => {
      const reply = line as Reply;
      this.#waiting.get(reply.id)?.(reply);
    });
  }

  end(): void {
    this.#isEnded = true;
    this.#socket?.destroy();
  }
}

const lines = init.members.map((address) => new Line(address));

/** Numbers that no other client of the run uses: processes take turns. */
function unique(): number {
  nextValue += PROCESSES_MAX;
  return nextValue;
}

/** One client after another: who got no answer is never heard of again, since its last call may still be under way. */
async function clients(): Promise<void> {
  let client = nextClient++;
  let nextMs = performance.now();
  while (!isStopped) {
    await sleep(Math.max(0, nextMs - performance.now()));
    nextMs = performance.now() + random.between(PERIOD_MS.from, PERIOD_MS.to);
    const line = random.pick(lines);
    if (!line.isOpen || isStopped) continue;
    const key = keys.take(random);
    if (!(await perform(line, client, key, ...choose(key)))) client = nextClient++;
  }
}

function choose(key: string): [op: OperationName, input: unknown] {
  const dice = random.below(10);
  if (isList(key)) return dice < 4 ? ["read", null] : ["append", unique()];
  if (dice < 4) return ["read", null];
  if (dice < 7) return ["write", unique()];
  return ["cas", { expected: lastSeen.get(key) ?? null, new: unique() }];
}

/** False: the client does not know what became of it. */
async function perform(line: Line, client: number, key: string, op: OperationName, input: unknown): Promise<boolean> {
  const call = nowNs();
  const reply = await line.call(op, key, input);
  const outcome = reply?.outcome ?? (op === "read" ? "fail" : "unknown");
  const output = reply?.output ?? null;
  const isOpen = outcome === "unknown";
  done.push({ client, op, key, input, output, call, return: isOpen ? null : nowNs(), outcome });
  if (outcome === "ok") remember(key, op, input, output);
  return !isOpen;
}

function remember(key: string, op: OperationName, input: unknown, output: unknown): void {
  if (op === "read" && !isList(key)) lastSeen.set(key, output);
  if (op === "write") lastSeen.set(key, input);
  if (op === "cas" && output === true) lastSeen.set(key, (input as { new: unknown }).new);
}

function report(): void {
  if (done.length > 0) tell({ type: "operations", operations: done });
  done = [];
}

/** Reads each key once more: what was lost after its last operation is seen now. */
async function finalReads(wanted: readonly string[]): Promise<void> {
  const client = nextClient++;
  for (const [i, key] of wanted.entries()) {
    const open = lines.filter(({ isOpen }) => isOpen);
    const line = open[i % open.length];
    if (line !== undefined) await perform(line, client, key, "read", null);
  }
}

const reporting = setInterval(report, REPORT_MS);
const running = Promise.all(Array.from({ length: init.clients }, clients));
process.on("disconnect", () => process.exit(0));
process.on("message", async (order: ToClient) => {
  if (order.type === "stop") {
    isStopped = true;
    await running;
  } else {
    await finalReads(order.keys);
    clearInterval(reporting);
    for (const line of lines) line.end();
  }
  report();
  tell({ type: "done" });
});
