import type { View } from "./protocol.ts";

/** How many acknowledgements a bar of the throughput chart stands for: those of so many milliseconds. */
export const SLICE_MS = 100;

/** One process, as it is shown. */
export interface Row {
  readonly name: string;
  readonly state: "starting" | "alive" | "killed";
  readonly view: View | undefined;
  readonly acknowledged: number;
}

export interface BoardEvent {
  readonly atMs: number;
  readonly text: string;
  readonly tone: "plain" | "good" | "bad";
}

/** What the verdict says, as far as it is shown. */
export interface Outcome {
  readonly lost: number;
  readonly duplicated: number;
  readonly isGood: boolean;
}

/** All that the live view shows. Plain data: drawing it is the business of `dashboard.ts`. */
export interface Board {
  readonly elapsedMs: number;
  readonly rows: readonly Row[];
  /** Acknowledged commands in each slice of time, the oldest first. */
  readonly slices: readonly number[];
  readonly events: readonly BoardEvent[];
  /** Undefined until the end. */
  readonly outcome: Outcome | undefined;
}
