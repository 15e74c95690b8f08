import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const HOST = fileURLToPath(new URL("./nodes/host.mjs", import.meta.url));
const CALL_TIMEOUT_MS = 60_000;

/** What a measured process is started with. */
export interface HostOptions {
  /** The built package's folder. */
  readonly dist: string;
  /** Where V8's CPU profiles go; undefined: none are made. */
  readonly profileFolder: string | undefined;
  /** How long a call may take. Default: a minute. */
  readonly callTimeoutMs?: number;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(cause: Error): void;
}

/** A plain Node process, in which parts (objects of `nodes/`) live. Driven by messages; no part of it runs here. */
export class Host {
  readonly process: ChildProcess;
  readonly #callTimeoutMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;

  constructor({ dist, profileFolder, callTimeoutMs = CALL_TIMEOUT_MS }: HostOptions) {
    this.#callTimeoutMs = callTimeoutMs;
    const profile = profileFolder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`];
    this.process = fork(HOST, [], { execArgv: profile, env: { ...process.env, MOSAIK_DIST: dist } });
    this.process.on("message", (reply: { id: number; result?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.error === undefined) waiting?.resolve(reply.result);
      else waiting?.reject(new Error(reply.error));
    });
    this.process.on("exit", (code, signal) => this.#onGone(`a measured process ended (${signal ?? code})`));
    this.process.on("error", (cause) => this.#onGone(cause.message));
  }

  get isAlive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Makes a part: `new` of a class that a module of `nodes/` exports. */
  async make(module: string, name: string, options: object = {}): Promise<Part> {
    const part = (await this.#send("make", [module, name, options])) as number;
    return {
      host: this,
      call: <T>(method: string, ...args: unknown[]) => this.#send("call", [part, method, args]) as Promise<T>,
    };
  }

  /** Orderly, so that a profile is written; forced after a second. Idempotent. */
  async stop(): Promise<void> {
    if (!this.isAlive) return;
    const gone = new Promise<void>((resolve) => this.process.once("exit", () => resolve()));
    if (this.process.connected) this.process.disconnect();
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 1_000);
    await gone;
    clearTimeout(timer);
  }

  #send(type: "make" | "call", args: readonly unknown[]): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(
          new Error(`no answer to ${type} ${JSON.stringify(args).slice(0, 100)} within ${this.#callTimeoutMs} ms`),
        );
      }, this.#callTimeoutMs);
      const settling =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          settle(value);
        };
      this.#waiting.set(id, { resolve: settling(resolve), reject: settling(reject) });
      this.process.send({ id, type, args }, (cause) => {
        if (cause) this.#waiting.get(id)?.reject(cause);
      });
    });
  }

  #onGone(reason: string): void {
    for (const waiting of [...this.#waiting.values()]) waiting.reject(new Error(reason));
    this.#waiting.clear();
  }
}

/** One object in a measured process. */
export interface Part {
  readonly host: Host;
  call<T>(method: string, ...args: unknown[]): Promise<T>;
}

/** The processes of one bench: whatever happens, none is left behind. */
export class Hosts {
  readonly #options: HostOptions;
  readonly #hosts = new Set<Host>();

  constructor(options: HostOptions) {
    this.#options = options;
  }

  start(): Host {
    const host = new Host(this.#options);
    this.#hosts.add(host);
    return host;
  }

  /** As many places for nodes: one process each, or one for all. */
  places(count: number, layout: "processes" | "one-process"): Host[] {
    if (layout === "processes") return Array.from({ length: count }, () => this.start());
    const host = this.start();
    return Array.from({ length: count }, () => host);
  }

  async stop(hosts: Iterable<Host> = this.#hosts): Promise<void> {
    const ending = [...new Set(hosts)];
    for (const host of ending) this.#hosts.delete(host);
    await Promise.all(ending.map((host) => host.stop()));
  }
}
