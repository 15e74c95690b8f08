// What both sides measure with, so that they pay the same for it.
import { PerformanceObserver } from "node:perf_hooks";
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

/**
 * Watches how long the event loop is held at once. The result ends it, and gives the longest time so far in milliseconds: of all, and of what is left
 * of each without the engine's pauses for garbage.
 */
export function watchLoop() {
  const holds = [];
  const pauses = [];
  const observer = new PerformanceObserver((list) => pauses.push(...list.getEntries()));
  observer.observe({ entryTypes: ["gc"] });
  let before = performance.now();
  let isOver = false;
  const look = () => {
    const now = performance.now();
    if (now - before > SHORT_MS) holds.push({ from: before, to: now });
    before = now;
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

function workIn({ from, to }, pauses) {
  const paused = pauses.map(
    ({ startTime, duration }) => Math.min(to, startTime + duration) - Math.max(from, startTime),
  );
  return to - from - paused.reduce((sum, ms) => sum + Math.max(0, ms), 0);
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
