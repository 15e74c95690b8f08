import type { SeededRandom } from "../../env/index.ts";
import { WORLD_EPISODES } from "../episodes.ts";
import { RunViolation } from "../group-invariants.ts";
import { type RunReport, verdictOf } from "../report.ts";
import type { Scene } from "../scene.ts";
import { type SimulatedNode, Simulation } from "../simulation.ts";
import { Waits } from "../waits.ts";
import { type HostileLine, HostilePeer, Hostility } from "./hostile/index.ts";
import { StreamJudge } from "./judge.ts";
import { drawStreamPlan, FAULTS, type ParcelStream, type StreamPlan, weightOf } from "./plan.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import type { Stage } from "./stage.ts";
import { StreamWatch } from "./watch.ts";

const HEAL_MS = 60_000;
const CALM_PLACES = 20;
const EPISODES_AT_ONCE = 2;

export interface StreamRunOptions {
  readonly keepTrace?: boolean;
  /** There are hostile peers in any case. Default: in one seed of four. */
  readonly isHostile?: boolean;
}

export interface StreamRunReport extends RunReport {
  /** Values: taken from producers' programs, given to consumers' programs, and told there as missed. */
  readonly values: { readonly sent: number; readonly received: number; readonly missed: number };
  /** Of hostile peers, if there are some: links that they had, and values of theirs that programs got. */
  readonly hostile: { readonly peers: number; readonly links: number; readonly received: number };
}

/**
 * One random run of streams: producers and consumers of all policies on whole nodes, while links fail and nodes die, and programs close and
 * come back. Then all heals, and consumers must hear producers.
 */
export async function runStreams(
  seed: number,
  { keepTrace, isHostile }: StreamRunOptions = {},
): Promise<StreamRunReport> {
  const simulation = new Simulation({ seed, keepTrace });
  const run = new StreamRun(simulation, isHostile);
  let cause: unknown;
  let hasFailed = false;
  try {
    await simulation.world.run(() => run.play());
  } catch (failure) {
    cause = failure;
    hasFailed = true;
  }
  const { judge, hostility, plan } = run.stage;
  const { operations, values } = judge;
  const hostile = { peers: plan.hostiles, links: hostility.lines, received: hostility.judge.received };
  return { ...simulation.report(verdictOf(hasFailed, cause), operations), values, hostile };
}

class StreamRun {
  readonly stage: Stage;
  readonly #random: SeededRandom;
  readonly #watch: StreamWatch;
  #senders: Sender[] = [];
  #receivers: Receiver[] = [];
  #hostiles: HostilePeer[] = [];
  readonly #victims = new Set<SimulatedNode>();

  constructor(simulation: Simulation, isHostile?: boolean) {
    const plan = drawStreamPlan(simulation.random.fork("stream-plan"), isHostile);
    this.#random = simulation.random.fork("streams");
    this.#watch = new StreamWatch(plan);
    this.stage = {
      simulation,
      plan,
      judge: new StreamJudge(!plan.isStormy),
      waits: new Waits((ms) => simulation.sleep(ms)),
      random: simulation.random.fork("stream-programs"),
      hostility: new Hostility(),
      isHealed: false,
      isOver: false,
    };
    simulation.onEvent = () => this.#look();
  }

  async play(): Promise<void> {
    const { simulation, plan } = this.stage;
    for (const name of plan.nodes) {
      const attributes = { weight: String(weightOf(plan, name)) };
      this.#startPrograms(await simulation.addNode(name, { attributes }));
    }
    for (let i = 0; i < plan.hostiles; i++) this.#hostiles.push(await this.#startHostile(i));
    if (plan.isStormy) await this.#sufferFaults();
    else await simulation.sleep(plan.faultsMs);
    await this.#heal();
    this.stage.isOver = true;
    await Promise.all(simulation.nodes.map((node) => node.network.close()));
    await Promise.all(this.#hostiles.map((hostile) => hostile.leave()));
    await simulation.sleep(100);
    this.stage.waits.check();
  }

  /** After each event. */
  #look(): void {
    const { nowUs } = this.stage.simulation.world;
    for (const sender of this.#senders) if (sender.isAlive) this.#watch.checkSender(sender, nowUs);
    for (const receiver of this.#receivers) if (receiver.isAlive) this.#watch.checkReceiver(receiver);
  }

  #startPrograms(node: SimulatedNode): void {
    const { plan, simulation } = this.stage;
    this.#senders = this.#senders.filter(({ isAlive }) => isAlive);
    this.#receivers = this.#receivers.filter(({ isAlive }) => isAlive);
    const started: (Sender | Receiver)[] = [];
    for (const stream of plan.streams) {
      const receiver = new Receiver(this.stage, node, stream);
      this.#receivers.push(receiver);
      started.push(receiver);
      if (!produces(plan, node, stream)) continue;
      const sender = new Sender(this.stage, node, stream);
      this.#senders.push(sender);
      started.push(sender);
    }
    // An error with which a network ends is a bug of ours.
    void node.network.closed.then((cause) => {
      if (cause !== undefined) simulation.world.fail(new RunViolation("no-bug", `${node.name} ended`, cause));
    });
    for (const program of started) program.run().catch((error: unknown) => simulation.world.fail(error));
  }

  async #sufferFaults(): Promise<void> {
    const { simulation, plan } = this.stage;
    const untilUs = simulation.world.nowUs + plan.faultsMs * 1_000;
    const running = new Set<Promise<void>>();
    while (simulation.world.nowUs < untilUs) {
      if (running.size < EPISODES_AT_ONCE) {
        const episode = WORLD_EPISODES[this.#random.pick(FAULTS)]?.(this.#scene()) ?? Promise.resolve();
        const ending = episode.finally(() => running.delete(ending));
        running.add(ending);
      }
      await simulation.sleep(this.#random.between(50, 1_500));
    }
    await Promise.all(running);
  }

  async #heal(): Promise<void> {
    const { simulation } = this.stage;
    simulation.trace.add("sim", "all heals");
    this.stage.isHealed = true;
    simulation.weather.clear();
    for (const node of simulation.nodes) node.resume();
    for (const hostile of this.#hostiles) hostile.yield();
    const grudges = this.#hostiles.flatMap((hostile) => hostile.tolerated());
    const senders = this.#senders.filter(({ isAlive }) => isAlive);
    const noteOffered = (): ReadonlyMap<Sender, number> =>
      new Map(senders.map((sender) => [sender, sender.record.offered]));
    const healed = noteOffered();
    await this.#expectHeard("producers are heard after the heal", healed, 0);
    const calm = noteOffered();
    // Whoever is heard now is not put out by anything any more.
    for (const [{ record }, offered] of calm) record.calmFrom = Math.min(record.calmFrom, offered);
    await this.#expectHeard("values go on coming", calm, CALM_PLACES);
    await this.#expectPutOut(grudges);
  }

  async #startHostile(place: number): Promise<HostilePeer> {
    const { simulation, hostility } = this.stage;
    const hostile = await HostilePeer.join(this.stage, place);
    hostility.add(hostile.node.peerId);
    hostile.run().catch((error: unknown) => simulation.world.fail(error));
    return hostile;
  }

  /** Whoever broke the protocol before the heal is put out. */
  async #expectPutOut(lines: readonly HostileLine[]): Promise<void> {
    const left = (): readonly HostileLine[] => lines.filter(({ isTolerated }) => isTolerated);
    try {
      await this.stage.simulation.until(() => left().length === 0, HEAL_MS);
    } catch (cause) {
      const texts = left().map(({ number, conduct }) => `line ${number} (${conduct})`);
      throw new RunViolation("stream-put-out", `not put out within ${HEAL_MS} ms: ${texts.join("; ")}`, cause);
    }
  }

  /** Every consumer got, of every producer that it must hear, something after these places and some more. Otherwise: who did not. */
  #unheard(since: ReadonlyMap<Sender, number>, more: number): string[] {
    const { plan } = this.stage;
    const { maxProducers, maxConsumers } = plan;
    const receivers = this.#receivers.filter(({ isAlive }) => isAlive);
    const isHeardBy = (sender: Sender, { record }: Receiver): boolean =>
      (record.last.get(sender.record.life)?.place ?? 0) > (since.get(sender) ?? 0) + more;
    const senders = [...since.keys()].sort((a, b) => weightOf(plan, b.node.name) - weightOf(plan, a.node.name));
    return plan.streams.flatMap((stream) => {
      const theirs = receivers.filter((receiver) => receiver.stream === stream);
      const mine = senders.filter((sender) => sender.stream === stream).slice(0, maxProducers);
      return mine.flatMap((sender) => {
        const deaf = theirs.filter((receiver) => !isHeardBy(sender, receiver)).map(({ node }) => node.name);
        const isEnough = theirs.length - deaf.length >= Math.min(theirs.length, maxConsumers ?? theirs.length);
        return isEnough ? [] : [`${sender.node.name}'s ${stream.lagging} on ${deaf.join(", ")}`];
      });
    });
  }

  /** All that must be heard is heard. */
  async #expectHeard(what: string, since: ReadonlyMap<Sender, number>, more: number): Promise<void> {
    try {
      await this.stage.simulation.until(() => this.#unheard(since, more).length === 0, HEAL_MS, what);
    } catch (cause) {
      const unheard = this.#unheard(since, more).join("; ");
      throw new RunViolation("stream-progress", `${what}: not within ${HEAL_MS} ms: ${unheard}`, cause);
    }
  }

  #scene(): Scene {
    const { simulation, plan } = this.stage;
    const isMortal = (node: SimulatedNode): boolean =>
      node.isUp && !node.isPaused && !this.#victims.has(node) && plan.nodes.includes(node.name);
    const victim = (wanted?: SimulatedNode): SimulatedNode | undefined => {
      const free = simulation.nodes.filter((node) => isMortal(node));
      const node = wanted ?? (free.length < 2 ? undefined : this.#random.pick(free));
      if (node !== undefined) this.#victims.add(node);
      return node;
    };
    return {
      simulation,
      random: this.#random,
      victim,
      mortal: victim,
      release: (node) => this.#victims.delete(node),
      onDied: () => {},
      onRestarted: (node) => {
        simulation.faults.count("restart");
        this.#startPrograms(node);
      },
    };
  }
}

/** Each stream has a producer on every other node, and consumers on all. */
function produces({ nodes, streams }: StreamPlan, node: SimulatedNode, stream: ParcelStream): boolean {
  return (nodes.indexOf(node.name) + streams.indexOf(stream)) % 2 === 0;
}
