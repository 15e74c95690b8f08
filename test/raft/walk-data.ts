import { strictEqual } from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

/** One command of a data file: its first word, its bare words, its `key=value` words. */
export interface Command {
  readonly name: string;
  readonly words: readonly string[];
  readonly fields: ReadonlyMap<string, string>;
  /** The line as it stands, for messages. */
  readonly line: string;
}

type Piece =
  | { readonly type: "text"; readonly line: string }
  | { readonly type: "command"; readonly lines: readonly string[]; readonly expected: string };

/**
 * Runs each `*.txt` of a folder as a test. A file alternates prose (`#` lines and blank ones) with blocks: commands, one a line, `----`, and
 * the output of all of them, up to a blank line. `MOSAIK_UPDATE_DATA=1` rewrites the outputs; explain each difference when you commit it.
 *
 * @param start - called for each file; gives what runs one command and returns its output lines
 */
export function walkData(folder: string, start: () => (command: Command) => readonly string[]): void {
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".txt")) continue;
    test(file, () => {
      const path = join(folder, file);
      const before = readFileSync(path, "utf8");
      const after = rerun(before, start());
      if (process.env["MOSAIK_UPDATE_DATA"] === "1") writeFileSync(path, after);
      else strictEqual(after, before, `${path} differs; MOSAIK_UPDATE_DATA=1 rewrites it`);
    });
  }
}

function rerun(text: string, run: (command: Command) => readonly string[]): string {
  const out: string[] = [];
  for (const piece of parse(text)) {
    if (piece.type === "text") {
      out.push(piece.line);
      continue;
    }
    const output = piece.lines.flatMap((line) => runLine(line, run));
    out.push(...piece.lines, "----", ...(output.length > 0 ? output : ["ok"]));
  }
  return `${out.join("\n").trimEnd()}\n`;
}

function runLine(line: string, run: (command: Command) => readonly string[]): readonly string[] {
  try {
    return run(parseCommand(line));
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "AssertionError") throw error;
    return [`assertion: ${error.message}`];
  }
}

function* parse(text: string): Generator<Piece> {
  const lines = text.split("\n");
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    if (line === "" || line.startsWith("#")) {
      yield { type: "text", line };
      at++;
      continue;
    }
    const commands: string[] = [];
    while (at < lines.length && lines[at] !== "----" && lines[at] !== "") commands.push(lines[at++] ?? "");
    if (lines[at] === "----") at++;
    const expected: string[] = [];
    while (at < lines.length && lines[at] !== "") expected.push(lines[at++] ?? "");
    yield { type: "command", lines: commands, expected: expected.join("\n") };
  }
}

function parseCommand(line: string): Command {
  const [name = "", ...rest] = line.split(/\s+/);
  const words = rest.filter((word) => !word.includes("="));
  const pairs = rest.filter((word) => word.includes("=")).map((word) => word.split("=", 2) as [string, string]);
  return { name, words, fields: new Map(pairs), line };
}
