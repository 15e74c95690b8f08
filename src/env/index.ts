/**
 * The world, injected.
 *
 * Everything that would make two runs of the same program differ comes through `Env`: time, timers, randomness, work on other
 * threads. Production uses `realEnv`; the simulator replaces it with virtual time and seeded randomness, and so the very same code
 * runs in both. Beside it lie the things that every layer needs and that know nothing of networks: scopes that own timers and tasks,
 * all limits, the error registry and assertions.
 */
export { orAborted, whenAborted } from "./abort.ts";
export { AssertionError, assert } from "./assert.ts";
export { checkFields, checkName, checkSynchronous, notAsync } from "./checks.ts";
export { ConditionWaits } from "./condition-waits.ts";
export type { Clock, Env, Random, Timer } from "./env.ts";
export {
  badOption,
  type ErrorCode,
  type ErrorDetails,
  type ErrorInit,
  type GroupState,
  MosaikError,
  mosaikError,
  type Outcome,
  type Receipt,
  type RecoverRefusal,
  type Rejected,
  type SnapshotRefusal,
} from "./errors.ts";
export { LIMITS } from "./limits.ts";
export { type Logger, silentLogger } from "./logger.ts";
export { OpenWaits } from "./open-waits.ts";
export { realEnv, stderrLogger } from "./real.ts";
export { Scope } from "./scope.ts";
export type { Conditions, Handle, OneOrMore, Options, Wait } from "./shapes.ts";
export { type Subscription, type SubscriptionInit, SubscriptionQueue } from "./subscription.ts";
export { atEndOfTurn } from "./turn.ts";
export { SimulationError, VirtualWorld, type VirtualWorldOptions } from "./virtual.ts";
export type { VirtualNode } from "./virtual-node.ts";
export { EventQueue, type VirtualEvent } from "./virtual-queue.ts";
export { SeededRandom } from "./virtual-random.ts";
export { replaySeed } from "./virtual-seed.ts";
