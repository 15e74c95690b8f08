/** What one signal's abort is told to. */
class AbortListener {
  readonly #signal: AbortSignal;
  readonly #callbacks = new Set<(reason: unknown) => void>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this, { once: true });
  }

  add(callback: (reason: unknown) => void): () => void {
    // Wrapped, so that one that is given twice is two.
    const own = (reason: unknown): void => callback(reason);
    this.#callbacks.add(own);
    return () => {
      this.#callbacks.delete(own);
      if (this.#callbacks.size === 0) this.#end();
    };
  }

  /** As an event listener. */
  handleEvent(): void {
    this.#end();
    for (const callback of this.#callbacks) {
      this.#callbacks.delete(callback);
      try {
        callback(this.#signal.reason);
      } catch (cause) {
        // A bug. The others wait all the same.
        queueMicrotask(() => {
          throw cause;
        });
      }
    }
  }

  #end(): void {
    // A signal with a listener is kept in memory.
    this.#signal.removeEventListener("abort", this);
    if (LISTENERS.get(this.#signal) === this) LISTENERS.delete(this.#signal);
  }
}

const LISTENERS = new WeakMap<AbortSignal, AbortListener>();

/**
 * Calls back when the signal aborts, once, in the order of these calls; never if it has aborted before. No callback may throw.
 *
 * A signal has one listener of ours, however many wait with it: Node takes more than ten for a leak, and warns.
 *
 * @param signal - undefined: one that never aborts
 * @returns ends it; idempotent
 */
export function whenAborted(signal: AbortSignal | undefined, callback: (reason: unknown) => void): () => void {
  if (signal === undefined) return () => {};
  let listener = LISTENERS.get(signal);
  if (listener === undefined) {
    listener = new AbortListener(signal);
    LISTENERS.set(signal, listener);
  }
  return listener.add(callback);
}

/** Waits for it, or until the signal aborts; what is waited for goes on all the same. @throws the reason of `signal` */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const end = whenAborted(signal, reject);
    promise.then(resolve, reject).finally(end);
  });
}
