import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Operation } from "../../src/sim/history.ts";

/** All operations of a run: in memory for the verdict, and in a file, line by line as they end. */
export class HistoryFile {
  readonly operations: Operation[] = [];
  readonly #file: number | undefined;

  /** @param path - undefined: no file is wanted */
  constructor(path: string | undefined) {
    this.#file = path === undefined ? undefined : openSync(path, "w");
  }

  add(operations: readonly Operation[]): void {
    this.operations.push(...operations);
    if (this.#file !== undefined)
      writeSync(this.#file, operations.map((operation) => `${lineOf(operation)}\n`).join(""));
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }
}

/** The fields in their order: a contract with programs that check it on their own. */
export function lineOf({ client, op, key, input, output, call, return: end, outcome }: Operation): string {
  return JSON.stringify({ client, op, key, input, output, call, return: end, outcome });
}

export function readHistory(path: string): readonly Operation[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Operation);
}
