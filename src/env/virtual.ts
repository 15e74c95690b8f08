import { assert } from "./assert.ts";
import type { Env, Timer } from "./env.ts";
import { type NodeEvent as Event, type NodeJob as Job, type NodeHost, VirtualNode } from "./virtual-node.ts";
import { EventQueue } from "./virtual-queue.ts";
import { SeededRandom } from "./virtual-random.ts";
import {
  armTripwire,
  checkCryptoJobs,
  disarmTripwire,
  enterWindow,
  leaveWindow,
  type Watched,
} from "./virtual-tripwire.ts";

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

/**
 * A world of its own: virtual time in whole microseconds, seeded randomness, and any number of nodes that can be paused and crashed.
 *
 * One event runs in each macrotask, so that all its microtasks and ticks are over before the next one begins. Time moves only from
 * event to event. Several worlds may run in one process, interleaved; each gives the same history as alone.
 */
export class VirtualWorld implements Watched, NodeHost {
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

  /** An event of a node, by the world's clock. For what the simulator itself does; nodes have `env.after`. */
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

  /** For `VirtualNode`: work that leaves the main thread. */
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
