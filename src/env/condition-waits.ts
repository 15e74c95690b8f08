import { whenAborted } from "./abort.ts";
import { type MosaikError, mosaikError } from "./errors.ts";

interface Wait {
  /** True once it settled. */
  check(): boolean;
  fail(error: unknown): void;
}

/** Waits for a condition over state that changes: each is tried at once, then after every change. Every wait ends: met, aborted, or closed. */
export class ConditionWaits {
  readonly #waits = new Set<Wait>();
  readonly #whose: string;
  #closed: MosaikError | undefined;

  /** @param whose - what closes, for the message: "the group" */
  constructor(whose: string) {
    this.#whose = whose;
  }

  /**
   * @param probe - the value to resolve with, or undefined while the condition does not hold
   * @throws the reason of `signal`; `closed`, or the cause of the close
   */
  until<T>(probe: () => T | undefined, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      let endListening: (() => void) | undefined;
      const settle = (): void => {
        this.#waits.delete(wait);
        endListening?.();
      };
      const wait: Wait = {
        check: () => {
          const value = probe();
          if (value === undefined) return false;
          settle();
          resolve(value);
          return true;
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      if (wait.check()) return;
      if (this.#closed !== undefined) return wait.fail(this.#closed);
      this.#waits.add(wait);
      endListening = whenAborted(signal, (reason) => wait.fail(reason));
    });
  }

  /** Something changed. */
  notify(): void {
    for (const wait of [...this.#waits]) wait.check();
  }

  /** Ends all waits, now and later. */
  close(cause?: MosaikError): void {
    this.#closed ??= cause ?? mosaikError("closed", `${this.#whose} is closed`);
    for (const wait of [...this.#waits]) wait.fail(this.#closed);
  }
}
