import { type AsyncHook, createHook } from "node:async_hooks";
import { clearTimeout, setTimeout } from "node:timers";

/** A simulation while one of its events runs. */
export interface Watched {
  /** It reached for the real world. Called at the place, so a stack taken here names the culprit. */
  onLeak(what: string): void;
  /** Something was thrown, or rejected, and nobody caught it. */
  onUncaught(cause: unknown): void;
}

/** The simulation whose code runs now. At most one: JavaScript has one thread, and windows do not nest. */
let active: Watched | undefined;
let users = 0;
let hook: AsyncHook | undefined;
/** Jobs of `node:crypto` made in this window, which may yet turn out to be synchronous. */
let cryptoJobs: { readonly type: string; readonly resource: object }[] = [];

const HARMLESS = new Set(["PROMISE", "TickObject", "Microtask"]);
/** `node:crypto` makes these for its synchronous calls too, which are functions of their arguments alone. */
const CRYPTO_JOBS = new Set(["SIGNREQUEST", "HASHREQUEST", "DERIVEBITSREQUEST"]);

/** From here on whatever runs belongs to this simulation, until `leaveWindow`. */
export function enterWindow(watched: Watched): void {
  active = watched;
}

export function leaveWindow(): void {
  active = undefined;
}

/** Runs something in the middle of a window that may touch the real world: the simulator's own work. */
export function outsideWindow<T>(work: () => T): T {
  const before = active;
  active = undefined;
  try {
    return work();
  } finally {
    active = before;
  }
}

/** After an event and all its microtasks: did a job of `node:crypto` go to the thread pool? Only then it has a callback. */
export function checkCryptoJobs(): void {
  if (cryptoJobs.length === 0) return;
  const jobs = cryptoJobs;
  cryptoJobs = [];
  for (const { type, resource } of jobs) if ("ondone" in resource && resource.ondone) active?.onLeak(type);
}

/** Counted: the first user arms it, the last one disarms it. */
export function armTripwire(): void {
  if (users++ > 0) return;
  // The first touch of these makes a handle, which would look like a leak of whoever logs first.
  void process.stdout;
  void process.stderr;
  hook = createHook({
    init(_id, type, _trigger, resource) {
      if (active === undefined || HARMLESS.has(type)) return;
      if (CRYPTO_JOBS.has(type)) cryptoJobs.push({ type, resource });
      else active.onLeak(type);
    },
  });
  hook.enable();
  for (const poison of POISONS) poison.arm();
  process.on("uncaughtException", onUncaught);
  process.on("unhandledRejection", onUncaught);
}

export function disarmTripwire(): void {
  if (--users > 0) return;
  hook?.disable();
  hook = undefined;
  for (const poison of POISONS) poison.disarm();
  process.off("uncaughtException", onUncaught);
  process.off("unhandledRejection", onUncaught);
}

function onUncaught(cause: unknown): void {
  if (active !== undefined) active.onUncaught(cause);
  // Somebody else's, who would have died of it without our listener.
  else if (process.listenerCount("uncaughtException") + process.listenerCount("unhandledRejection") <= 2) throw cause;
}

interface Poison {
  arm(): void;
  disarm(): void;
}

type Callable = (this: unknown, ...args: unknown[]) => unknown;

/** Replaces a property by what `wrap` makes of it, and puts the very same descriptor back. */
function poison(holder: object, key: string, wrap: (original: Callable) => unknown): Poison {
  let saved: PropertyDescriptor | undefined;
  let wasOwn = false;
  return {
    arm: () => {
      wasOwn = Object.hasOwn(holder, key);
      saved = Object.getOwnPropertyDescriptor(holder, key);
      const value = wrap(Reflect.get(holder, key) as Callable);
      Object.defineProperty(holder, key, {
        value,
        writable: true,
        configurable: true,
        enumerable: saved?.enumerable ?? false,
      });
    },
    disarm: () => {
      if (wasOwn && saved !== undefined) Object.defineProperty(holder, key, saved);
      else Reflect.deleteProperty(holder, key);
    },
  };
}

/** It still works, so that nothing stumbles before the run ends; the run ends after this event. */
function watch(name: string): (original: Callable) => unknown {
  return (original) =>
    function (this: unknown, ...args: unknown[]): unknown {
      active?.onLeak(name);
      return outsideWindow(() => Reflect.apply(original, this, args));
    };
}

/** As `watch`, but a timer made inside a simulation is never armed: it would go off in the middle of another. */
function watchTimer(name: string): (original: Callable) => unknown {
  return (original) =>
    function (this: unknown, ...args: unknown[]): unknown {
      if (active === undefined) return Reflect.apply(original, this, args);
      active.onLeak(name);
      return outsideWindow(() => clearedTimer());
    };
}

function clearedTimer(): NodeJS.Timeout {
  const timer = setTimeout(() => {}, 0x7fff_ffff);
  clearTimeout(timer);
  return timer;
}

function watchDate(original: Callable): unknown {
  return new Proxy(original, {
    construct(target, args, newTarget) {
      if (args.length === 0) active?.onLeak("new Date()");
      return Reflect.construct(target, args, newTarget) as object;
    },
    apply(target, self, args) {
      active?.onLeak("Date()");
      return Reflect.apply(target, self, args);
    },
  });
}

const POISONS: readonly Poison[] = [
  poison(globalThis.Date, "now", watch("Date.now")),
  poison(globalThis, "Date", watchDate),
  poison(globalThis.performance, "now", watch("performance.now")),
  poison(process, "uptime", watch("process.uptime")),
  poison(process.hrtime, "bigint", watch("process.hrtime.bigint")),
  poison(globalThis.Math, "random", watch("Math.random")),
  // Their last bits differ between machines and versions of V8.
  poison(globalThis.Math, "log", watch("Math.log")),
  poison(globalThis.Math, "exp", watch("Math.exp")),
  poison(globalThis.Math, "pow", watch("Math.pow")),
  poison(globalThis, "setTimeout", watchTimer("setTimeout")),
  poison(globalThis, "setInterval", watchTimer("setInterval")),
  poison(globalThis, "setImmediate", watchTimer("setImmediate")),
  poison(globalThis.crypto, "getRandomValues", watch("crypto.getRandomValues")),
  poison(globalThis.crypto, "randomUUID", watch("crypto.randomUUID")),
  poison(globalThis.String.prototype, "localeCompare", watch("String.prototype.localeCompare")),
];
