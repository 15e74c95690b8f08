import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Answers, FromMember, MemberInit, Question } from "./protocol.ts";

const ANSWER_TIMEOUT_MS = 40_000;
const START_TIMEOUT_MS = 30_000;

/** A member that ended, and nobody had harmed it. */
export interface Crash {
  readonly member: number;
  readonly status: string;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(cause: Error): void;
}

/** One life of a member. */
class Life {
  readonly process: ChildProcess;
  readonly ended: Promise<string>;
  peer = "";
  #nextId = 1;
  readonly #waiting = new Map<number, Waiting>();

  constructor(script: string, init: MemberInit, logFile: string) {
    const log = openSync(logFile, "a");
    this.process = fork(script, [JSON.stringify(init)], { execArgv: [], stdio: ["ignore", log, log, "ipc"] });
    closeSync(log);
    this.process.on("message", (news: FromMember) => {
      if (news.type !== "answer") return;
      const waiting = this.#waiting.get(news.id);
      if (news.error === undefined) waiting?.resolve(news.answer);
      else waiting?.reject(new Error(news.error));
    });
    this.ended = new Promise((resolve) => {
      this.process.once("exit", (code, signal) => {
        for (const waiting of [...this.#waiting.values()]) waiting.reject(new Error("the member ended"));
        resolve(signal ?? `exit ${code}`);
      });
    });
  }

  get isAlive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async started(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const listening = new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error("a member does not start")), START_TIMEOUT_MS);
      this.process.on("message", (news: FromMember) => {
        if (news.type !== "listening") return;
        this.peer = news.peer;
        resolve();
      });
    });
    try {
      await Promise.race([listening, this.ended]);
    } finally {
      clearTimeout(timer);
    }
  }

  ask<Q extends Question>(question: Q): Promise<Answers[Q["ask"]]> {
    const id = this.#nextId++;
    return new Promise<unknown>((resolve, reject) => {
      const late = new Error(`no answer to ${question.ask}`);
      const timer = setTimeout(() => this.#waiting.get(id)?.reject(late), ANSWER_TIMEOUT_MS);
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
      };
      this.#waiting.set(id, {
        resolve: (answer) => {
          done();
          resolve(answer);
        },
        reject: (cause) => {
          done();
          reject(cause);
        },
      });
      this.process.send({ ...question, id }, (cause) => {
        if (cause) this.#waiting.get(id)?.reject(cause);
      });
    }) as Promise<Answers[Q["ask"]]>;
  }
}

/** A member across its lives: what it is started with, and the process that it is now. */
export class NodeProcess {
  readonly number: number;
  readonly init: MemberInit;
  readonly crashes: Crash[] = [];
  readonly #script: string;
  readonly #logFile: string;
  #life: Life | undefined;
  /** Its end is wanted, or was brought about. */
  #isDoomed = false;
  #isFrozen = false;
  #pardoned: string | undefined;

  constructor(number: number, script: string, init: MemberInit, logFile: string) {
    this.number = number;
    this.init = init;
    this.#script = script;
    this.#logFile = logFile;
  }

  get isUp(): boolean {
    return this.#life?.isAlive === true;
  }
  get isFrozen(): boolean {
    return this.#isFrozen;
  }
  get pid(): number | undefined {
    return this.isUp ? this.#life?.process.pid : undefined;
  }
  get peer(): string {
    return this.#life?.peer ?? "";
  }

  async start(): Promise<void> {
    if (this.isUp) return;
    this.#isDoomed = false;
    this.#pardoned = undefined;
    const life = new Life(this.#script, this.init, this.#logFile);
    this.#life = life;
    void life.ended.then((status) => {
      if (!this.#isDoomed && status !== this.#pardoned) this.crashes.push({ member: this.number, status });
    });
    await life.started();
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.#isDoomed = true;
    this.#isFrozen = false;
    if (!this.isUp) return;
    this.#life?.process.kill("SIGKILL");
    await this.#life?.ended;
  }

  /** In order: the network is closed, and then nothing may keep the process. */
  async stop(): Promise<void> {
    this.#isDoomed = true;
    const life = this.#life;
    if (life?.isAlive !== true) return;
    await life.ask({ ask: "close" }).catch(() => undefined);
    const timer = setTimeout(() => {
      this.crashes.push({ member: this.number, status: "closed, and its process did not end" });
      life.process.kill("SIGKILL");
    }, 10_000);
    await life.ended;
    clearTimeout(timer);
  }

  /** SIGSTOP. */
  freeze(): void {
    this.#isFrozen = this.#life?.process.kill("SIGSTOP") === true;
  }

  thaw(): void {
    if (this.#isFrozen) this.#life?.process.kill("SIGCONT");
    this.#isFrozen = false;
  }

  /** In this life it may end with this exit code, and that is no crash. Resolves when it ended. */
  async expectExit(code: number): Promise<void> {
    const life = this.#life;
    this.#pardoned = `exit ${code}`;
    await life?.ended;
  }

  ask<Q extends Question>(question: Q): Promise<Answers[Q["ask"]]> {
    if (!this.isUp || this.#life === undefined) return Promise.reject(new Error(`member ${this.number} is down`));
    return this.#life.ask(question);
  }
}
