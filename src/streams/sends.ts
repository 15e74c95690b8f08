import { LIMITS, mosaikError, whenAborted } from "../env/index.ts";

interface Waiting<In> {
  readonly value: In;
  settle(error?: { readonly cause: unknown }): void;
}

/** Calls of `send` that wait for their turn. First come, first served; bounded. */
export class Sends<In> {
  readonly #waiting = new Set<Waiting<In>>();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** @throws `overloaded` too many wait; the reason of `signal`, of `end`, or what `serve`'s offer threw: not queued */
  wait(value: In, signal: AbortSignal | undefined): Promise<void> {
    // Nothing would end it: an abort that came before is told to nobody.
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (this.#waiting.size >= LIMITS.streamSendsMax) {
      const message = "too many values of this producer wait; await `send` before the next one";
      throw mosaikError("overloaded", message, { outcome: "not-applied", hidden: { rejected: [value] } });
    }
    return new Promise((resolve, reject) => {
      const waiting: Waiting<In> = {
        value,
        settle: (error) => {
          this.#waiting.delete(waiting);
          endListening();
          if (error === undefined) resolve();
          else reject(error.cause);
        },
      };
      const endListening = whenAborted(signal, (cause) => waiting.settle({ cause }));
      this.#waiting.add(waiting);
    });
  }

  /** Offers what waits, in order, as long as it is taken. */
  serve(offer: (value: In) => boolean): void {
    for (const waiting of this.#waiting) {
      try {
        if (!offer(waiting.value)) return;
        waiting.settle();
      } catch (cause) {
        waiting.settle({ cause });
      }
    }
  }

  end(cause: unknown): void {
    for (const waiting of [...this.#waiting]) waiting.settle({ cause });
  }
}
