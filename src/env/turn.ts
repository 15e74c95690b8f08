const SETTLED = Promise.resolve();

/**
 * Runs `task` when this turn of the event loop has nothing left to do: after all microtasks, those that they queue included, and before the next
 * timer or I/O. So what a program says in answer to what it was told leaves together.
 *
 * Part of no `Env`: it is no input from the world, and comes at the same place in every run.
 */
export function atEndOfTurn(task: () => void): void {
  // A tick that is queued outside of a microtask would come before them all. (`queueMicrotask` costs a microsecond more than this.)
  void SETTLED.then(() => process.nextTick(task));
}
