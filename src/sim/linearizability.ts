import type { Operation } from "./history.ts";
import { type Model, prepare } from "./models.ts";

export interface CheckOptions {
  /** Tries of one operation in one state, over all keys. Beyond it the verdict is `undecided`. Default 5 million. */
  readonly stepsMax?: number;
}

export type CheckResult =
  | { readonly verdict: "ok"; readonly steps: number }
  | { readonly verdict: "violation"; readonly key: string; readonly reason: string; readonly steps: number }
  | { readonly verdict: "undecided"; readonly key: string; readonly steps: number };

/**
 * Is there one order of all operations, each at a moment between its call and its return, that explains every output?
 *
 * The search of Wing and Gong with the memory of Lowe ("Testing for linearizability", 2017): take any operation that was called before
 * the first return that is still open, go back when none fits, and never try the same set in the same state twice. Keys are
 * independent (Herlihy and Wing, locality), so each is searched alone.
 */
export function checkLinearizability(operations: readonly Operation[], options: CheckOptions = {}): CheckResult {
  const stepsMax = options.stepsMax ?? 5_000_000;
  let steps = 0;
  for (const [key, ofKey] of byKey(operations)) {
    const prepared = prepare(ofKey);
    if ("impossible" in prepared) return { verdict: "violation", key, reason: prepared.impossible, steps };
    const search = new Search(prepared.model, prepared.operations);
    const verdict = search.run(stepsMax - steps);
    steps += search.steps;
    if (verdict === "undecided") return { verdict, key, steps };
    if (verdict === "violation") return { verdict, key, reason: search.explain(), steps };
  }
  return { verdict: "ok", steps };
}

function byKey(operations: readonly Operation[]): readonly (readonly [string, readonly Operation[]])[] {
  const groups = new Map<string, Operation[]>();
  for (const operation of operations) {
    const group = groups.get(operation.key);
    if (group === undefined) groups.set(operation.key, [operation]);
    else group.push(operation);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A call or a return; a list of them in order of time, from which operations are taken out and put back. */
interface Mark {
  readonly operation: number;
  readonly at: number;
  /** Undefined: this is a return itself, or the operation never returned. */
  readonly returned: Mark | undefined;
  readonly isReturn: boolean;
  previous: Mark;
  next: Mark | undefined;
}

class Search {
  steps = 0;
  readonly #model: Model;
  readonly #operations: readonly Operation[];
  readonly #head: Mark;
  readonly #taken: Uint32Array;
  readonly #tried = new Set<string>();
  readonly #path: { readonly mark: Mark; readonly before: string }[] = [];
  #best: readonly number[] = [];
  #stuckAt: Operation | undefined;
  #mustReturn = 0;

  constructor(model: Model, operations: readonly Operation[]) {
    this.#model = model;
    this.#operations = operations;
    this.#taken = new Uint32Array(Math.ceil(operations.length / 32));
    this.#head = this.#link();
  }

  run(stepsMax: number): "ok" | "violation" | "undecided" {
    let state = this.#model.initial;
    let mark = this.#head.next;
    while (this.#mustReturn > 0) {
      if (mark !== undefined && !mark.isReturn) {
        if (++this.steps > stepsMax) return "undecided";
        const next = this.#try(mark, state);
        if (next === undefined) {
          mark = mark.next;
          continue;
        }
        this.#path.push({ mark, before: state });
        state = next;
        this.#take(mark);
        mark = this.#head.next;
      } else {
        this.#note(mark);
        const last = this.#path.pop();
        if (last === undefined) return "violation";
        this.#putBack(last.mark);
        state = last.before;
        mark = last.mark.next;
      }
    }
    return "ok";
  }

  /** The longest order that was found, its end, and the operation that fits nowhere after it. */
  explain(): string {
    const tail = this.#best.slice(-3).map((i) => describe(this.#operations[i] as Operation));
    const stuck = this.#stuckAt === undefined ? "an operation" : describe(this.#stuckAt);
    return `${stuck} fits nowhere; ${this.#best.length} operations before it do, the last: ${tail.join("; ")}`;
  }

  #try(mark: Mark, state: string): string | undefined {
    const next = this.#model.step(state, this.#operations[mark.operation] as Operation);
    if (next === undefined) return undefined;
    this.#flip(mark.operation);
    const key = `${this.#taken.join(",")}|${next}`;
    this.#flip(mark.operation);
    if (this.#tried.has(key)) return undefined;
    this.#tried.add(key);
    return next;
  }

  #note(mark: Mark | undefined): void {
    if (this.#path.length < this.#best.length || (this.#path.length === 0 && this.#stuckAt !== undefined)) return;
    this.#best = this.#path.map((step) => step.mark.operation);
    this.#stuckAt = mark === undefined ? undefined : this.#operations[mark.operation];
  }

  #take(mark: Mark): void {
    this.#flip(mark.operation);
    unlink(mark);
    if (mark.returned === undefined) return;
    unlink(mark.returned);
    this.#mustReturn--;
  }

  #putBack(mark: Mark): void {
    this.#flip(mark.operation);
    if (mark.returned !== undefined) {
      relink(mark.returned);
      this.#mustReturn++;
    }
    relink(mark);
  }

  #flip(operation: number): void {
    const word = operation >>> 5;
    this.#taken[word] = (this.#taken[word] as number) ^ (1 << (operation & 31));
  }

  #link(): Mark {
    const marks: Mark[] = [];
    const nobody = undefined as unknown as Mark;
    this.#operations.forEach((operation, i) => {
      let returned: Mark | undefined;
      if (operation.outcome === "ok" && operation.return !== null) {
        returned = {
          operation: i,
          at: operation.return,
          returned: undefined,
          isReturn: true,
          previous: nobody,
          next: undefined,
        };
        marks.push(returned);
        this.#mustReturn++;
      }
      marks.push({ operation: i, at: operation.call, returned, isReturn: false, previous: nobody, next: undefined });
    });
    // At one moment calls come first: operations that touch are concurrent.
    marks.sort((a, b) => a.at - b.at || Number(a.isReturn) - Number(b.isReturn));
    const head: Mark = {
      operation: -1,
      at: -1,
      returned: undefined,
      isReturn: false,
      previous: nobody,
      next: undefined,
    };
    let last = head;
    for (const mark of marks) {
      last.next = mark;
      mark.previous = last;
      last = mark;
    }
    return head;
  }
}

function unlink(mark: Mark): void {
  mark.previous.next = mark.next;
  if (mark.next !== undefined) mark.next.previous = mark.previous;
}

function relink(mark: Mark): void {
  mark.previous.next = mark;
  if (mark.next !== undefined) mark.next.previous = mark;
}

function describe({ client, op, input, output, call, return: end, outcome }: Operation): string {
  const result = outcome === "ok" ? ` -> ${JSON.stringify(output)}` : ` (${outcome})`;
  const argument = op === "read" ? "" : ` ${JSON.stringify(input)}`;
  return `client ${client} ${op}${argument}${result} [${call}, ${end ?? "open"}]`;
}
