import { badOption, type OneOrMore, type Options, replaySeed } from "../env/index.ts";
import type { AnyMachine, Group } from "../groups/index.ts";
import type { Network } from "../network.ts";
import type { NetworkOptions } from "../network-options.ts";
import { beginFaults, checkFaults, type Faults } from "./background.ts";
import { GroupWitness } from "./group-witness.ts";
import { type RunReport, verdictOf } from "./report.ts";
import { type SimulatedNode, Simulation } from "./simulation.ts";
import type { Disturbance } from "./weather.ts";

/** A whole node on virtual time. `network` is that of its present life; `restart` keeps the disk unless told otherwise. */
export interface SimNode {
  readonly name: string;
  readonly network: Network;
  /** The process dies in this moment. What was called on this life never returns. */
  crash(): void;
  restart(options?: Options<{ keepDisk: boolean }>): Promise<void>;
  pause(): void;
  resume(): void;
}

export interface SimMember<M extends AnyMachine> extends SimNode {
  /** Of its present life. */
  readonly group: Group<M>;
}

export interface Sim {
  /** Starts a node that knows the addresses of all before it. */
  node(name: string, options?: NetworkOptions): Promise<SimNode>;
  /** Nodes in one group, online. */
  group<M extends AnyMachine, const Name extends string>(
    machine: M,
    names: readonly Name[],
  ): Promise<Record<Name, SimMember<M>>>;
  /** Makes this member lead, by an election or by a hand-over. Rejects if it cannot be had in 20 virtual seconds. */
  // biome-ignore lint/suspicious/noExplicitAny: a member of whatever machine
  elect(member: SimMember<any>): Promise<void>;
  /** Holds what is sent from one side to the other, both ways unless told otherwise, until `heal`. */
  cut(from: OneOrMore<SimNode>, to: OneOrMore<SimNode>, options?: Options<{ oneWay: boolean }>): void;
  /** Ends all cuts. */
  heal(): void;
  sleep(ms: number): Promise<void>;
  /** In [0, 1), the same for the same seed. */
  random(): number;
  /** Waits until it holds; `group-offline` counts as "not yet". Rejects if it does not hold within `withinMs` of virtual time. */
  until(condition: () => boolean | Promise<boolean>, options: { readonly withinMs: number }): Promise<void>;
}

export type Scenario = (sim: Sim) => Promise<void>;

/** What our own stories may do besides. */
export interface StorySim extends Sim {
  /** Their bytes travel at no more than so many a second, each way, until `heal`. */
  slow(one: SimNode, two: SimNode, bytesPerSecond: number): void;
  /** The connections that they have carry nothing any more, and neither is told. */
  halfOpen(one: SimNode, two: SimNode): void;
}
export type StoryScenario = (sim: StorySim) => Promise<void>;

export type SimulateOptions = Options<{ seeds: number; seed: number; faults: Faults }>;

const SEEDS = 10;
const ELECT_MS = 20_000;
const ONLINE_MS = 60_000;

/**
 * Runs the scenario once a seed, in any test runner: safety is checked after every event, linearizability at the end.
 *
 * @param options.seeds - how many runs; default 10
 * @param options.seed - of the first run; the others follow. Default 1. `MOSAIK_SEED` in the environment replays one seed alone.
 * @throws what is wrong with the first run that fails: an error that names the seed, and whose `cause` is the scenario's own error or
 * the promise that was broken
 */
export function simulate(scenario: Scenario, options: SimulateOptions = {}): Promise<void> {
  return simulateStory(scenario, options);
}

/** @internal As `simulate`. */
export async function simulateStory(scenario: StoryScenario, options: SimulateOptions = {}): Promise<void> {
  const { seeds = SEEDS, seed = 1, faults = {} } = options;
  if (!Number.isSafeInteger(seeds) || seeds < 1) throw badOption("seeds", "must be a whole number above 0");
  if (!Number.isSafeInteger(seed)) throw badOption("seed", "must be a whole number");
  checkFaults(faults);
  const only = replaySeed();
  const all = only === undefined ? Array.from({ length: seeds }, (_, i) => seed + i) : [only];
  for (const one of all) {
    const { report, cause } = await runScenario(scenario, one, faults);
    if (report.verdict === "ok") continue;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`seed ${one}: ${message}\nreplay: MOSAIK_SEED=${one}, with the command that ran this test`, {
      cause,
    });
  }
}

/** One run of a scenario. `cause`: what ended it, if it did not end well. */
export async function runScenario(
  scenario: StoryScenario,
  seed: number,
  faults: Faults = {},
  { keepTrace = false }: { readonly keepTrace?: boolean } = {},
): Promise<{ readonly report: RunReport; readonly cause: unknown }> {
  const [fromMs, toMs] = faults.delayMs ?? [];
  const usualDelay =
    fromMs === undefined || toMs === undefined ? undefined : { fromUs: fromMs * 1000, toUs: toMs * 1000 };
  const simulation = new Simulation({ seed, keepTrace, usualDelay });
  const director = new Director(simulation);
  let cause: unknown;
  let hasFailed = false;
  try {
    await simulation.world.run(async () => {
      beginFaults(simulation, faults);
      await scenario(director);
    });
    director.judge();
  } catch (failure) {
    cause = failure;
    hasFailed = true;
  }
  return { report: simulation.report(verdictOf(hasFailed, cause), director.operations), cause };
}

/** `Sim` over a simulation. */
class Director implements StorySim {
  readonly #simulation: Simulation;
  readonly #cuts = new Set<Disturbance>();
  readonly #members = new Map<SimNode, SimulatedNode>();
  readonly #witnesses: GroupWitness[] = [];

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  get operations(): RunReport["operations"] {
    const sum = { ok: 0, notApplied: 0, unknown: 0 };
    for (const { operations } of this.#witnesses) {
      sum.ok += operations.ok;
      sum.notApplied += operations.notApplied;
      sum.unknown += operations.unknown;
    }
    return sum;
  }

  /** @throws RunViolation */
  judge(): void {
    for (const witness of this.#witnesses) witness.judge();
  }

  node(name: string, options: NetworkOptions = {}): Promise<SimNode> {
    return this.#simulation.addNode(name, options);
  }

  async group<M extends AnyMachine, const Name extends string>(
    machine: M,
    names: readonly Name[],
  ): Promise<Record<Name, SimMember<M>>> {
    const witness = new GroupWitness(this.#simulation, machine);
    this.#witnesses.push(witness);
    const members = {} as Record<Name, SimMember<M>>;
    for (const name of names) {
      const node = await this.#simulation.addNode(name);
      node.join(machine.name, { machine, expect: names.length });
      const member = new Member<M>(node, machine.name, witness);
      this.#members.set(member, node);
      members[name] = member;
    }
    const areOnline = (): boolean => names.every((name) => members[name].group.state === "online");
    await this.#simulation.until(areOnline, ONLINE_MS, `that all of ${names.join(", ")} are online`);
    return members;
  }

  // biome-ignore lint/suspicious/noExplicitAny: a member of whatever machine
  async elect(member: SimMember<any>): Promise<void> {
    const { invariants, weather, nodes } = this.#simulation;
    const wanted = this.#nodeOf(member);
    const { id, name } = member.group;
    let nextTryUs = 0;
    const tryNow = (): void => {
      const voter = invariants.voterOf(member.network.peerId, id);
      if (voter === undefined) return;
      const connected = nodes.filter(
        ({ isUp, address }) =>
          isUp && !weather.holds(address, wanted.address) && !weather.holds(wanted.address, address),
      );
      const leader = connected.find((node) => node !== wanted && node.hasGroup(name) && node.group(name).isLeader);
      if (leader === undefined) voter.steering.campaign();
      else invariants.voterOf(leader.network.peerId, id)?.steering.transfer(voter.member);
    };
    const leads = (): boolean => {
      if (member.group.isLeader) return true;
      if (this.#simulation.world.nowUs >= nextTryUs) {
        nextTryUs = this.#simulation.world.nowUs + 500_000;
        tryNow();
      }
      return false;
    };
    await this.#simulation.until(leads, ELECT_MS, `that ${wanted.name} leads`);
  }

  cut(from: OneOrMore<SimNode>, to: OneOrMore<SimNode>, options: Options<{ oneWay: boolean }> = {}): void {
    const [senders, receivers] = [from, to].map((side) => new Set(this.#addresses(side))) as [Set<string>, Set<string>];
    const isOneWay = options.oneWay === true;
    const disturbance: Disturbance = {
      kind: isOneWay ? "cut-one-way" : "cut",
      isBlocking: true,
      concerns: (a, b) => (senders.has(a) && receivers.has(b)) || (!isOneWay && senders.has(b) && receivers.has(a)),
    };
    this.#simulation.trace.add("sim", `cuts ${[...senders]} from ${[...receivers]}`);
    this.#cuts.add(disturbance);
    this.#simulation.weather.begin(disturbance);
  }

  slow(one: SimNode, two: SimNode, bytesPerSecond: number): void {
    const addresses = new Set(this.#addresses([one, two]));
    const concerns = (from: string, to: string): boolean => addresses.has(from) && addresses.has(to);
    const disturbance: Disturbance = { kind: "rate-limit", concerns, bytesPerSecond };
    this.#simulation.trace.add("sim", `slows ${[...addresses]} to ${bytesPerSecond} bytes a second`);
    this.#cuts.add(disturbance);
    this.#simulation.weather.begin(disturbance);
  }

  halfOpen(one: SimNode, two: SimNode): void {
    this.#simulation.breakConnections("half-open", this.#nodeOf(one), this.#nodeOf(two));
  }

  heal(): void {
    this.#simulation.trace.add("sim", "heals");
    for (const cut of this.#cuts) this.#simulation.weather.end(cut);
    this.#cuts.clear();
  }

  sleep(ms: number): Promise<void> {
    return this.#simulation.sleep(ms);
  }

  random(): number {
    return this.#simulation.random.uint32() / 0x1_0000_0000;
  }

  until(condition: () => boolean | Promise<boolean>, { withinMs }: { readonly withinMs: number }): Promise<void> {
    return this.#simulation.until(condition, withinMs);
  }

  #nodeOf(node: SimNode): SimulatedNode {
    return this.#members.get(node) ?? this.#simulation.node(node.name);
  }

  #addresses(side: OneOrMore<SimNode>): string[] {
    const nodes: readonly SimNode[] = Array.isArray(side) ? side : [side as SimNode];
    return nodes.map((node) => this.#nodeOf(node).address);
  }
}

class Member<M extends AnyMachine> implements SimMember<M> {
  readonly name: string;
  readonly #node: SimulatedNode;
  readonly #groupName: string;
  readonly #witness: GroupWitness;

  constructor(node: SimulatedNode, groupName: string, witness: GroupWitness) {
    this.name = node.name;
    this.#node = node;
    this.#groupName = groupName;
    this.#witness = witness;
  }

  get network(): Network {
    return this.#node.network;
  }
  get group(): Group<M> {
    return this.#witness.watch(this.#node.group(this.#groupName), this.network.id) as Group<M>;
  }
  crash(): void {
    this.#node.crash();
  }
  restart(options: Options<{ keepDisk: boolean }> = {}): Promise<void> {
    return this.#node.restart(options);
  }
  pause(): void {
    this.#node.pause();
  }
  resume(): void {
    this.#node.resume();
  }
}
