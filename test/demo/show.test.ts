import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { Board, Row } from "../../demo/board.ts";
import { drawBoard, sparkline } from "../../demo/dashboard.ts";
import { LiveShow, type Terminal } from "../../demo/show.ts";

const PAPER = { columns: 80, rows: 24, hasColor: false };

const row = (name: string, isLeader: boolean, change: Partial<Row> = {}): Row => ({
  name,
  state: "alive",
  view: { role: "voter", isLeader, term: 2, position: 12_345, voters: [] },
  acknowledged: 1_200,
  ...change,
});

const BOARD: Board = {
  elapsedMs: 4_210,
  rows: [
    row("ada", true, { state: "killed" }),
    row("bob", true),
    row("cyd", false),
    row("dan", false, { view: { role: "learner", isLeader: false, term: 2, position: 9_000, voters: [] } }),
    row("eve", false, { state: "starting", view: undefined, acknowledged: 0 }),
  ],
  slices: [0, 10, 20, 40, 80, 7],
  events: [
    { atMs: 0, text: "they listen", tone: "plain" },
    { atMs: 2_100, text: "kill -9 of ada", tone: "bad" },
    { atMs: 2_350, text: "bob leads", tone: "good" },
  ],
  outcome: undefined,
};

const find = (lines: readonly string[], text: string): string => {
  const line = lines.find((one) => one.includes(text));
  ok(line !== undefined, `no line with ${text} in\n${lines.join("\n")}`);
  return line;
};

describe("the live view of the demo", () => {
  const lines = drawBoard(BOARD, PAPER);

  it("has a line for each process: who leads, in which term, how far", () => {
    match(find(lines, "bob "), /▶ bob +leader +term 2 +at +12,345 +1,200 acknowledged/);
    match(find(lines, "cyd "), /^ {4}cyd +voter +term 2 +at +12,345 +1,200 acknowledged/);
    match(find(lines, "dan "), /^ {4}dan +learner +term 2 +at +9,000/);
    match(find(lines, "eve "), /^ {4}eve +starts$/);
    const ada = find(lines, "ada ");
    match(ada, /^ {4}ada +killed +1,200 acknowledged/);
    ok(!ada.includes("leader"), "whoever is dead leads nobody");
  });

  it("lists what happened, with its time, the latest last", () => {
    deepEqual(
      lines.slice(-3).map((line) => line.trim()),
      ["0.00 s  they listen", "2.10 s  kill -9 of ada", "2.35 s  bob leads"],
    );
  });

  it("sums up, and says what was lost once that is known", () => {
    match(find(lines, "4,800 acknowledged"), /at the end/);
    const good = drawBoard({ ...BOARD, outcome: { lost: 0, duplicated: 0, isGood: true } }, PAPER);
    match(find(good, "4,800 acknowledged"), /0 lost {3}0 duplicated/);
    const bad = drawBoard(
      { ...BOARD, outcome: { lost: 1, duplicated: 2, isGood: false } },
      { ...PAPER, hasColor: true },
    );
    ok(find(bad, "4,800 acknowledged").includes("\x1b[31m   1 lost   2 duplicated\x1b[0m"));
  });

  it("draws throughput, without the slice that has only begun", () => {
    match(find(lines, "commands/s"), /^ {3}▁▂▄█ +300 commands\/s$/);
  });

  it("a chart's bars are in proportion to the highest, and nothing is blank", () => {
    equal(sparkline([0, 1, 8, 4, 100, 50]), " ▁▁▁█▄");
    equal(sparkline([0, 0]), "  ");
    equal(sparkline([]), "");
  });

  it("fits on any paper, and keeps the latest events", () => {
    const events = Array.from({ length: 40 }, (_, i) => ({
      atMs: i * 100,
      text: `event ${i} `.repeat(20),
      tone: "plain" as const,
    }));
    const slices = Array.from({ length: 500 }, (_, i) => i);
    for (const [columns, rows] of [
      [80, 24],
      [200, 60],
      [40, 20],
      [10, 10],
      [1, 1],
    ] as const) {
      for (const hasColor of [true, false]) {
        const drawn = drawBoard({ ...BOARD, events, slices }, { columns, rows, hasColor });
        ok(drawn.length >= 1 && drawn.length <= Math.max(1, rows - 1), `${drawn.length} lines of ${rows}`);
        for (const line of drawn) ok(stripVTControlCharacters(line).length <= columns, line);
        if (rows >= 20) ok(drawn.at(-1)?.includes(columns > 20 ? "event 39" : ""), drawn.at(-1));
      }
    }
  });

  it("colours change nothing but colours", () => {
    const colored = drawBoard(BOARD, { ...PAPER, hasColor: true });
    ok(colored.some((line) => line.includes("\x1b[")));
    deepEqual(
      colored.map((line) => stripVTControlCharacters(line).trimEnd()),
      [...lines],
    );
    ok(!lines.some((line) => line.includes("\x1b")));
  });
});

/** Understands as much of a terminal as the show uses: text, line ends, cursor up, and what clears. */
class FakeTerminal {
  columns = 80;
  rows = 24;
  isCursorShown = true;
  written = "";
  readonly lines: string[] = [];
  readonly #listeners = new Set<() => void>();
  #at = 0;

  write(text: string): boolean {
    this.written += text;
    const [plain = "", ...parts] = text.split("\x1b[");
    this.#print(plain);
    for (const part of parts) {
      const end = part.search(/[A-Za-z]/) + 1;
      this.#obey(part.slice(0, end));
      this.#print(part.slice(end));
    }
    return true;
  }

  on(_event: string, listener: () => void): this {
    this.#listeners.add(listener);
    return this;
  }

  off(_event: string, listener: () => void): this {
    this.#listeners.delete(listener);
    return this;
  }

  resize(columns: number): void {
    this.columns = columns;
    for (const listener of this.#listeners) listener();
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  #print(text: string): void {
    for (const piece of text.split(/(\r|\n)/)) {
      if (piece === "\n") this.#at++;
      else if (piece !== "\r" && piece !== "") this.lines[this.#at] = piece;
    }
  }

  #obey(code: string): void {
    if (/^\d+A$/.test(code)) this.#at -= Number.parseInt(code, 10);
    else if (code === "K") this.lines[this.#at] ??= "";
    else if (code === "J") this.lines.length = Math.min(this.lines.length, this.#at);
    else if (code === "2J") this.lines.length = 0;
    else if (code === "H") this.#at = 0;
    else if (code === "?25l") this.isCursorShown = false;
    else if (code === "?25h") this.isCursorShown = true;
    else ok(false, `an unknown code: ${code}`);
    ok(this.#at >= 0, "never above where it began");
  }
}

describe("the live view on a terminal", () => {
  const open = (): { terminal: FakeTerminal; show: LiveShow } => {
    const terminal = new FakeTerminal();
    terminal.write("$ npm run demo\n");
    return { terminal, show: new LiveShow(terminal as unknown as Terminal, false) };
  };

  it("is drawn in place, hides the cursor, and gives it back at the end, once", () => {
    const { terminal, show } = open();
    equal(terminal.isCursorShown, false);
    show.set("ada", { state: "alive" });
    terminal.resize(70);
    show.set("ada", { state: "killed" });
    show.acknowledged("ada", 3);
    show.acknowledged("ada", 4);
    show.say("kill -9 of ada", {}, "bad");
    show.conclude({ lost: 0, duplicated: 0, isGood: true });
    show.end();
    equal(terminal.isCursorShown, true);
    equal(terminal.listenerCount, 0);
    equal(terminal.lines.filter((line) => line.includes("one group")).length, 1, "one picture, the last");
    match(find(terminal.lines, "ada"), /killed/);
    match(find(terminal.lines, "7 acknowledged"), /7 acknowledged/);
    match(find(terminal.lines, "0 lost"), /7 acknowledged {3}0 lost/);
    find(terminal.lines, "kill -9 of ada");
    const { written } = terminal;
    show.end();
    equal(terminal.written, written);
  });

  it("what was on the screen before stays there", () => {
    const { terminal, show } = open();
    show.end();
    equal(terminal.lines[0], "$ npm run demo");
  });

  it("a terminal without a size gets a picture, too", () => {
    const terminal = new FakeTerminal();
    Object.assign(terminal, { columns: 0, rows: undefined });
    new LiveShow(terminal as unknown as Terminal, false).end();
    find(terminal.lines, "one group");
  });
});
