// What both sides measure with, so that they pay the same for it.
import { existsSync, openSync, readSync } from "node:fs";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { pathToFileURL } from "node:url";

/** A module of the built package. */
export function built(path) {
  return import(new URL(path, pathToFileURL(`${process.env.MOSAIK_DIST}/`)).href);
}

/** Microseconds of a clock that all processes of this machine share. */
export function nowUs() {
  return Number(process.hrtime.bigint() / 1000n);
}

export function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}

const SHORT_MS = 1;

const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`;
const schedstat = { file: existsSync(SCHEDSTAT) ? openSync(SCHEDSTAT, "r") : undefined, text: Buffer.alloc(64) };

/** Milliseconds that this process's main thread was on a processor, as Linux counts them; elsewhere those of the clock. */
function processorMs() {
  const { file, text } = schedstat;
  if (file === undefined) return performance.now();
  const length = readSync(file, text, 0, text.length, 0);
  return Number.parseInt(text.toString("latin1", 0, length), 10) / 1e6;
}

/**
 * Watches how long the event loop is held at once. The result ends it, and gives the longest time so far in milliseconds: of all, and of what our own
 * code takes of a turn, so without the engine's pauses for garbage, and without the time that other processes had the processor.
 */
export function watchLoop() {
  const holds = [];
  const pauses = [];
  const observer = new PerformanceObserver((list) => pauses.push(...list.getEntries()));
  observer.observe({ entryTypes: ["gc"] });
  let before = performance.now();
  let usedMs = processorMs();
  let isOver = false;
  const look = () => {
    const now = performance.now();
    const used = processorMs();
    if (now - before > SHORT_MS) holds.push({ from: before, to: now, usedMs: used - usedMs });
    before = now;
    usedMs = used;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  return async () => {
    isOver = true;
    look();
    // The last pauses are told a moment later.
    await turn();
    pauses.push(...observer.takeRecords());
    observer.disconnect();
    const longest = (times) => Math.max(SHORT_MS, ...times);
    return {
      heldMs: longest(holds.map(({ from, to }) => to - from)),
      workMs: longest(holds.map((hold) => workIn(hold, pauses))),
    };
  };
}

/** Pauses count by the clock, so this may be a little too low where somebody else had the processor during one. */
function workIn({ from, to, usedMs }, pauses) {
  const paused = pauses.map(
    ({ startTime, duration }) => Math.min(to, startTime + duration) - Math.max(from, startTime),
  );
  return usedMs - paused.reduce((sum, ms) => sum + Math.max(0, ms), 0);
}

const SAMPLE_MS = 250;

/** This process's memory, and the delays of its event loop, from when it is made until its end. */
export class ProcessWatch {
  #rss = [];
  #sampler;
  #delay = monitorEventLoopDelay({ resolution: 10 });

  /** @param onSample - called at the same times */
  constructor(onSample = () => {}) {
    const sample = () => {
      this.#rss.push(process.memoryUsage.rss());
      onSample();
    };
    sample();
    this.#sampler = setInterval(sample, SAMPLE_MS);
    this.#delay.enable();
  }

  end() {
    clearInterval(this.#sampler);
    this.#delay.disable();
    return { rss: this.#rss, delayP99Ms: this.#delay.percentile(99) / 1e6 };
  }
}

/** Runs `operation` again and again for so long, one at a time. The median of its times, in microseconds. */
export async function medianOf(operation, { durationMs, count = Number.POSITIVE_INFINITY }) {
  const times = [];
  const end = performance.now() + durationMs;
  for (let now = performance.now(); now < end && times.length < count; ) {
    await operation();
    const after = performance.now();
    times.push(after - now);
    now = after;
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1] * 1000;
}

/** Keeps so many under way for so long. Operations per second, and how many there were. */
export async function rateOf(operation, { durationMs, inFlight }) {
  let count = 0;
  const begin = performance.now();
  const end = begin + durationMs;
  const worker = async () => {
    while (performance.now() < end) {
      await operation();
      count++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { perSecond: (count / (performance.now() - begin)) * 1000, count };
}

/** What one consumer of a stream gets. */
export class Intake {
  #items = 0;
  #bytes = 0;
  #awaited;

  /** Takes all that comes, until it ends. */
  async read(values, bytesOf) {
    for await (const value of values) {
      this.#items++;
      this.#bytes += bytesOf(value);
      if (this.#items === this.#awaited?.count) this.#awaited.resolve();
    }
  }

  /** When each has so many, counted from the last call; and the bytes that all have. */
  static async all(intakes, count) {
    await Promise.all(intakes.map((intake) => intake.#until(count)));
    const doneUs = nowUs();
    return { doneUs, bytes: intakes.reduce((sum, intake) => sum + intake.#take(), 0) };
  }

  #until(count) {
    if (this.#items >= count) return Promise.resolve();
    return new Promise((resolve) => {
      this.#awaited = { count, resolve };
    });
  }

  #take() {
    const bytes = this.#bytes;
    this.#items = 0;
    this.#bytes = 0;
    this.#awaited = undefined;
    return bytes;
  }
}
