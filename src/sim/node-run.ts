import { type SeededRandom, SimulationError } from "../env/index.ts";
import { DISK_EPISODES, isWhole } from "./disk-episodes.ts";
import { EPISODES, type EpisodeScene } from "./episodes.ts";
import { checkExactlyOnce } from "./exactly-once.ts";
import { FAULT_KINDS, type FaultKind } from "./fault-counter.ts";
import { RunViolation } from "./group-invariants.ts";
import { History } from "./history.ts";
import { checkLinearizability } from "./linearizability.ts";
import { type RunReport, verdictOf } from "./report.ts";
import { type SimulatedNode, Simulation } from "./simulation.ts";
import { Client, Ledger, WORKLOAD_GROUP, type WorkloadGroup, WorkloadMachine } from "./workload.ts";

export interface NodeRunOptions {
  readonly keepTrace?: boolean;
  /** Told of all that the trace hashes, in order. */
  readonly onTrace?: (text: string) => void;
  /** Default 20,000. */
  readonly faultsMs?: number;
}

const NAMES = ["ada", "bob", "cyd", "dan", "eve"];
const OPERATIONS_MIN = 200;
/** All faults are over by then, or the harness is at fault. */
const FAULTS_MS_MAX = 180_000;
const FORM_MS = 30_000;
const HEAL_MS = 60_000;
const SHORT_TTL_MS = 1_000;
const EPISODES_AT_ONCE = 3;

/**
 * One random run of whole nodes: three or five of them replicate registers, lists and counted ids while everything goes wrong that can,
 * then all heals, and the history is judged.
 */
export async function runNodes(seed: number, options: NodeRunOptions = {}): Promise<RunReport> {
  const simulation = new Simulation({
    seed,
    keepTrace: options.keepTrace,
    onTrace: options.onTrace,
    hasFiles: true,
  });
  const run = new NodeRun(simulation, options.faultsMs ?? 20_000);
  let cause: unknown;
  let hasFailed = false;
  try {
    await simulation.world.run(() => run.play());
    run.judge();
  } catch (failure) {
    cause = failure;
    hasFailed = true;
  }
  return simulation.report(verdictOf(hasFailed, cause), run.operations);
}

class NodeRun {
  readonly #simulation: Simulation;
  readonly #random: SeededRandom;
  readonly #faultsMs: number;
  readonly #history: History;
  readonly #ledger = new Ledger();
  readonly #clients: Client[] = [];
  readonly #victims = new Set<SimulatedNode>();
  readonly #size: number;
  #isFaulty = true;
  #clientIds = 0;

  constructor(simulation: Simulation, faultsMs: number) {
    this.#simulation = simulation;
    this.#random = simulation.random.fork("run");
    this.#faultsMs = faultsMs;
    this.#history = new History(() => simulation.world.nowUs);
    this.#size = this.#random.pick([3, 3, 4, 5]);
  }

  get operations(): RunReport["operations"] {
    const { ok, notApplied } = this.#ledger;
    const openCounts = this.#ledger.unknown.size;
    return { ok, notApplied, unknown: this.#history.count("unknown") + openCounts };
  }

  async play(): Promise<void> {
    await this.#form();
    for (const node of this.#simulation.nodes) this.#startClients(node);
    await this.#sufferFaults();
    if (this.#random.chance(1, 3)) await this.#goOnWithoutSome();
    await this.#heal();
    await this.#quiesce();
  }

  /** After the run: what its history says. */
  judge(): void {
    const checked = checkLinearizability(this.#history.operations());
    if (checked.verdict === "violation")
      throw new RunViolation("linearizability", `key ${checked.key}: ${checked.reason}`);
    if (checked.verdict === "undecided") throw new Error(`linearizability of key ${checked.key} could not be decided`);
  }

  async #form(): Promise<void> {
    const names = NAMES.slice(0, this.#size);
    for (const name of names) await this.#simulation.addNode(name);
    // One more than the founders reads along.
    const expect = this.#size === 4 ? 3 : this.#size;
    // In half of the runs whoever is away for a moment loses its session.
    const tuning = this.#random.chance(1, 2) ? { sessionTtlMs: SHORT_TTL_MS } : {};
    for (const node of this.#simulation.nodes) node.join(WORKLOAD_GROUP, { machine: WorkloadMachine, expect, tuning });
    await this.#expect("all are online after the start", FORM_MS, () => this.#areAllOnline());
  }

  #startClients(node: SimulatedNode): void {
    for (let i = 0; i < 2; i++) {
      const client = new Client(this.#simulation, node, ++this.#clientIds, this.#history, this.#ledger);
      this.#clients.push(client);
      client.start();
    }
  }

  /** Each kind once, in any order, and again until it had an effect; then whatever comes, until the time is over. */
  async #sufferFaults(): Promise<void> {
    const { world } = this.#simulation;
    const untilUs = world.nowUs + this.#faultsMs * 1000;
    const limitUs = world.nowUs + FAULTS_MS_MAX * 1000;
    const queue = this.#shuffle(FAULT_KINDS);
    const running = new Set<Promise<void>>();
    while (world.nowUs < untilUs || this.#isMissingSomething()) {
      if (world.nowUs > limitUs) throw new SimulationError("stalled", `after ${FAULTS_MS_MAX} ms: ${this.#missing()}`);
      if (running.size < EPISODES_AT_ONCE) {
        const kind =
          queue.shift() ?? this.#random.pick(this.#missingKinds().length > 0 ? this.#missingKinds() : FAULT_KINDS);
        const episode = this.#run(kind).finally(() => running.delete(episode));
        running.add(episode);
      }
      await this.#simulation.sleep(this.#random.between(50, 1_500));
    }
    await Promise.all(running);
  }

  async #run(kind: FaultKind): Promise<void> {
    await (EPISODES[kind] ?? DISK_EPISODES[kind])?.(this.#scene());
  }

  #scene(): EpisodeScene {
    return {
      simulation: this.#simulation,
      random: this.#random,
      victim: (wanted) => this.#pickVictim(wanted),
      release: (node) => this.#victims.delete(node),
      onRestarted: (node) => this.#onRestarted(node),
    };
  }

  /** Mostly a majority is spared, so that there is somebody to show what goes wrong; but not always. */
  #pickVictim(wanted: SimulatedNode | undefined): SimulatedNode | undefined {
    const isSparing = !this.#random.chance(1, 8);
    if (isSparing && (this.#victims.size + 1) * 2 > this.#size) return undefined;
    const free = this.#simulation.nodes.filter((node) => node.isUp && !this.#victims.has(node));
    const candidates = wanted === undefined ? free : free.filter((node) => node === wanted);
    if (candidates.length === 0) return undefined;
    const leader = candidates.find((node) => this.#groupOf(node).isLeader);
    const victim = leader !== undefined && this.#random.chance(1, 2) ? leader : this.#random.pick(candidates);
    this.#victims.add(victim);
    return victim;
  }

  #onRestarted(node: SimulatedNode): void {
    if (this.#isFaulty) this.#startClients(node);
    const { life } = node.machine;
    this.#groupOf(node)
      .when.online()
      .then(
        () => {
          if (node.machine.life === life) this.#simulation.faults.count("restart");
        },
        () => {},
      );
  }

  /** Liveness: faults that never end, on a minority, must not stop the others. */
  async #goOnWithoutSome(): Promise<void> {
    const { weather, nodes, trace } = this.#simulation;
    this.#endFaults();
    // A member whose store was damaged has another one, and no vote before it is promoted.
    await this.#expect("all are online and vote before some are lost", HEAL_MS, () => isWhole(this.#simulation));
    // Of four only three vote, and it need not be the fourth that is lost.
    const lost = this.#shuffle(nodes).slice(0, this.#size === 5 ? this.#random.between(1, 2) : 1);
    trace.add("sim", `goes on without ${lost.map(({ name }) => name).join(", ")}`);
    const addresses = new Set(lost.map(({ address }) => address));
    const how = this.#random.below(3);
    if (how === 0) for (const node of lost) node.crash({ silent: this.#random.chance(1, 2) });
    else if (how === 1) for (const node of lost) node.pause();
    else {
      const concerns = (from: string, to: string) => addresses.has(from) !== addresses.has(to);
      weather.begin({ kind: "cut", isBlocking: true, concerns });
    }
    const alive = nodes.filter((node) => !lost.includes(node));
    const before = alive.map((node) => this.#groupOf(node).position);
    const goOn = () => alive.every((node, i) => this.#groupOf(node).position >= (before[i] ?? 0) + 5);
    await this.#expect(`the others go on without ${lost.map(({ name }) => name)}`, HEAL_MS, goOn);
    for (const node of lost) {
      if (node.isUp) continue;
      await node.restart();
      this.#onRestarted(node);
    }
  }

  #endFaults(): void {
    this.#simulation.trace.add("sim", "all heals");
    this.#simulation.weather.clear();
    for (const node of this.#simulation.nodes) {
      node.resume();
      // Nodes whose wall clocks are far apart may refuse each other's entries; so somebody sets them.
      node.machine.jumpWallClock(-node.machine.wallOffsetMs);
    }
  }

  async #heal(): Promise<void> {
    this.#endFaults();
    await this.#expect("all are online after the heal", HEAL_MS, () => this.#areAllOnline());
    const before = this.#ledger.ok;
    await this.#expect("operations go through after the heal", HEAL_MS, () => this.#ledger.ok >= before + 20);
    this.#isFaulty = false;
  }

  /** All clients stop, all members get to the same position, and hold the same. */
  async #quiesce(): Promise<void> {
    for (const client of this.#clients) client.stop();
    await this.#expect("all clients end", HEAL_MS, () => this.#clients.every(({ isDone }) => isDone));
    const groups = this.#simulation.nodes.map((node) => this.#groupOf(node));
    // A last command, so that nothing that is still on its way can come after it and be missed.
    const { position } = await (groups[0] as WorkloadGroup).execute({ count: "the end" });
    this.#ledger.acknowledged.add("the end");
    await this.#expect("all members catch up", HEAL_MS, () => groups.every((group) => group.position >= position));
    await this.#simulation.sleep(3_000);
    const states = await Promise.all(groups.map((group) => group.query("all", { consistency: "weak" })));
    const texts = states.map(({ position: at, result }) => `${at} ${canonical(result)}`);
    if (texts.some((text) => text !== texts[0])) throw new RunViolation("equal-states", texts.join("\n"));
    this.#checkCounts(states.map(({ result }) => result.counts));
  }

  #checkCounts(counts: readonly Readonly<Record<string, number>>[]): void {
    const names = this.#simulation.nodes.map(({ name }) => name);
    const members = new Map(counts.map((ofMember, i) => [names[i] as string, new Map(Object.entries(ofMember))]));
    const { acknowledged, unknown } = this.#ledger;
    const { lost, duplicated, phantom } = checkExactlyOnce({ acknowledged, unknown, members });
    if (lost.length + duplicated.length + phantom.length === 0) return;
    throw new RunViolation("exactly-once", `lost ${lost}; duplicated ${duplicated}; from nowhere ${phantom}`);
  }

  #areAllOnline(): boolean {
    return this.#simulation.nodes.every((node) => node.isUp && this.#groupOf(node).state === "online");
  }

  #groupOf(node: SimulatedNode): WorkloadGroup {
    return node.group(WORKLOAD_GROUP) as unknown as WorkloadGroup;
  }

  async #expect(what: string, withinMs: number, condition: () => boolean): Promise<void> {
    const untilUs = this.#simulation.world.nowUs + withinMs * 1000;
    while (!condition()) {
      if (this.#simulation.world.nowUs >= untilUs) {
        throw new SimulationError("stalled", `${what}: not within ${withinMs} ms; ${this.#describe()}`);
      }
      await this.#simulation.sleep(20);
    }
  }

  #isMissingSomething(): boolean {
    return this.#ledger.ok < OPERATIONS_MIN || this.#missingKinds().length > 0;
  }

  #missingKinds(): readonly FaultKind[] {
    return FAULT_KINDS.filter((kind) => this.#simulation.faults.get(kind) === 0);
  }

  #missing(): string {
    return `${this.#ledger.ok} operations, no effect of: ${this.#missingKinds().join(", ") || "-"}; ${this.#describe()}`;
  }

  /** Where each member is. */
  #describe(): string {
    return this.#simulation.nodes
      .map((node) => {
        if (!node.isUp) return `${node.name} down`;
        const { state, position, isLeader, term } = this.#groupOf(node);
        return `${node.name} ${state}${isLeader ? " leads" : ""} term ${term} position ${position}`;
      })
      .join(", ");
  }

  #shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.#random.below(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
    }
    return shuffled;
  }
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
