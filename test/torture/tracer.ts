import { type ChildProcess, spawn } from "node:child_process";

const ATTACH_TIMEOUT_MS = 10_000;
/** What makes data durable. */
const SYNCS = "fdatasync,fsync";

/** `strace`, attached to all threads of a process, until it is detached. */
export class Tracer {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #said = "";

  private constructor(pid: number, args: readonly string[]) {
    this.#process = spawn("strace", ["-f", ...args, "-p", String(pid)], { stdio: ["ignore", "ignore", "pipe"] });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said += text;
    });
    this.#exited = new Promise((resolve) => {
      this.#process.once("error", () => resolve());
      this.#process.once("close", () => resolve());
    });
  }

  /** Resolves once it is attached. @throws what strace says if it may not */
  static async attach(pid: number, args: readonly string[]): Promise<Tracer> {
    const tracer = new Tracer(pid, args);
    await tracer.#attached();
    return tracer;
  }

  /** Each sync fails, of each thread. */
  static failSyncs(pid: number): Promise<Tracer> {
    return Tracer.#inject(pid, "error=EIO");
  }

  /** Each sync takes so much longer. */
  static delaySyncs(pid: number, delayMs: number): Promise<Tracer> {
    return Tracer.#inject(pid, `delay_enter=${delayMs * 1_000}`);
  }

  static countSyncs(pid: number): Promise<Tracer> {
    return Tracer.attach(pid, ["-c", "-e", `trace=${SYNCS}`]);
  }

  static #inject(pid: number, what: string): Promise<Tracer> {
    return Tracer.attach(pid, ["-o", "/dev/null", "-e", `trace=${SYNCS}`, "-e", `inject=${SYNCS}:${what}`]);
  }

  /** What it said, its table of counts included. */
  async detach(): Promise<string> {
    this.#process.kill("SIGINT");
    await this.#exited;
    return this.#said;
  }

  async #attached(): Promise<void> {
    const deadline = performance.now() + ATTACH_TIMEOUT_MS;
    let isOver = false;
    void this.#exited.then(() => {
      isOver = true;
    });
    while (!/attached/.test(this.#said)) {
      if (isOver || performance.now() > deadline) {
        this.#process.kill("SIGKILL");
        throw new Error(this.#said.trim().split("\n")[0] || "strace does not attach");
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Calls in a table of `strace -c`: its fourth column. */
export function countOf(table: string): number {
  const rows = table.split("\n").filter((line) => /\b(fdatasync|fsync)$/.test(line.trim()));
  return rows.reduce((sum, row) => sum + Number(row.trim().split(/\s+/)[3] ?? 0), 0);
}
