/** Reads time. Neither value is ever a fraction. */
export interface Clock {
  /** Milliseconds since 1970 (UTC), as the machine believes; may jump. For what other machines and people read. */
  wallMs(): number;
  /** Microseconds since an arbitrary start; never goes back. For durations and deadlines. */
  monotonicUs(): number;
}

/** A source of random numbers: the operating system's, or a seeded one in simulation. */
export interface Random {
  /** An integer in [0, 2^32). */
  uint32(): number;
  /** An integer in [0, bound); `bound` is in [1, 2^32]. */
  below(bound: number): number;
  bytes(length: number): Uint8Array;
}

/** One pending callback. `cancel` is idempotent, and quiet once it ran. */
export interface Timer {
  cancel(): void;
}

/**
 * The world as a program may touch it. Real in production (`realEnv`), virtual in simulation (`VirtualWorld`).
 * No other folder may reach for clocks, timers, randomness or the thread pool.
 */
export interface Env {
  readonly clock: Clock;
  readonly random: Random;
  /** Calls `callback` once, in a turn of its own, not before `delayMs` have passed. 0 means: after the input that is waiting now. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs work that leaves the main thread (WebCrypto, async zlib, files). In simulation virtual time stands still meanwhile. */
  compute<T>(job: () => Promise<T>): Promise<T>;
}
