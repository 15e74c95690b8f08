/** What a client of a register or of a list may do. */
export type OperationName = "read" | "write" | "cas" | "append";
/** `ok`: it happened, and `output` is what came back. `fail`: surely without effect. `unknown`: it may happen at any time after the call. */
export type OperationOutcome = "ok" | "fail" | "unknown";

/**
 * One operation as its client saw it. Times are integers of one clock, in any unit.
 *
 * Register keys take `read`, `write` and `cas` (input `{ expected, new }`, output a boolean; an absent key is null). List keys take
 * `append` of elements that are unique in the run, and `read`, whose output is the whole list.
 */
export interface Operation {
  readonly client: number;
  readonly op: OperationName;
  readonly key: string;
  readonly input: unknown;
  readonly output: unknown;
  readonly call: number;
  /** Null: it never returned. */
  readonly return: number | null;
  readonly outcome: OperationOutcome;
}

/** The end of an operation that was begun. */
export interface OperationEnd {
  ok(output: unknown): void;
  fail(): void;
  unknown(): void;
}

/**
 * Records operations as they are called and as they return. Every stamp is one above the last where time stood still, so that what one
 * process saw in order stays in order.
 */
export class History {
  readonly #nowUs: () => number;
  readonly #ended: Operation[] = [];
  readonly #open = new Set<Operation>();
  #lastStamp = -1;

  /** @param nowUs - virtual time */
  constructor(nowUs: () => number) {
    this.#nowUs = nowUs;
  }

  begin(client: number, op: OperationName, key: string, input: unknown = null): OperationEnd {
    const call = this.#stamp();
    const open: Operation = { client, op, key, input, output: null, call, return: null, outcome: "unknown" };
    this.#open.add(open);
    const end = (outcome: OperationOutcome, output: unknown): void => {
      if (!this.#open.delete(open)) return;
      this.#ended.push({ ...open, output, outcome, return: outcome === "unknown" ? null : this.#stamp() });
    };
    return { ok: (output) => end("ok", output), fail: () => end("fail", null), unknown: () => end("unknown", null) };
  }

  /** All so far, by call; those under way as `unknown`. */
  operations(): readonly Operation[] {
    return [...this.#ended, ...this.#open].sort((a, b) => a.call - b.call);
  }

  count(outcome: OperationOutcome): number {
    const ended = this.#ended.filter((operation) => operation.outcome === outcome).length;
    return outcome === "unknown" ? ended + this.#open.size : ended;
  }

  #stamp(): number {
    this.#lastStamp = Math.max(this.#nowUs(), this.#lastStamp + 1);
    return this.#lastStamp;
  }
}
