import { type MosaikError, mosaikError, whenAborted } from "../../env/index.ts";
import type { CommandBatch } from "../entries/index.ts";
import type { CommandOutcome, Positioned } from "../machine/index.ts";
import type { AppliedBatch } from "../replica/index.ts";
import type { Submission } from "./proposer.ts";

/** One call that is under way: settles its caller's promise, once. */
export class Call<R> implements Submission {
  readonly batch: CommandBatch;
  readonly values: readonly unknown[];
  readonly deadlineUs: number;
  readonly support: Submission["support"];
  readonly #resolve: (value: Positioned<R>) => void;
  readonly #reject: (cause: unknown) => void;
  readonly #resultOf: (batch: AppliedBatch) => R;
  #signal: AbortSignal | undefined;
  #endListening: () => void = () => {};

  constructor(
    resolve: (value: Positioned<R>) => void,
    reject: (cause: unknown) => void,
    resultOf: (batch: AppliedBatch) => R,
    { batch, values, deadlineUs, support }: Pick<Submission, "batch" | "values" | "deadlineUs" | "support">,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#resultOf = resultOf;
    this.batch = batch;
    this.values = values;
    this.deadlineUs = deadlineUs;
    this.support = support;
  }

  /** @param giveUp - as `Proposer.submit` gave it */
  listen(signal: AbortSignal, giveUp: (cause: unknown) => void): void {
    this.#signal = signal;
    this.#endListening = whenAborted(signal, giveUp);
  }

  onApplied(batch: AppliedBatch): void {
    this.#settle();
    try {
      this.#resolve({ position: batch.position, result: this.#resultOf(batch) });
    } catch (cause) {
      this.#reject(cause);
    }
  }

  onFailed(error: MosaikError): void {
    this.#settle();
    // An abort of what was never sent is the caller's own doing; of what was sent, it is news.
    const isOwn = this.#signal?.aborted === true && error.outcome === "not-applied";
    this.#reject(isOwn ? this.#signal?.reason : error);
  }

  #settle(): void {
    this.#endListening();
  }
}

/** Of `feed`, which does not ask what became of its commands. */
export function noResult(): undefined {
  return undefined;
}

/** Of a batch of one. @throws `command-rejected` */
export function resultOf({ outcomes, position }: AppliedBatch): unknown {
  return resultOfOutcome(outcomes[0] as CommandOutcome, position, 1);
}

/** @throws `command-rejected` for the first that was */
export function resultsOf({ outcomes, position }: AppliedBatch): unknown[] {
  return outcomes.map((outcome) => resultOfOutcome(outcome, position, outcomes.length));
}

/** @throws `command-rejected` */
function resultOfOutcome(outcome: CommandOutcome, position: number, count: number): unknown {
  if (outcome.type === "applied") return outcome.result;
  const { reason, data } = outcome.rejection;
  // Of several side by side the others were applied, so only a lone one is known to be without effect.
  throw mosaikError("command-rejected", `the machine rejected the command at position ${position}: ${reason}`, {
    outcome: count === 1 ? "not-applied" : "applied",
    details: { reason },
    hidden: { data },
  });
}
