/** What a bench is made of: two sides measured in turn, the medians, one row a case. No I/O. */

export type Better = "higher" | "lower";
/** Each node a process of its own, or all in one. */
export type Layout = "processes" | "one-process";

/** What a bench is asked for. */
export interface Plan {
  readonly repeats: number;
  /** Shorter samples too: figures that show only that it works. */
  readonly isQuick: boolean;
  /** Only cases whose name is this. */
  readonly only: string | undefined;
  readonly layouts: readonly Layout[];
  /** Only rows against this one; undefined: all that can be had. */
  readonly peer: string | undefined;
  /** Tells of a peer that is missing, though nobody asked for it by name. */
  readonly leaveOut: (what: string) => void;
}

/** One case in one layout, and how to measure it once at each side. */
export interface Case {
  readonly bench: string;
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly better: Better;
  readonly peerName: string;
  readonly layout: Layout;
  /** See `Target`; undefined: docs/design/bench.md has none. */
  readonly target: Target | undefined;
  ours(): Promise<number>;
  peer(): Promise<number>;
}

/** What `ratio` should reach: a ratio, or what our side should reach in the metric's unit, whatever the peer does. */
export type Target = { readonly ratio: number } | { readonly ours: number };

/** One line of `--json`. The fields are a contract: none more, none less. */
export interface Row {
  readonly bench: string;
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly better: Better;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  /** Above 1: ours is better, whichever direction is better. */
  readonly ratio: number;
  /** The ratio that we want; null: none is set. */
  readonly target: number | null;
  readonly repeats: number;
  readonly layout: Layout;
}

/** A measurement that came to a wrong state of the system: worse than any figure. */
export class WrongResult extends Error {
  override readonly name = "WrongResult";
}

/** A peer was named that is not here. */
export class MissingPeer extends Error {
  override readonly name = "MissingPeer";
}

/**
 * Both sides work for so long, with many operations under way, before the first is measured: one at a time would take minutes to bring the code to
 * the state in which a service runs it.
 */
export function warmUpMs({ isQuick }: Plan): number {
  return isQuick ? 200 : 2_000;
}

/** Ours, peer, ours, peer, ...: what slows the machine for a while slows both. */
export async function measure(what: Case, repeats: number): Promise<Row> {
  const ours: number[] = [];
  const peer: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    ours.push(await what.ours());
    peer.push(await what.peer());
  }
  return rowOf(what, ours, peer);
}

export function rowOf(what: Omit<Case, "ours" | "peer">, ours: readonly number[], peer: readonly number[]): Row {
  const { bench, case: name, metric, unit, better, peerName, layout, target } = what;
  const figures = { ours: median(ours), peer: median(peer) };
  return {
    bench,
    case: name,
    metric,
    unit,
    better,
    ours: rounded(figures.ours),
    peer: rounded(figures.peer),
    peerName,
    ratio: rounded(ratioOf(better, figures.ours, figures.peer)),
    target: target === undefined ? null : rounded(targetRatio(target, better, figures.peer)),
    repeats: ours.length,
    layout,
  };
}

/** @param values - at least one */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted[sorted.length % 2 === 0 ? middle - 1 : middle];
  if (upper === undefined || lower === undefined) throw new RangeError("no value, no median");
  return (lower + upper) / 2;
}

export function ratioOf(better: Better, ours: number, peer: number): number {
  return better === "higher" ? ours / peer : peer / ours;
}

function targetRatio(target: Target, better: Better, peer: number): number {
  return "ratio" in target ? target.ratio : ratioOf(better, target.ours, peer);
}

/** To four digits: more would be noise. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

const HEADS = ["case", "metric", "layout", "ours", "peer", "unit", "ratio", "target", ""] as const;
const NUMBERS = new Set<(typeof HEADS)[number]>(["ours", "peer", "ratio", "target"]);

/** For people. The last column says whether the target is met. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.case,
    row.metric,
    row.layout,
    figure(row.ours),
    figure(row.peer),
    row.unit,
    row.ratio.toString(),
    row.target?.toString() ?? "-",
    row.target === null ? "" : row.ratio >= row.target ? "met" : "missed",
  ]);
  const widths = HEADS.map((head, column) => Math.max(head.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const format = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        const head = HEADS[column];
        return head !== undefined && NUMBERS.has(head) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [format(HEADS), ...lines.map(format)].join("\n");
}

function figure(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString("en-US") : value.toString();
}
