import type { Board, BoardEvent, Row } from "./board.ts";
import { SLICE_MS } from "./board.ts";

/** What there is room for, and whether colours are wanted. */
export interface Paper {
  readonly columns: number;
  readonly rows: number;
  readonly hasColor: boolean;
}

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
/** A piece of a line, with its style. */
type Span = readonly [text: string, style?: keyof typeof STYLES];

const BARS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;
/** The rate that is shown as a number is that of the last second. */
const RATE_SLICES = 1_000 / SLICE_MS;
/** Lines besides members and events. */
const FIXED_LINES = 7;

/** The whole view, line by line. No line is wider than the paper, and there are fewer lines than it has. */
export function drawBoard(board: Board, paper: Paper): readonly string[] {
  const room = Math.max(1, paper.rows - 1 - FIXED_LINES - board.rows.length);
  const lines: readonly (readonly Span[])[] = [
    [
      ["  mosaik", "bold"],
      [`  one group, no server   ${seconds(board.elapsedMs)}`, "dim"],
    ],
    [],
    ...board.rows.map(drawRow),
    [],
    [["  "], ...drawThroughput(board.slices, paper.columns - 30)],
    drawTally(board),
    [],
    ...board.events.slice(-room).map(drawEvent),
  ];
  return lines.slice(0, Math.max(1, paper.rows - 1)).map((spans) => paint(spans, paper));
}

function drawRow({ name, state, view, acknowledged }: Row): readonly Span[] {
  const mark: Span = view?.isLeader === true && state === "alive" ? ["  ▶ ", "green"] : ["    "];
  const tally = `${count(acknowledged).padStart(9)} acknowledged`;
  if (state === "killed") {
    return [mark, [name.padEnd(6), "dim"], ["killed".padEnd(10), "red"], [`${" ".repeat(24)}${tally}`, "dim"]];
  }
  if (view === undefined) return [mark, [name.padEnd(6)], [state === "starting" ? "starts" : "joins", "dim"]];
  const role: Span = view.isLeader ? ["leader".padEnd(10), "green"] : [view.role.padEnd(10), roleStyle(view.role)];
  const place = `term ${String(view.term).padEnd(3)} at ${count(view.position).padStart(9)}`.padEnd(24);
  return [mark, [name.padEnd(6), "bold"], role, [`${place}${tally}`]];
}

function roleStyle(role: string): keyof typeof STYLES {
  return role === "voter" ? "cyan" : "yellow";
}

function drawThroughput(slices: readonly number[], width: number): readonly Span[] {
  // The slice that has only begun would look like a fall.
  const complete = slices.slice(0, -1);
  const shown = complete.slice(-Math.max(0, width));
  const last = complete.slice(-RATE_SLICES);
  const perSecond = last.reduce((sum, one) => sum + one, 0) * (RATE_SLICES / Math.max(1, last.length));
  return [
    [sparkline(shown).padEnd(Math.max(0, width)), "cyan"],
    [`  ${count(Math.round(perSecond)).padStart(7)} commands/s`],
  ];
}

/** One bar for each number, as high as it is in relation to the highest; a blank for none at all. */
export function sparkline(numbers: readonly number[]): string {
  const most = Math.max(1, ...numbers);
  return numbers.map((one) => (one === 0 ? " " : BARS[Math.ceil((one / most) * BARS.length) - 1])).join("");
}

function drawTally({ rows, outcome }: Board): readonly Span[] {
  const acknowledged = rows.reduce((sum, row) => sum + row.acknowledged, 0);
  const known: Span = [`  ${count(acknowledged)} acknowledged`, "bold"];
  if (outcome === undefined) return [known, ["   lost and duplicated are counted at the end", "dim"]];
  const { lost, duplicated, isGood } = outcome;
  return [known, [`   ${count(lost)} lost   ${count(duplicated)} duplicated`, isGood ? "green" : "red"]];
}

function drawEvent({ atMs, text, tone }: BoardEvent): readonly Span[] {
  const style = { plain: undefined, good: "green", bad: "red" }[tone] as keyof typeof STYLES | undefined;
  return [[`  ${seconds(atMs).padStart(7)}  `, "dim"], style === undefined ? [text] : [text, style]];
}

/** Cut off where the paper ends. Every character that we write is one column wide. */
function paint(spans: readonly Span[], { columns, hasColor }: Paper): string {
  let left = columns;
  let line = "";
  for (const [text, style] of spans) {
    const shown = text.slice(0, left);
    left -= shown.length;
    line += hasColor && style !== undefined && shown !== "" ? `\x1b[${STYLES[style]}m${shown}\x1b[0m` : shown;
  }
  return line.trimEnd();
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

export function count(number: number): string {
  return number.toLocaleString("en-US");
}
