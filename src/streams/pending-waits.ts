import type { MosaikError } from "../env/index.ts";

/** What waits through one handle. Each wait ends at the latest when that does. */
export class PendingWaits {
  readonly #pending = new Set<AbortController>();
  #cause: MosaikError | undefined;

  /** Why all waits end, once it did. */
  get cause(): MosaikError | undefined {
    return this.#cause;
  }

  /** @param wait - gets a signal that stands for `signal` and our end together. @throws what it throws */
  async until<T>(signal: AbortSignal | undefined, wait: (either: AbortSignal) => Promise<T> | T): Promise<T> {
    // A controller for each, since listeners of one shared signal are looked through each time one is added.
    const controller = new AbortController();
    const onAbort = (): void => controller.abort(signal?.reason);
    if (signal?.aborted === true) onAbort();
    else if (this.#cause !== undefined) controller.abort(this.#cause);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#pending.add(controller);
    try {
      return await wait(controller.signal);
    } finally {
      this.#pending.delete(controller);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Ends all waits, now and later. The first cause counts. */
  end(cause: MosaikError): void {
    this.#cause ??= cause;
    for (const controller of [...this.#pending]) controller.abort(this.#cause);
  }
}
