import { assert } from "./assert.ts";
import type { Clock, Env, Timer } from "./env.ts";
import type { VirtualEvent } from "./virtual-queue.ts";
import type { SeededRandom } from "./virtual-random.ts";

/** 2026-01-01T00:00:00Z: where every simulation begins. */
const EPOCH_MS = 1_767_225_600_000;
const MILLION = 1_000_000;

export interface NodeEvent extends VirtualEvent {
  readonly node: VirtualNode;
  /** The node's life that this belongs to. */
  readonly life: number;
  readonly label: string;
  /** Undefined: cancelled. */
  run: (() => void) | undefined;
}

export interface NodeJob {
  readonly node: VirtualNode;
  readonly life: number;
  readonly work: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (cause: unknown) => void;
}

/** The world, as its nodes need it. */
export interface NodeHost {
  readonly nowUs: number;
  schedule(delayUs: number, node: VirtualNode, label: string, run: () => void): Timer;
  submit(job: NodeJob): void;
}

/** One node of a world, through all its lives. */
export class VirtualNode {
  readonly name: string;
  readonly #host: NodeHost;
  readonly #random: SeededRandom;
  readonly #held: NodeEvent[] = [];
  #life = 0;
  #env: Env;
  #isPaused = false;
  #wallOffsetMs = 0;
  /** The node's own clock runs this much faster than the world's, since `#rateSinceUs`. */
  #driftPpm = 0;
  #rateSinceUs = 0;
  #localAtRateUs = 0;
  #heldEvents = 0;
  #wallReads = 0;
  #driftedTimers = 0;

  /** @internal Use `VirtualWorld.node`. */
  constructor(host: NodeHost, name: string, random: SeededRandom) {
    this.#host = host;
    this.name = name;
    this.#random = random;
    this.#env = this.#makeEnv();
  }

  /** Counts lives; timers and results of an earlier one never come. */
  get life(): number {
    return this.#life;
  }
  get env(): Env {
    return this.#env;
  }
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Events that pauses held back so far: what they did. */
  get heldEvents(): number {
    return this.#heldEvents;
  }
  /** How often the wall clock was looked at: before that a jump changes nothing. */
  get wallReads(): number {
    return this.#wallReads;
  }
  /** Timers that a drift made early or late. */
  get driftedTimers(): number {
    return this.#driftedTimers;
  }

  /** The process dies: nothing of this life runs again. The next life begins with a fresh environment, at `env`. */
  crash(): Env {
    this.#life++;
    this.#isPaused = false;
    this.#held.length = 0;
    this.#env = this.#makeEnv();
    return this.#env;
  }

  /** Stops as by SIGSTOP: clocks go on, timers and input wait until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const held = this.#held.splice(0);
    for (const event of held) {
      // The old event is asked again when its turn comes: it may be cancelled until then.
      if (event.run !== undefined) this.#host.schedule(0, this, event.label, () => event.run?.());
    }
  }

  /** Moves the wall clock, as an operator or NTP does. Monotonic time and timers do not notice. */
  jumpWallClock(byMs: number): void {
    assert(Number.isSafeInteger(byMs), "a wall clock jumps by whole milliseconds");
    this.#wallOffsetMs += byMs;
  }

  /** How far the wall clock was moved in all. */
  get wallOffsetMs(): number {
    return this.#wallOffsetMs;
  }

  /** From now on this node's clocks and timers run faster (or slower) by so many parts in a million. */
  setDrift(partsPerMillion: number): void {
    assert(Number.isInteger(partsPerMillion) && Math.abs(partsPerMillion) < MILLION / 2, "a drift is below one half");
    this.#localAtRateUs = this.#localUs();
    this.#rateSinceUs = this.#host.nowUs;
    this.#driftPpm = partsPerMillion;
  }

  /** @internal True if the node is paused, and keeps the event for later. */
  hold(event: NodeEvent): boolean {
    if (!this.#isPaused) return false;
    this.#held.push(event);
    this.#heldEvents++;
    return true;
  }

  #makeEnv(): Env {
    const life = this.#life;
    const clock: Clock = {
      wallMs: () => {
        this.#wallReads++;
        return EPOCH_MS + Math.floor(this.#localUs() / 1000) + this.#wallOffsetMs;
      },
      monotonicUs: () => this.#localUs(),
    };
    return {
      clock,
      random: this.#random.fork(`life/${life}`),
      after: (delayMs, callback) => {
        if (life !== this.#life) return { cancel: () => {} };
        return this.#host.schedule(this.#worldDelayUs(delayMs), this, "timer", callback);
      },
      compute: <T>(work: () => Promise<T>) =>
        new Promise<T>((resolve, reject) => {
          if (life === this.#life)
            this.#host.submit({ node: this, life, work, resolve: resolve as (value: unknown) => void, reject });
        }),
    };
  }

  #localUs(): number {
    return this.#localAtRateUs + this.#scale(this.#host.nowUs - this.#rateSinceUs);
  }

  #scale(worldUs: number): number {
    return worldUs + Math.floor((worldUs * this.#driftPpm) / MILLION);
  }

  /** The least world time in which this node's clock moves by `delayMs`. */
  #worldDelayUs(delayMs: number): number {
    const localUs = Math.max(0, Math.ceil(delayMs * 1000));
    assert(Number.isSafeInteger(localUs), "a delay is a finite number of milliseconds");
    if (this.#driftPpm === 0) return localUs;
    this.#driftedTimers++;
    return Math.ceil((localUs * MILLION) / (MILLION + this.#driftPpm));
  }
}
