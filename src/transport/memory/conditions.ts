import type { Address } from "../types.ts";

/**
 * What the wire does to bytes from one address to another. The simulator implements it; whatever is left out is perfect.
 *
 * Nothing here can lose or reorder bytes within a connection: that is what TCP promises, and what `MemoryNetwork` keeps.
 */
export interface Conditions {
  /** Microseconds, whole, that the next bytes are on their way. They never overtake earlier ones. */
  delayUs?(from: Address, to: Address): number;
  /** How many of the bytes that have arrived the reader sees at once: 1 to `length`. The rest follows in an event of its own. */
  cutAt?(from: Address, to: Address, length: number): number;
  /** A partition, one way: what is on its way arrives after the heal. Call `MemoryNetwork.wake` when an answer turns from true to false. */
  isBlocked?(from: Address, to: Address): boolean;
  /** The rate at which bytes leave; undefined: no limit. */
  bytesPerSecond?(from: Address, to: Address): number | undefined;
}
