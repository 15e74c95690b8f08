import { setMaxListeners } from "node:events";
import { whenAborted } from "./abort.ts";
import { assert } from "./assert.ts";
import type { Env, Timer } from "./env.ts";

/**
 * Owns the timers and tasks of one object, so that closing it leaves nothing behind.
 *
 * A task that throws is a bug or a failure of its owner: `onFailure` gets the cause, and the scope stays open for the owner to
 * decide. Timers are cancelled by `close`, which aborts `signal` and then waits for the tasks.
 */
export class Scope {
  readonly #env: Env;
  readonly #onFailure: (cause: unknown) => void;
  readonly #controller = new AbortController();
  readonly #timers = new Set<Timer>();
  readonly #tasks = new Set<Promise<void>>();

  constructor(env: Env, onFailure: (cause: unknown) => void) {
    this.#env = env;
    this.#onFailure = onFailure;
    // Each task may listen: however many there are, that is no leak for Node to warn of.
    setMaxListeners(0, this.#controller.signal);
  }

  /** Aborts when the scope closes. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isClosed(): boolean {
    return this.#controller.signal.aborted;
  }

  /** As `Env.after`; never runs once the scope is closed. */
  after(delayMs: number, callback: () => void): Timer {
    if (this.isClosed) return { cancel: () => {} };
    const inner = this.#env.after(delayMs, () => {
      this.#timers.delete(timer);
      this.#guard(callback);
    });
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer);
        inner.cancel();
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  /** Calls back every `intervalMs`, the first time after one interval; drift is not made up for. */
  every(intervalMs: number, callback: () => void): Timer {
    assert(intervalMs > 0, "an interval is positive");
    let current: Timer | undefined;
    let cancelled = false;
    const arm = (): void => {
      current = this.after(intervalMs, () => {
        if (cancelled) return;
        arm();
        callback();
      });
    };
    arm();
    return {
      cancel: () => {
        cancelled = true;
        current?.cancel();
      },
    };
  }

  /** Runs a task that `close` waits for. It should end soon after `signal` aborts. */
  spawn(task: (signal: AbortSignal) => Promise<void>): void {
    if (this.isClosed) return;
    const running = task(this.signal).then(
      () => {
        this.#tasks.delete(running);
      },
      (cause: unknown) => {
        this.#tasks.delete(running);
        if (!this.isClosed) this.#onFailure(cause);
      },
    );
    this.#tasks.add(running);
  }

  /** A task that `close` waits for, and whose end is its caller's to hear: `onFailure` does not. @throws what it throws; the reason of the close */
  async run<T>(task: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    const result = task();
    this.spawn(() =>
      result.then(
        () => {},
        () => {},
      ),
    );
    return result;
  }

  /** Resolves after `delayMs`; rejects with the reason of `signal`, or of the scope's own. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const either = signal === undefined ? this.signal : AbortSignal.any([signal, this.signal]);
      if (either.aborted) return reject(either.reason);
      const timer = this.#env.after(delayMs, () => {
        endListening();
        resolve();
      });
      const endListening = whenAborted(either, (reason) => {
        timer.cancel();
        reject(reason);
      });
    });
  }

  /** Idempotent. Aborts, cancels all timers, waits for the tasks. */
  async close(reason?: unknown): Promise<void> {
    if (!this.isClosed) this.#controller.abort(reason);
    for (const timer of [...this.#timers]) timer.cancel();
    await Promise.all([...this.#tasks]);
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (cause) {
      this.#onFailure(cause);
    }
  }
}
