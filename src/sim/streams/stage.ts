import { MosaikError, type SeededRandom } from "../../env/index.ts";
import { hash, UniqueId } from "../../identity/index.ts";
import type { SimulatedNode, Simulation } from "../simulation.ts";
import type { Waits } from "../waits.ts";
import type { Hostility } from "./hostile/hostility.ts";
import type { StreamJudge } from "./judge.ts";
import type { StreamPlan } from "./plan.ts";

/** What the programs of one run share. */
export interface Stage {
  readonly simulation: Simulation;
  readonly plan: StreamPlan;
  readonly judge: StreamJudge;
  readonly waits: Waits;
  readonly random: SeededRandom;
  readonly hostility: Hostility;
  /** Faults are over: nobody closes or gives up any more, and values are small. */
  isHealed: boolean;
  /** Programs end. */
  isOver: boolean;
}

export const GIVEN_UP = new Error("given up");

/** On the node's own clock: held while it is paused, forgotten when it dies. */
export function pauseOf(node: SimulatedNode, ms: number): Promise<void> {
  return new Promise((resolve) => node.machine.env.after(ms, resolve));
}

/** As peers call it. */
export function streamIdOf({ network }: SimulatedNode, name: string): UniqueId {
  return UniqueId.derive(network.id, UniqueId.toBytes(hash(name)));
}

/** Only ends that are told by name are expected. */
export function expectEnd(error: unknown): void {
  if (error !== GIVEN_UP && !MosaikError.is(error, "closed")) throw error;
}

/** A program of one life of its node. */
export abstract class Program {
  readonly node: SimulatedNode;
  readonly life: number;
  protected readonly stage: Stage;

  constructor(stage: Stage, node: SimulatedNode) {
    this.stage = stage;
    this.node = node;
    this.life = node.machine.life;
  }

  get isAlive(): boolean {
    return this.node.isUp && this.node.machine.life === this.life;
  }

  abstract run(): Promise<void>;
}
