import { assert } from "./assert.ts";
import type { Clock, Env, Timer } from "./env.ts";
import { EventQueue, type VirtualEvent } from "./virtual-queue.ts";
import { SeededRandom } from "./virtual-random.ts";
import {
  armTripwire,
  checkCryptoJobs,
  disarmTripwire,
  enterWindow,
  leaveWindow,
  outsideWindow,
  type Watched,
} from "./virtual-tripwire.ts";

/** 2026-01-01T00:00:00Z: where every simulation begins. */
const EPOCH_MS = 1_767_225_600_000;
const MILLION = 1_000_000;
/** Macrotasks asked for at once: a round through the event loop costs more than an event. */
const TURNS_PER_BATCH = 64;

/** Why a simulation ended without its story's own result. */
export class SimulationError extends Error {
  override readonly name = "SimulationError";
  /** `stalled`: nothing left to happen, or no end in sight. `leak`: the story reached for the real world. */
  readonly verdict: "stalled" | "leak";
  constructor(verdict: "stalled" | "leak", message: string) {
    super(`${verdict}: ${message}`);
    this.verdict = verdict;
  }
}

export interface VirtualWorldOptions {
  readonly seed: number;
  /** More events than this are `stalled`: a livelock. Default 20 million. */
  readonly eventsMax?: number | undefined;
  /** A story that takes longer is `stalled`. Default one hour. */
  readonly virtualMsMax?: number | undefined;
  /** Told of each event before it happens, for the trace. */
  readonly onEvent?: ((timeUs: number, node: string, label: string) => void) | undefined;
}

interface Event extends VirtualEvent {
  readonly node: VirtualNode;
  /** The node's life that this belongs to. */
  readonly life: number;
  readonly label: string;
  /** Undefined: cancelled. */
  run: (() => void) | undefined;
}

interface Job {
  readonly node: VirtualNode;
  readonly life: number;
  readonly work: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (cause: unknown) => void;
}

/**
 * A world of its own: virtual time in whole microseconds, seeded randomness, and any number of nodes that can be paused and crashed.
 *
 * One event runs in each macrotask, so that all its microtasks and ticks are over before the next one begins. Time moves only from
 * event to event. Several worlds may run in one process, interleaved; each gives the same history as alone.
 */
export class VirtualWorld implements Watched {
  readonly random: SeededRandom;
  readonly #queue = new EventQueue<Event>();
  readonly #nodes = new Map<string, VirtualNode>();
  readonly #options: VirtualWorldOptions;
  readonly #hooks: (() => void)[] = [];
  #nowUs = 0;
  #sequence = 0;
  #events = 0;
  #jobs: Job[] = [];
  #isInEvent = false;
  #isBatchOver = false;
  /** The story's end, or what ended it. */
  #end: { readonly cause: unknown } | "settled" | undefined;
  #onEnd: (() => void) | undefined;

  constructor(options: VirtualWorldOptions) {
    this.#options = options;
    this.random = new SeededRandom(options.seed);
  }

  /** Microseconds since the beginning. */
  get nowUs(): number {
    return this.#nowUs;
  }
  /** Events so far. */
  get events(): number {
    return this.#events;
  }

  /** The same name gives the same node. */
  node(name: string): VirtualNode {
    let node = this.#nodes.get(name);
    if (node === undefined) {
      node = new VirtualNode(this, name, this.random.fork(`node/${name}`));
      this.#nodes.set(name, node);
    }
    return node;
  }

  /** The environment of that node's present life. */
  env(name: string): Env {
    return this.node(name).env;
  }

  /** Called after every event and all its microtasks. What it throws ends the run. */
  afterEvent(hook: () => void): void {
    this.#hooks.push(hook);
  }

  /** Ends the run with this cause, after the present event. The first cause counts. */
  fail(cause: unknown): void {
    if (this.#end === undefined || this.#end === "settled") this.#end = { cause };
  }

  onLeak(what: string): void {
    this.fail(new SimulationError("leak", what));
  }

  onUncaught(cause: unknown): void {
    this.fail(cause);
  }

  /**
   * Runs the story, and whatever it set in motion, until its promise settles. What is pending then waits for the next `run`.
   *
   * @throws what the story throws; what a hook or `fail` said; SimulationError
   */
  async run<T>(story: () => Promise<T>): Promise<T> {
    assert(this.#onEnd === undefined, "a world runs one story at a time");
    this.#end = undefined;
    let result: { readonly value: T } | undefined;
    this.schedule(0, this.node("sim"), "story", () => {
      story().then(
        (value) => {
          result = { value };
          this.#end ??= "settled";
        },
        (cause: unknown) => this.fail(cause),
      );
    });
    armTripwire();
    try {
      await new Promise<void>((resolve) => {
        this.#onEnd = resolve;
        this.#nextBatch();
      });
    } finally {
      this.#onEnd = undefined;
      disarmTripwire();
    }
    const end = this.#end as { readonly cause: unknown } | "settled" | undefined;
    if (end !== "settled" && end !== undefined) throw end.cause;
    assert(result !== undefined, "a settled story has a result");
    return result.value;
  }

  /** @internal for `VirtualNode`, and for networks and disks that count in microseconds. */
  schedule(delayUs: number, node: VirtualNode, label: string, run: () => void): Timer {
    assert(Number.isSafeInteger(delayUs) && delayUs >= 0, "a delay is a whole number of microseconds");
    const event: Event = {
      timeUs: this.#nowUs + delayUs,
      sequence: this.#sequence++,
      node,
      life: node.life,
      label,
      run,
    };
    this.#queue.push(event);
    return {
      cancel: () => {
        event.run = undefined;
      },
    };
  }

  /** @internal */
  submit(job: Job): void {
    this.#jobs.push(job);
  }

  /** All turns of a batch run in one phase of the event loop, with nothing but their own microtasks between them. */
  #nextBatch(): void {
    this.#isBatchOver = false;
    setImmediate(() => {
      enterWindow(this);
      this.#turn();
    });
    for (let i = 1; i < TURNS_PER_BATCH; i++) setImmediate(() => this.#turn());
    setImmediate(() => this.#endBatch());
  }

  #turn(): void {
    this.#finishEvent();
    if (this.#isBatchOver) return;
    if (this.#end !== undefined || this.#jobs.length > 0) {
      this.#isBatchOver = true;
      return;
    }
    const event = this.#nextEvent();
    if (event === undefined) {
      this.fail(new SimulationError("stalled", `nothing is left to happen at ${this.#nowUs / 1000} ms`));
      this.#isBatchOver = true;
      return;
    }
    this.#isInEvent = true;
    this.#events++;
    this.#nowUs = event.timeUs;
    if (this.#isTooLong()) return;
    try {
      this.#options.onEvent?.(event.timeUs, event.node.name, event.label);
      event.run?.();
    } catch (cause) {
      this.fail(cause);
    }
  }

  #isTooLong(): boolean {
    const { eventsMax = 20 * MILLION, virtualMsMax = 3_600_000 } = this.#options;
    if (this.#events <= eventsMax && this.#nowUs <= virtualMsMax * 1000) return false;
    this.fail(new SimulationError("stalled", `no end in sight after ${this.#events} events, ${this.#nowUs / 1000} ms`));
    return true;
  }

  #nextEvent(): Event | undefined {
    for (;;) {
      const event = this.#queue.pop();
      if (event === undefined) return undefined;
      if (event.run === undefined || event.life !== event.node.life) continue;
      if (!event.node.hold(event)) return event;
    }
  }

  /** The event's microtasks are over. */
  #finishEvent(): void {
    if (!this.#isInEvent) return;
    this.#isInEvent = false;
    checkCryptoJobs();
    if (this.#end !== undefined && this.#end !== "settled") return;
    try {
      for (const hook of this.#hooks) hook();
    } catch (cause) {
      this.fail(cause);
    }
  }

  #endBatch(): void {
    this.#finishEvent();
    leaveWindow();
    if (this.#end !== undefined) this.#onEnd?.();
    else if (this.#jobs.length > 0) this.#runJobs();
    else this.#nextBatch();
  }

  /** The barrier: time stands still until all jobs ended, and their results come in the order of submission. */
  #runJobs(): void {
    const jobs = this.#jobs;
    this.#jobs = [];
    void Promise.allSettled(jobs.map(async ({ work }) => work())).then((results) => {
      results.forEach((result, i) => {
        const { node, life, resolve, reject } = jobs[i] as Job;
        if (node.life !== life) return;
        this.schedule(0, node, "compute", () => {
          if (result.status === "fulfilled") resolve(result.value);
          else reject(result.reason);
        });
      });
      this.#nextBatch();
    });
  }
}

/** One node of a world, through all its lives. */
export class VirtualNode {
  readonly name: string;
  readonly #world: VirtualWorld;
  readonly #random: SeededRandom;
  readonly #held: Event[] = [];
  #life = 0;
  #env: Env;
  #isPaused = false;
  #wallOffsetMs = 0;
  /** The node's own clock runs this much faster than the world's, since `#rateSinceUs`. */
  #driftPpm = 0;
  #rateSinceUs = 0;
  #localAtRateUs = 0;

  /** @internal Use `VirtualWorld.node`. */
  constructor(world: VirtualWorld, name: string, random: SeededRandom) {
    this.#world = world;
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
      if (event.run !== undefined) this.#world.schedule(0, this, event.label, () => event.run?.());
    }
  }

  /** Moves the wall clock, as an operator or NTP does. Monotonic time and timers do not notice. */
  jumpWallClock(byMs: number): void {
    assert(Number.isSafeInteger(byMs), "a wall clock jumps by whole milliseconds");
    this.#wallOffsetMs += byMs;
  }

  /** From now on this node's clocks and timers run faster (or slower) by so many parts in a million. */
  setDrift(partsPerMillion: number): void {
    assert(Number.isInteger(partsPerMillion) && Math.abs(partsPerMillion) < MILLION / 2, "a drift is below one half");
    this.#localAtRateUs = this.#localUs();
    this.#rateSinceUs = this.#world.nowUs;
    this.#driftPpm = partsPerMillion;
  }

  /** @internal True if the node is paused, and keeps the event for later. */
  hold(event: Event): boolean {
    if (this.#isPaused) this.#held.push(event);
    return this.#isPaused;
  }

  #makeEnv(): Env {
    const life = this.#life;
    const clock: Clock = {
      wallMs: () => EPOCH_MS + Math.floor(this.#localUs() / 1000) + this.#wallOffsetMs,
      monotonicUs: () => this.#localUs(),
    };
    return {
      clock,
      random: this.#random.fork(`life/${life}`),
      after: (delayMs, callback) => {
        if (life !== this.#life) return { cancel: () => {} };
        return this.#world.schedule(this.#worldDelayUs(delayMs), this, "timer", callback);
      },
      compute: <T>(work: () => Promise<T>) =>
        new Promise<T>((resolve, reject) => {
          if (life === this.#life)
            this.#world.submit({ node: this, life, work, resolve: resolve as (value: unknown) => void, reject });
        }),
    };
  }

  #localUs(): number {
    return this.#localAtRateUs + this.#scale(this.#world.nowUs - this.#rateSinceUs);
  }

  #scale(worldUs: number): number {
    return worldUs + Math.floor((worldUs * this.#driftPpm) / MILLION);
  }

  /** The least world time in which this node's clock moves by `delayMs`. */
  #worldDelayUs(delayMs: number): number {
    const localUs = Math.max(0, Math.ceil(delayMs * 1000));
    assert(Number.isSafeInteger(localUs), "a delay is a finite number of milliseconds");
    return this.#driftPpm === 0 ? localUs : Math.ceil((localUs * MILLION) / (MILLION + this.#driftPpm));
  }
}

/** For a simulator's own needs (files, reports) in the middle of a story. */
export { outsideWindow };
