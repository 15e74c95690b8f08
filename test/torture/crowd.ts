import { type ChildProcess, fork } from "node:child_process";
import type { HistoryFile } from "./history-file.ts";
import type { NodeProcess } from "./node-process.ts";
import type { ClientInit, FromClient, ToClient } from "./protocol.ts";

const PROCESSES = 3;
const CLIENTS_EACH = 16;
/** All processes together stay below 500, the last reads included. */
const OPERATIONS_PER_KEY = 160;

/** The client processes. What they saw goes to the history as they tell it. */
export class Crowd {
  readonly #processes: readonly ChildProcess[];

  constructor(script: string, members: readonly NodeProcess[], seed: number, history: HistoryFile) {
    this.#processes = Array.from({ length: PROCESSES }, (_, number) => {
      const init: ClientInit = {
        seed,
        number,
        clients: CLIENTS_EACH,
        operationsPerKey: OPERATIONS_PER_KEY,
        members: members.map(({ init: { serve } }) => serve),
      };
      const child = fork(script, [JSON.stringify(init)], { execArgv: [] });
      child.on("message", (news: FromClient) => {
        if (news.type === "operations") history.add(news.operations);
      });
      return child;
    });
  }

  /** All have ended what they were at. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((child) => this.#order(child, { type: "stop" })));
  }

  /** Each key is read once more, by one of them. */
  async finalReads(keys: readonly string[]): Promise<void> {
    const [first] = this.#processes;
    if (first !== undefined) await this.#order(first, { type: "final-reads", keys });
  }

  end(): void {
    for (const child of this.#processes) child.kill("SIGKILL");
  }

  #order(child: ChildProcess, order: ToClient): Promise<void> {
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error("a client process ended"));
      const onMessage = (news: FromClient): void => {
        if (news.type !== "done") return;
        child.off("message", onMessage);
        child.off("exit", onExit);
        resolve();
      };
      child.on("message", onMessage);
      child.once("exit", onExit);
      child.send(order);
    });
  }
}
