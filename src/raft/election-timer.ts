/**
 * When to campaign. Counts ticks since a leader was heard or a campaign began; the length of each wait is drawn by the driver.
 */
export class ElectionTimer {
  #elapsedTicks = 0;
  #timeoutTicks: number;
  #isNew = false;

  constructor(timeoutTicks: number) {
    this.#timeoutTicks = timeoutTicks;
  }

  get remainingTicks(): number {
    return Math.max(0, this.#timeoutTicks - this.#elapsedTicks);
  }

  /** Begins a new wait, whose length the next tick brings. */
  restart(): void {
    this.#elapsedTicks = 0;
    this.#isNew = true;
  }

  /** Begins a wait of this length. */
  restartWith(timeoutTicks: number): void {
    this.#elapsedTicks = 0;
    this.#timeoutTicks = timeoutTicks;
    this.#isNew = false;
  }

  /** True if the wait is over; then a new one has begun. */
  tick(freshTimeoutTicks: number): boolean {
    if (this.#isNew) this.restartWith(freshTimeoutTicks);
    if (++this.#elapsedTicks < this.#timeoutTicks) return false;
    this.restartWith(freshTimeoutTicks);
    return true;
  }
}
