/** A broken promise of our own code: a bug, never the caller's or a peer's fault. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** On in production: a node that is wrong about itself must stop rather than answer. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(`mosaik: invariant broken: ${message}`);
}
