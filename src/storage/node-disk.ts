import type { Env } from "../env/index.ts";
import type { StorageFactory } from "./types.ts";

/** How long a sync takes, in microseconds, both ends included. */
export interface SyncDelay {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Until something was synced. */
export const USUAL_SYNC_DELAY: SyncDelay = { fromUs: 100, toUs: 3_000 };
/** A look at something that is in memory already. */
export const USUAL_READ_DELAY: SyncDelay = { fromUs: 10, toUs: 200 };

/** What crashes did. */
export interface CrashEffect {
  /** Changes, or pieces of them, that were called for and are gone. */
  readonly lost: number;
  /** Files in which one write is there in part. */
  readonly torn: number;
}

/** One node's disk in the simulator. It outlives the node's lives; what else happens to it is up to who holds it. */
export interface NodeDisk {
  /** The node's key: with its disk it loses its identity. */
  readonly identitySeed: Uint8Array;
  /** Calls that reached it so far. */
  readonly steps: number;
  /** Changes that were called for and are not durable yet. */
  readonly changesUnderWay: number;
  /** A call failed in this life of the node. */
  readonly hasFailed: boolean;
  /** Bits that decayed: no store is damaged more often. */
  readonly decays: number;
  /** The stores of one life of the node. */
  storage(env: Env): StorageFactory;
  /** From now on syncs take this long; without an argument the usual 0.1 to 3 ms. */
  setSyncDelay(delay?: SyncDelay): void;
  /** From now on files grow by so many bytes at most; without an argument there is room again. Terms and votes have some of their own. */
  setRoom(bytes?: number): void;
  /** The call after `steps` more good ones fails with EIO. */
  failAfter(steps: number): void;
  /** The node dies in this moment, and what was not durable may die with it. */
  crash(): void;
  /** What crashes did since this was asked last. */
  takeEffects(): CrashEffect;
}
