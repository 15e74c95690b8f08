import { type Env, LIMITS, type Timer } from "../env/index.ts";

/** Intervals without a byte after which a peer is given up. */
const SILENT_INTERVALS_MAX = Math.ceil(LIMITS.keepAliveTimeoutMs / LIMITS.keepAliveIntervalMs);

export interface KeepAliveHandlers {
  isPaused(): boolean;
  /** Asks the peer for a sign of life. */
  probe(): void;
  /** Gives the peer one, unasked. */
  showLife(): void;
  onSilence(): void;
}

/**
 * Notices a peer that is gone without a word. One timer a link: what is received only counts up (`received`).
 *
 * Who has paused reading cannot tell silence from speech, so it does not judge; and it cannot see probes, so it shows life unasked.
 * Intervals are counted, not time: a process that was frozen itself gives its peers as many intervals as ever.
 */
export class KeepAlive {
  /** Chunks received so far. The owner adds. */
  received = 0;
  readonly #env: Env;
  readonly #handlers: KeepAliveHandlers;
  #seen = 0;
  #silentIntervals = 0;
  #timer: Timer | undefined;

  constructor(env: Env, handlers: KeepAliveHandlers) {
    this.#env = env;
    this.#handlers = handlers;
  }

  start(): void {
    this.#seen = this.received;
    this.#silentIntervals = 0;
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#env.after(LIMITS.keepAliveIntervalMs, () => this.#tick());
  }

  #tick(): void {
    const isPaused = this.#handlers.isPaused();
    this.#silentIntervals = isPaused || this.received !== this.#seen ? 0 : this.#silentIntervals + 1;
    this.#seen = this.received;
    if (this.#silentIntervals >= SILENT_INTERVALS_MAX) {
      this.#handlers.onSilence();
      return;
    }
    this.#arm();
    if (isPaused) this.#handlers.showLife();
    else if (this.#silentIntervals > 0) this.#handlers.probe();
  }
}
