import { type SeededRandom, SimulationError } from "../env/index.ts";
import type { OpenOptions, RoleOptions } from "../groups/index.ts";
import { dieAtABadMoment } from "./bad-moments.ts";
import { Cast } from "./cast.ts";
import { DISK_EPISODES } from "./disk-episodes.ts";
import { Ending } from "./ending.ts";
import { GROUP_EPISODES } from "./episodes.ts";
import type { FaultKind } from "./fault-counter.ts";
import { drawNodePlan, type NodePlan, type RunStyle } from "./node-plan.ts";
import { Records } from "./records.ts";
import { type RunReport, verdictOf } from "./report.ts";
import { rollBack } from "./rollback.ts";
import type { GroupScene, LastActs } from "./scene.ts";
import { type SimulatedNode, Simulation } from "./simulation.ts";
import { Waits } from "./waits.ts";
import type { Disturbance } from "./weather.ts";
import { Client, WORKLOAD_GROUP, WorkloadMachine } from "./workload.ts";

export interface NodeRunOptions {
  readonly keepTrace?: boolean;
  /** Told of all that the trace hashes, in order. */
  readonly onTrace?: (text: string) => void;
  /** Default 20,000. */
  readonly faultsMs?: number;
  /** Default: drawn. */
  readonly style?: RunStyle | undefined;
}

const OPERATIONS_MIN = 200;
/** All faults are over by then, or the harness is at fault. */
const FAULTS_MS_MAX = 180_000;
const FORM_MS = 30_000;
const HEAL_MS = 60_000;
const EPISODES_AT_ONCE = 3;
/** What may happen to those who are about to found: each of their stores is still needed. */
const STORM: readonly FaultKind[] = ["delay", "stall", "cut-one-way", "cut", "reset", "crash", "power-loss", "pause"];

/**
 * One random run of whole nodes: they replicate registers, lists and counted ids while everything goes wrong that can, and come and go
 * meanwhile; then all heals, and what each incarnation of the group promised is judged.
 */
export async function runNodes(seed: number, options: NodeRunOptions = {}): Promise<RunReport> {
  const simulation = new Simulation({
    seed,
    keepTrace: options.keepTrace,
    onTrace: options.onTrace,
    hasFiles: true,
  });
  const run = new NodeRun(simulation, options.faultsMs ?? 20_000, options.style);
  let cause: unknown;
  let hasFailed = false;
  try {
    await simulation.world.run(() => run.play());
    run.judge();
  } catch (failure) {
    cause = failure;
    hasFailed = true;
  }
  return simulation.report(verdictOf(hasFailed, cause), run.operations, run.plan.faults);
}

class NodeRun {
  readonly plan: NodePlan;
  readonly #simulation: Simulation;
  readonly #random: SeededRandom;
  readonly #faultsMs: number;
  readonly #cast: Cast;
  readonly #records: Records;
  readonly #waits: Waits;
  readonly #clients: Client[] = [];
  readonly #joiners: string[];
  /** Came late, and were not online yet in any of their lives. */
  readonly #latecomers = new Set<SimulatedNode>();
  #isFaulty = true;
  #clientIds = 0;

  constructor(simulation: Simulation, faultsMs: number, style: RunStyle | undefined) {
    this.#simulation = simulation;
    this.#random = simulation.random.fork("run");
    this.plan = drawNodePlan(simulation.random.fork("plan"), style);
    this.#faultsMs = faultsMs;
    this.#cast = new Cast(simulation, this.plan.expect, this.plan.observers);
    this.#waits = new Waits((ms) => simulation.sleep(ms));
    this.#records = new Records(() => simulation.world.nowUs);
    this.#joiners = [...this.plan.joiners];
    simulation.trace.add("sim", `a ${this.plan.style} run of ${this.plan.founders.length} nodes`);
  }

  get operations(): RunReport["operations"] {
    return this.#records.operations;
  }

  async play(): Promise<void> {
    await this.#form();
    await this.#sufferFaults();
    if (this.#random.chance(1, 3)) await this.#goOnWithoutSome();
    await this.#heal();
    await this.#playLastActs();
    for (const client of this.#clients) client.stop();
    await this.#expect("all clients end", HEAL_MS, () => this.#clients.every(({ isDone }) => isDone));
    await new Ending(this.#simulation, this.#cast, this.#records).play();
    await this.#closeAll();
  }

  /** After the run: what its history says. */
  judge(): void {
    this.#records.checkHistories();
  }

  async #form(): Promise<void> {
    const { founders, isStormyStart, firstSide } = this.plan;
    const divide = firstSide > 0 ? this.#divide() : undefined;
    for (const name of founders) await this.#simulation.addNode(name, {}, this.plan);
    for (const node of this.#simulation.nodes) this.#join(node);
    if (!isStormyStart) await this.#expect("all are online after the start", FORM_MS, () => this.#cast.areAllOnline);
    for (const node of this.#simulation.nodes) this.#startClients(node);
    if (isStormyStart) await this.#sufferWhileFounding();
    if (divide === undefined) return;
    await this.#simulation.sleep(this.#random.between(500, 4_000));
    this.#simulation.weather.end(divide);
  }

  /** Two sides that never saw each other. */
  #divide(): Disturbance {
    this.#simulation.trace.add("sim", `the first ${this.plan.firstSide} nodes are apart from the others`);
    const first = new Set(
      this.plan.founders.slice(0, this.plan.firstSide).map((_, i) => this.#simulation.addressOf(i)),
    );
    const concerns = (from: string, to: string): boolean => first.has(from) !== first.has(to);
    const divide: Disturbance = { kind: "cut", isBlocking: true, concerns };
    this.#simulation.weather.begin(divide);
    return divide;
  }

  async #sufferWhileFounding(): Promise<void> {
    const running: Promise<void>[] = [];
    for (let i = this.#random.between(1, 4); i > 0; i--) {
      running.push(this.#run(this.#random.pick(STORM)));
      await this.#simulation.sleep(this.#random.between(10, 1_500));
    }
    await Promise.all(running);
    await this.#expect("all are online after a storm", HEAL_MS, () => this.#cast.areAllOnline);
  }

  /** Each kind once, in any order, and again until it had an effect; then whatever comes, until the time is over. */
  async #sufferFaults(): Promise<void> {
    const { world } = this.#simulation;
    const untilUs = world.nowUs + this.#faultsMs * 1000;
    const limitUs = world.nowUs + FAULTS_MS_MAX * 1000;
    const queue = this.#shuffle(this.plan.faults);
    const running = new Set<Promise<void>>();
    while (world.nowUs < untilUs || this.#isMissingSomething()) {
      if (world.nowUs > limitUs) throw new SimulationError("stalled", `after ${FAULTS_MS_MAX} ms: ${this.#missing()}`);
      if (running.size < EPISODES_AT_ONCE) {
        const missing = this.#missingKinds();
        const kind = queue.shift() ?? this.#random.pick(missing.length > 0 ? missing : this.plan.faults);
        const episode = this.#run(kind).finally(() => running.delete(episode));
        running.add(episode);
      }
      this.#waitForSomething();
      await this.#simulation.sleep(this.#random.between(50, 1_500));
    }
    await Promise.all(running);
  }

  async #run(kind: FaultKind): Promise<void> {
    await (GROUP_EPISODES[kind] ?? DISK_EPISODES[kind])?.(this.#scene());
  }

  #waitForSomething(): void {
    const node = this.#random.pick(this.#simulation.nodes);
    if (this.#cast.isIn(node) && !node.isPaused) this.#waits.begin(node, this.#cast.groupOf(node), this.#random);
  }

  #scene(): GroupScene {
    const { plan } = this;
    const cast = this.#cast;
    return {
      simulation: this.#simulation,
      random: this.#random,
      waits: this.#waits,
      isDurable: plan.isDurable,
      victim: (wanted) => cast.victim(wanted),
      mortal: (wanted) => (plan.isDurable ? cast.victim(wanted) : cast.loser(wanted)),
      loser: () => cast.loser(),
      leaver: () => cast.leaver(),
      release: (node) => cast.release(node),
      noteLoss: (node) => cast.noteLoss(node),
      onDied: (node) => {
        if (!plan.isDurable) cast.noteLoss(node);
      },
      onRestarted: (node, kind) => this.#onRestarted(node, kind),
      isOnline: (node) => cast.isOnline(node),
      groupOf: (node) => cast.groupOf(node),
      anybodyOnline: () => cast.anybodyOnline(this.#random),
      joinLate: () => this.#joinLate(),
      joinAgain: (node, kind) => this.#joinAgain(node, kind),
      leaveGroup: (node) => this.#leaveGroup(node),
      closeGroup: (node) => this.#closeGroup(node),
    };
  }

  #join(node: SimulatedNode): void {
    const { expect, leadershipOf, observers } = this.plan;
    const role: RoleOptions = observers.has(node.name)
      ? { leadership: "observer" }
      : { leadership: leadershipOf.get(node.name), expect };
    const options: RoleOptions & OpenOptions = { ...role, tuning: this.plan.tuning };
    node.join(WORKLOAD_GROUP, { ...options, machine: WorkloadMachine });
    this.#cast.noteStore(node);
    this.#waits.watch(node, "closed", this.#cast.groupOf(node).closed);
  }

  async #joinLate(): Promise<void> {
    const name = this.#joiners.shift();
    if (name === undefined) return;
    const node = await this.#simulation.addNode(name, {}, this.plan);
    this.#latecomers.add(node);
    this.#join(node);
    this.#onRestarted(node, "late-join");
  }

  /** False: it could not leave, and is still there. */
  async #leaveGroup(node: SimulatedNode): Promise<boolean> {
    this.#simulation.trace.add(node.name, "leaves");
    if (!(await this.#waits.ends(node, "leave", this.#cast.groupOf(node).leave()))) return false;
    this.#cast.noteLoss(node);
    node.forget(WORKLOAD_GROUP);
    return true;
  }

  async #closeGroup(node: SimulatedNode): Promise<void> {
    this.#simulation.trace.add(node.name, "closes its group");
    if (!(await this.#waits.ends(node, "close", this.#cast.groupOf(node).close()))) return;
    if (!this.plan.isDurable) this.#cast.noteLoss(node);
    node.forget(WORKLOAD_GROUP);
  }

  async #joinAgain(node: SimulatedNode, kind?: FaultKind): Promise<void> {
    if (!node.isUp || node.hasGroup(WORKLOAD_GROUP)) return;
    this.#join(node);
    this.#onRestarted(node, kind);
  }

  #startClients(node: SimulatedNode): void {
    for (let i = 0; i < 2; i++) {
      const client = new Client({
        simulation: this.#simulation,
        node,
        id: ++this.#clientIds,
        waits: this.#waits,
        record: () => {
          const incarnation = this.#cast.incarnationOf(node);
          return incarnation === undefined ? undefined : this.#records.of(incarnation);
        },
        fellows: () => {
          const incarnation = this.#cast.incarnationOf(node);
          const members = incarnation === undefined ? [] : this.#cast.membersOf(incarnation);
          return members.filter((member) => this.#cast.isIn(member));
        },
      });
      this.#clients.push(client);
      client.start();
    }
  }

  /** @param kind - what counts once it is online again */
  #onRestarted(node: SimulatedNode, kind: FaultKind = "restart"): void {
    if (!this.plan.isDurable || kind === "lost-disk" || kind === "lost-store") this.#cast.noteStore(node);
    if (!this.#cast.isIn(node)) return;
    if (this.#isFaulty) this.#startClients(node);
    const group = this.#cast.groupOf(node);
    this.#waits.watch(node, "closed", group.closed);
    this.#waits.watch(node, "when.online", group.when.online()).then(
      () => {
        // One that died before it was online has come late all the same.
        if (this.#latecomers.delete(node)) this.#simulation.faults.count("late-join");
        if (kind !== "late-join") this.#simulation.faults.count(kind);
      },
      () => {},
    );
  }

  /** Liveness: faults that never end, on a minority, must not stop the others. */
  async #goOnWithoutSome(): Promise<void> {
    const { weather, nodes, trace } = this.#simulation;
    this.#endFaults();
    await this.#expect("all are online before some are lost", HEAL_MS, () => this.#cast.areAllOnline);
    await this.#expectReplaced();
    const lost: SimulatedNode[] = [];
    const wanted = this.#random.between(1, 2);
    for (const node of this.#shuffle(nodes)) {
      if (lost.length < wanted && this.#cast.isMajorityWithout([...lost, node])) lost.push(node);
    }
    trace.add("sim", `goes on without ${lost.map(({ name }) => name).join(", ")}`);
    const addresses = new Set(lost.map(({ address }) => address));
    const how = this.#random.below(3);
    if (how === 0) for (const node of lost) this.#crash(node, this.#random.chance(1, 2));
    else if (how === 1) for (const node of lost) node.pause();
    else {
      const concerns = (from: string, to: string) => addresses.has(from) !== addresses.has(to);
      weather.begin({ kind: "cut", isBlocking: true, concerns });
    }
    const alive = nodes.filter((node) => !lost.includes(node));
    const before = alive.map((node) => this.#cast.groupOf(node).position);
    const goOn = () => alive.every((node, i) => this.#cast.groupOf(node).position >= (before[i] ?? 0) + 5);
    await this.#expect(`the others go on without ${lost.map(({ name }) => name)}`, HEAL_MS, goOn);
    for (const node of lost) {
      if (node.isUp) continue;
      await node.restart();
      this.#onRestarted(node);
    }
  }

  #crash(node: SimulatedNode, silent: boolean): void {
    if (!this.plan.isDurable) this.#cast.noteLoss(node);
    node.crash({ silent });
  }

  #endFaults(): void {
    this.#simulation.trace.add("sim", "all heals");
    this.#simulation.weather.clear();
    for (const node of this.#simulation.nodes) {
      node.resume();
      node.disk.setRoom();
      // Nodes whose wall clocks are far apart may refuse each other's entries; so somebody sets them.
      node.machine.jumpWallClock(-node.machine.wallOffsetMs);
    }
  }

  async #heal(): Promise<void> {
    this.#endFaults();
    await this.#expect("all are online after the heal", HEAL_MS, () => this.#cast.areAllOnline);
    await this.#expectReplaced();
    const before = this.#records.ok;
    await this.#expect("operations go through after the heal", HEAL_MS, () => this.#records.ok >= before + 20);
    this.#isFaulty = false;
  }

  async #playLastActs(): Promise<void> {
    const acts: LastActs = {
      simulation: this.#simulation,
      plan: this.plan,
      cast: this.#cast,
      onRestarted: (node) => this.#onRestarted(node),
      expect: (what, condition) => this.#expect(what, HEAL_MS, condition),
    };
    await rollBack(acts);
    await this.#expectReplaced();
    if (this.plan.style === "disks") await dieAtABadMoment(acts);
  }

  /** Whoever is lost does not vote for long, if there is somebody to follow. */
  async #expectReplaced(): Promise<void> {
    if (this.plan.style === "rivals") return;
    await this.#expect("lost voters are replaced", HEAL_MS, () => this.#cast.areLostReplaced);
  }

  /** Everything that anybody waits for ends now at the latest. */
  async #closeAll(): Promise<void> {
    await Promise.all(this.#simulation.nodes.map((node) => node.network.close()));
    await this.#simulation.sleep(100);
    this.#waits.check();
  }

  async #expect(what: string, withinMs: number, condition: () => boolean): Promise<void> {
    const untilUs = this.#simulation.world.nowUs + withinMs * 1000;
    while (!condition()) {
      if (this.#simulation.world.nowUs >= untilUs) {
        throw new SimulationError("stalled", `${what}: not within ${withinMs} ms; ${this.#cast.describe()}`);
      }
      await this.#simulation.sleep(20);
    }
  }

  #isMissingSomething(): boolean {
    return this.#records.ok < OPERATIONS_MIN || this.#missingKinds().length > 0;
  }

  /** Rivals and their end are at the end of a run. */
  #missingKinds(): readonly FaultKind[] {
    const due = this.plan.faults.filter((kind) => kind !== "rival" && kind !== "discard");
    return due.filter((kind) => this.#simulation.faults.get(kind) === 0);
  }

  #missing(): string {
    const kinds = this.#missingKinds().join(", ") || "-";
    return `${this.#records.ok} operations, no effect of: ${kinds}; ${this.#cast.describe()}`;
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
