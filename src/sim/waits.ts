import { MosaikError, type SeededRandom } from "../env/index.ts";
import { RunViolation } from "./group-invariants.ts";
import type { SimulatedNode } from "./simulation.ts";
import type { WorkloadGroup } from "./workload.ts";

interface OpenWait {
  readonly node: SimulatedNode;
  readonly life: number;
  readonly what: string;
}

/** All that somebody waits for, so that at the end it can be seen whether each wait ended. What a process waited for that died is nobody's any more. */
export class Waits {
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #open = new Set<OpenWait>();
  #settled = 0;

  /** @param sleep - on the simulator's own clock */
  constructor(sleep: (ms: number) => Promise<void>) {
    this.#sleep = sleep;
  }

  /** How many ended, in whatever way. */
  get settled(): number {
    return this.#settled;
  }

  /** The same promise, noted. */
  watch<T>(node: SimulatedNode, what: string, promise: Promise<T>): Promise<T> {
    const wait = { node, life: node.machine.life, what };
    this.#open.add(wait);
    const settle = (): void => {
      this.#settled++;
      this.#open.delete(wait);
    };
    promise.then(settle, settle);
    return promise;
  }

  /** Waits for it, but not longer than that process lives. Undefined: it was refused, or nobody is there any more. */
  async outcome<T>(node: SimulatedNode, what: string, promise: Promise<T>): Promise<{ readonly value: T } | undefined> {
    const { life } = node.machine;
    let outcome: { readonly value: T } | undefined;
    let isOver = false;
    let bug: unknown;
    this.watch(node, what, promise).then(
      (value) => {
        outcome = { value };
        isOver = true;
      },
      (error: unknown) => {
        if (!MosaikError.is(error)) bug = error;
        isOver = true;
      },
    );
    while (!isOver && node.machine.life === life) await this.#sleep(5);
    if (bug !== undefined) throw bug;
    return node.machine.life === life ? outcome : undefined;
  }

  /** It came about, and the process lives. */
  async ends(node: SimulatedNode, what: string, promise: Promise<unknown>): Promise<boolean> {
    return (await this.outcome(node, what, promise)) !== undefined;
  }

  /** Begins one wait of any kind, which may be aborted later. Its outcome does not matter, but that it has one. */
  begin(node: SimulatedNode, group: WorkloadGroup, random: SeededRandom): void {
    const names = Object.keys(group.when) as (keyof WorkloadGroup["when"])[];
    const name = random.pick(names.sort());
    const controller = new AbortController();
    const options = { signal: controller.signal };
    const wait = (): Promise<unknown> => {
      if (name === "reaches") return group.when.reaches(group.position + random.below(400), options);
      if (name === "leaderIs") return group.when.leaderIs(random.pick(group.members).id, options);
      return group.when[name](options);
    };
    this.watch(node, `when.${name}`, wait()).catch((error: unknown) => {
      if (!MosaikError.is(error) && error !== ABORTED) throw error;
    });
    if (random.chance(1, 3)) node.machine.env.after(random.between(1, 5_000), () => controller.abort(ABORTED));
  }

  /** After all that is still alive was closed. @throws RunViolation `waits-end` */
  check(): void {
    const left = [...this.#open].filter(({ node, life }) => node.machine.life === life);
    if (left.length === 0) return;
    const texts = left.map(({ node, what }) => `${what} of ${node.name}`);
    throw new RunViolation(
      "waits-end",
      `${left.length} waits did not end though all is closed: ${texts.slice(0, 5).join(", ")}`,
    );
  }
}

const ABORTED = new Error("given up");
