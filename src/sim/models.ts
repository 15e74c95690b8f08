import type { Operation } from "./history.ts";

/** A sequential specification. States are texts, so that they can be compared and remembered. */
export interface Model {
  readonly initial: string;
  /** The state after the operation, or undefined if it could not have happened in this state with this output. */
  step(state: string, operation: Operation): string | undefined;
}

/** The model of one key's operations, and those of them that must be explained; or why no order can. */
export type Prepared =
  | { readonly model: Model; readonly operations: readonly Operation[] }
  | { readonly impossible: string };

/** @param operations - of one key */
export function prepare(operations: readonly Operation[]): Prepared {
  const sure = operations.filter(({ outcome, op }) => outcome === "ok" || (outcome === "unknown" && op !== "read"));
  const isList = sure.some(({ op, output }) => op === "append" || (op === "read" && Array.isArray(output)));
  return isList ? prepareList(sure) : { model: REGISTER, operations: withoutInvisibleWrites(sure) };
}

const text = (value: unknown): string => JSON.stringify(value ?? null);

const REGISTER: Model = {
  initial: "null",
  step(state, { op, input, output, outcome }) {
    if (op === "read") return text(output) === state ? state : undefined;
    if (op === "write") return text(input);
    if (op !== "cas") return undefined;
    const { expected, new: next } = input as { readonly expected: unknown; readonly new: unknown };
    const matches = text(expected) === state;
    // Of an unknown one only the success is of interest: the other case is as if it never happened.
    if (outcome === "unknown") return matches ? text(next) : undefined;
    return matches === output ? (matches ? text(next) : state) : undefined;
  },
};

/**
 * Of unknown writes whose value nobody saw, most need not be tried, which would cost exponential time: leaving such a write out of a
 * valid order leaves the order valid, unless a failed `cas` needs just that value to have been there.
 */
function withoutInvisibleWrites(operations: readonly Operation[]): readonly Operation[] {
  if (operations.some(({ op, output, outcome }) => op === "cas" && outcome === "ok" && output === false))
    return operations;
  const seen = new Set<string>();
  for (const { op, input, output, outcome } of operations) {
    if (op === "read" && outcome === "ok") seen.add(text(output));
    if (op === "cas") seen.add(text((input as { readonly expected: unknown }).expected));
  }
  return operations.filter(({ op, input, outcome }) => outcome === "ok" || op === "cas" || seen.has(text(input)));
}

/**
 * Lists only grow, so all reads must be prefixes of the longest one. Then the order of appends is known up to there, and the state is
 * but a length: a search over whole lists becomes one over numbers.
 */
function prepareList(operations: readonly Operation[]): Prepared {
  const reads = operations.filter(({ op, outcome }) => op === "read" && outcome === "ok");
  const lists = reads.map(({ output }) => (Array.isArray(output) ? output : []).map(text));
  const longest = lists.reduce((best, list) => (list.length > best.length ? list : best), [] as string[]);
  for (const list of lists) {
    const at = list.findIndex((element, i) => element !== longest[i]);
    if (at >= 0) return { impossible: `two reads disagree about element ${at}: ${list[at]} and ${longest[at]}` };
  }
  const positions = new Map(longest.map((element, i) => [element, i]));
  if (positions.size < longest.length) return { impossible: `an element is twice in the list: ${twice(longest)}` };
  const appended = new Set(operations.filter(({ op }) => op === "append").map(({ input }) => text(input)));
  const phantom = longest.find((element) => !appended.has(element));
  if (phantom !== undefined) return { impossible: `nobody appended ${phantom}` };
  return {
    model: listModel(positions),
    // An unknown append that no read shows can be left out: whatever comes after the last read is free.
    operations: operations.filter(({ outcome, input }) => outcome === "ok" || positions.has(text(input))),
  };
}

function listModel(positions: ReadonlyMap<string, number>): Model {
  return {
    initial: "0",
    step(state, { op, input, output }) {
      const length = Number(state);
      if (op === "read") return (output as readonly unknown[] | null)?.length === length ? state : undefined;
      if (op !== "append") return undefined;
      const position = positions.get(text(input));
      // Not in the longest list: only after all that is.
      const fits = position === undefined ? length >= positions.size : position === length;
      return fits ? String(length + 1) : undefined;
    },
  };
}

function twice(elements: readonly string[]): string | undefined {
  return elements.find((element, i) => elements.indexOf(element) !== i);
}
