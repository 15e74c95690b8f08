import { whenAborted } from "./abort.ts";

/** The waits that are under way through one thing: when that closes, they end. */
export class OpenWaits {
  readonly #controllers = new Set<AbortController>();
  #end: { readonly reason: unknown } | undefined;

  /** Why all ended; undefined: they did not. */
  get reason(): unknown {
    return this.#end?.reason;
  }

  /** Runs it with a signal that aborts with `outer`, or when all are ended. */
  async run<T>(outer: AbortSignal | undefined, wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
    outer?.throwIfAborted();
    if (this.#end !== undefined) throw this.#end.reason;
    // A controller for each, since listeners of one shared signal are looked through each time one is added.
    const controller = new AbortController();
    const endListening = whenAborted(outer, (reason) => controller.abort(reason));
    this.#controllers.add(controller);
    try {
      return await wait(controller.signal);
    } finally {
      this.#controllers.delete(controller);
      endListening();
    }
  }

  /** They fail with this reason, and so does whatever comes later. */
  endAll(reason: unknown): void {
    this.#end ??= { reason };
    for (const controller of [...this.#controllers]) controller.abort(reason);
  }
}
