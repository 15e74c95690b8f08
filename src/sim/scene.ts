import type { SeededRandom } from "../env/index.ts";
import type { Cast } from "./cast.ts";
import type { FaultKind } from "./fault-counter.ts";
import type { NodePlan } from "./node-plan.ts";
import type { SimulatedNode, Simulation } from "./simulation.ts";
import type { Waits } from "./waits.ts";
import type { WorkloadGroup } from "./workload.ts";

/** What an episode may use, whatever the nodes are there for. */
export interface Scene {
  readonly simulation: Simulation;
  readonly random: SeededRandom;
  /** Somebody to suffer, up and nobody else's victim: this one, or any, often the leader. Undefined: nobody can be spared now. */
  victim(wanted?: SimulatedNode): SimulatedNode | undefined;
  /** Somebody to die, and to come back with what it stored. */
  mortal(wanted?: SimulatedNode): SimulatedNode | undefined;
  /** Nobody's victim any more. */
  release(node: SimulatedNode): void;
  /** Its process is over: what was in memory is lost. */
  onDied(node: SimulatedNode): void;
  /** The node is up again and joined: whoever uses it may go on. Once it is online, `kind` counts. */
  onRestarted(node: SimulatedNode, kind?: FaultKind): void;
}

/** What an episode may use where nodes are members of a group. */
export interface GroupScene extends Scene {
  readonly waits: Waits;
  /** What members store survives their process. */
  readonly isDurable: boolean;
  /** Somebody whose store may be lost. */
  loser(): SimulatedNode | undefined;
  /** Somebody who may give up its place. */
  leaver(): SimulatedNode | undefined;
  /** Its store is gone, unless the result is called: then it was not, after all. */
  noteLoss(node: SimulatedNode): () => void;
  isOnline(node: SimulatedNode): boolean;
  anybodyOnline(): SimulatedNode | undefined;
  groupOf(node: SimulatedNode): WorkloadGroup;
  /** The next of those who come later. */
  joinLate(): Promise<void>;
  joinAgain(node: SimulatedNode, kind?: FaultKind): Promise<void>;
  /** False: it could not leave. */
  leaveGroup(node: SimulatedNode): Promise<boolean>;
  closeGroup(node: SimulatedNode): Promise<void>;
}

/** Something bad that begins, lasts, and ends. Its effects are counted where they happen. */
export type Episode<Where extends Scene = Scene> = (scene: Where) => Promise<void>;

/** What may happen once all faults are over and all are well, before the clients stop. */
export interface LastActs {
  readonly simulation: Simulation;
  readonly plan: NodePlan;
  readonly cast: Cast;
  readonly onRestarted: (node: SimulatedNode) => void;
  /** Waits until it holds; what does not come about ends the run. */
  readonly expect: (what: string, condition: () => boolean) => Promise<void>;
}
