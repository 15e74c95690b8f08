import type { SeededRandom } from "../../env/index.ts";
import { EPISODES } from "../episodes.ts";
import { RunViolation } from "../group-invariants.ts";
import { type RunReport, verdictOf } from "../report.ts";
import type { EpisodeScene } from "../scene.ts";
import { type SimulatedNode, Simulation } from "../simulation.ts";
import { Waits } from "../waits.ts";
import { Receiver, Sender, type Stage } from "./actors.ts";
import { StreamJudge } from "./judge.ts";
import { drawStreamPlan, FAULTS } from "./plan.ts";

const HEAL_MS = 60_000;
const CALM_PLACES = 20;
const EPISODES_AT_ONCE = 2;

export interface StreamRunOptions {
  readonly keepTrace?: boolean;
}

/**
 * One random run of streams: producers and consumers of all policies on whole nodes, while links fail and nodes die, and programs close and
 * come back. Then all heals, and each consumer must hear each producer.
 */
export async function runStreams(seed: number, { keepTrace }: StreamRunOptions = {}): Promise<RunReport> {
  const simulation = new Simulation({ seed, keepTrace });
  const run = new StreamRun(simulation);
  let cause: unknown;
  let hasFailed = false;
  try {
    await simulation.world.run(() => run.play());
  } catch (failure) {
    cause = failure;
    hasFailed = true;
  }
  const { sent, missed } = run.stage.judge;
  return simulation.report(verdictOf(hasFailed, cause), { ok: sent, notApplied: 0, unknown: missed });
}

class StreamRun {
  readonly stage: Stage;
  readonly #random: SeededRandom;
  readonly #senders: Sender[] = [];
  readonly #receivers: Receiver[] = [];
  readonly #victims = new Set<SimulatedNode>();

  constructor(simulation: Simulation) {
    this.#random = simulation.random.fork("streams");
    this.stage = {
      simulation,
      plan: drawStreamPlan(simulation.random.fork("stream-plan")),
      judge: new StreamJudge(),
      waits: new Waits((ms) => simulation.sleep(ms)),
      random: simulation.random.fork("stream-programs"),
      isCalm: false,
      isOver: false,
    };
  }

  async play(): Promise<void> {
    const { simulation, plan } = this.stage;
    for (const name of plan.nodes) this.#startPrograms(await simulation.addNode(name));
    await this.#sufferFaults();
    await this.#heal();
    this.stage.isOver = true;
    await Promise.all(simulation.nodes.map((node) => node.network.close()));
    await simulation.sleep(100);
    this.stage.waits.check();
  }

  #startPrograms(node: SimulatedNode): void {
    const { plan, simulation } = this.stage;
    for (const [i, stream] of plan.streams.entries()) {
      // Each stream has a producer on every other node, and consumers on all.
      if ((plan.nodes.indexOf(node.name) + i) % 2 === 0) this.#senders.push(new Sender(this.stage, node, stream));
      this.#receivers.push(new Receiver(this.stage, node, stream));
    }
    for (const actor of [...this.#senders, ...this.#receivers]) {
      if (actor.node !== node || !actor.isAlive) continue;
      actor.run().catch((error: unknown) => simulation.world.fail(error));
    }
  }

  async #sufferFaults(): Promise<void> {
    const { simulation, plan } = this.stage;
    const untilUs = simulation.world.nowUs + plan.faultsMs * 1_000;
    const running = new Set<Promise<void>>();
    while (simulation.world.nowUs < untilUs) {
      if (running.size < EPISODES_AT_ONCE) {
        const episode = EPISODES[this.#random.pick(FAULTS)]?.(this.#scene()) ?? Promise.resolve();
        const ending = episode.finally(() => running.delete(ending));
        running.add(ending);
      }
      await simulation.sleep(this.#random.between(50, 1_500));
    }
    await Promise.all(running);
  }

  async #heal(): Promise<void> {
    const { simulation, judge, plan } = this.stage;
    simulation.trace.add("sim", "all heals");
    this.stage.isCalm = true;
    simulation.weather.clear();
    for (const node of simulation.nodes) node.resume();
    const producers = (): Sender[] => this.#senders.filter(({ isAlive }) => isAlive);
    const consumers = (): Receiver[] => this.#receivers.filter(({ isAlive }) => isAlive);
    const pairs = (): [Sender, Receiver][] =>
      producers().flatMap((one) =>
        consumers().flatMap((two): [Sender, Receiver][] => (one.stream === two.stream ? [[one, two]] : [])),
      );
    const before = new Map<Sender, number>();
    for (const sender of producers()) before.set(sender, sender.record.offered);
    const hasCome = ([{ record }, receiver]: [Sender, Receiver], since: number): boolean =>
      (receiver.record.last.get(record.life)?.place ?? 0) > since;
    const all = `${plan.nodes.length} nodes`;
    await this.#expect(`every consumer hears every producer of ${all}`, () =>
      pairs().every((pair) => hasCome(pair, before.get(pair[0]) ?? 0)),
    );
    // Nobody of `wait` is put out by anything now.
    for (const { record } of producers()) judge.calmFrom.set(record.life, record.offered);
    const calm = new Map(judge.calmFrom);
    await this.#expect("values go on coming", () =>
      pairs().every((pair) => hasCome(pair, (calm.get(pair[0].record.life) ?? 0) + CALM_PLACES)),
    );
  }

  async #expect(what: string, condition: () => boolean): Promise<void> {
    try {
      await this.stage.simulation.until(condition, HEAL_MS, what);
    } catch (cause) {
      throw new RunViolation("stream-progress", `${what}: not within ${HEAL_MS} ms`, cause);
    }
  }

  /** No group is here: nobody leaves one, or loses what it stored. */
  #scene(): EpisodeScene {
    const { simulation, waits } = this.stage;
    const victim = (wanted?: SimulatedNode): SimulatedNode | undefined => {
      const free = simulation.nodes.filter((node) => node.isUp && !node.isPaused && !this.#victims.has(node));
      const node = wanted ?? (free.length < 2 ? undefined : this.#random.pick(free));
      if (node !== undefined) this.#victims.add(node);
      return node;
    };
    return {
      simulation,
      random: this.#random,
      waits,
      isDurable: true,
      victim,
      mortal: victim,
      loser: () => undefined,
      leaver: () => undefined,
      release: (node) => this.#victims.delete(node),
      noteLoss: () => () => {},
      onRestarted: (node) => {
        simulation.faults.count("restart");
        this.#startPrograms(node);
      },
      isOnline: ({ isUp }) => isUp,
      groupOf: ({ name }) => {
        throw new Error(`${name} has no group in a run of streams`);
      },
      anybodyOnline: () => undefined,
      joinLate: async () => {},
      joinAgain: async () => {},
      leaveGroup: async () => false,
      closeGroup: async () => {},
    };
  }
}
