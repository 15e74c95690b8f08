import type { Ticket } from "../discovery/index.ts";
import { type Logger, MosaikError, type SeededRandom, silentLogger, VirtualWorld } from "../env/index.ts";
import type { AnyMachine, Group, OpenOptions, RoleOptions } from "../groups/index.ts";
import { Identity, type PeerId, type UniqueId } from "../identity/index.ts";
import { createNetwork, type Network } from "../network.ts";
import type { NetworkOptions } from "../network-options.ts";
import { FileDisk, memoryStorageFactory, type NodeDisk, SimDisk } from "../storage/index.ts";
import { MemoryNetwork } from "../transport/index.ts";
import { FaultCounter, type FaultKind } from "./fault-counter.ts";
import { GroupInvariants, RunViolation } from "./group-invariants.ts";
import type { RunReport } from "./report.ts";
import { Trace } from "./trace.ts";
import { type DelayRange, Weather } from "./weather.ts";

export interface SimulationOptions {
  readonly seed: number;
  /** Keeps the trace's lines, beside their hash. */
  readonly keepTrace?: boolean | undefined;
  /** Told of all that the trace hashes, in order. */
  readonly onTrace?: ((text: string) => void) | undefined;
  readonly usualDelay?: DelayRange | undefined;
  readonly virtualMsMax?: number | undefined;
  /** The nodes keep the product's own files, on simulated file systems. */
  readonly hasFiles?: boolean | undefined;
}

const NETWORK_NAME = "simulated";
/** How a member begins to say that it lost its store to a decayed disk. */
const DAMAGED = "the group's store was damaged";

/**
 * Whole nodes in one virtual world: their wire, their disks, the invariants that watch them, and the trace. What goes wrong is up to
 * the user of this: a story, or a random run.
 */
export class Simulation {
  readonly world: VirtualWorld;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly faults = new FaultCounter();
  readonly weather: Weather;
  readonly wire: MemoryNetwork;
  readonly invariants: GroupInvariants;
  readonly hasFiles: boolean;
  /** Called before each event, when all of the one before it is over. What it throws ends the run. */
  onEvent: () => void = () => {};
  readonly #nodes = new Map<string, SimulatedNode>();
  readonly #names = new Map<string, string>();

  constructor(options: SimulationOptions) {
    this.world = new VirtualWorld({
      seed: options.seed,
      virtualMsMax: options.virtualMsMax,
      onEvent: (_timeUs, node, label) => {
        this.onEvent();
        this.trace.add(node, label);
      },
    });
    this.hasFiles = options.hasFiles === true;
    this.trace = new Trace(() => this.world.nowUs, {
      keepLines: options.keepTrace === true,
      onText: options.onTrace,
    });
    this.random = this.world.random.fork("simulation");
    this.weather = new Weather(this.random.fork("weather"), this.faults, options.usualDelay);
    this.weather.onArrival = (from, to, length) => this.trace.add(to, `takes ${length} bytes from ${from}`);
    this.wire = new MemoryNetwork({ conditions: this.weather });
    this.weather.onCleared = () => this.wire.wake();
    this.invariants = new GroupInvariants({
      onChange: (kind) => this.faults.count(kind),
      onViolation: (violation) => this.world.fail(violation),
      nameOf: ({ peer, member }) => `${this.#names.get(peer) ?? peer}/${member.slice(-6)}`,
      onApply: ({ peer }, { index, term, digest }) => {
        this.trace.add(this.#names.get(peer) ?? peer, `applies ${index} of term ${term} ${digest}`);
      },
    });
  }

  get nodes(): readonly SimulatedNode[] {
    return [...this.#nodes.values()];
  }

  /**
   * Starts another node, which knows all others' addresses.
   *
   * @param options - of its network, in all its lives
   * @param storage.isDurable - false: its groups are stored in memory, and its disk holds no more than its key
   */
  async addNode(
    name: string,
    options: NetworkOptions = {},
    { isDurable = true }: { readonly isDurable?: boolean } = {},
  ): Promise<SimulatedNode> {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const node = new SimulatedNode(this, name, this.addressOf(this.#nodes.size), { options, isDurable });
    this.#nodes.set(name, node);
    await node.start();
    return node;
  }

  /** Of the node that is, or will be, added after so many others. */
  addressOf(place: number): string {
    return `10.0.0.${place + 1}:7000`;
  }

  node(name: string): SimulatedNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  /** @internal So that traces and violations have names. */
  introduce(name: string, peerId: string): void {
    this.#names.set(peerId, name);
  }

  /** All connections between two nodes end, or go dumb. */
  breakConnections(kind: "reset" | "half-open", one: SimulatedNode, two: SimulatedNode): void {
    const { wire } = this;
    const broken = kind === "reset" ? wire.reset(one.address, two.address) : wire.halfOpen(one.address, two.address);
    this.trace.add("sim", `${kind} of ${broken} connections between ${one.name} and ${two.name}`);
    this.faults.count(kind, broken);
  }

  /** What became of this run. */
  report(
    verdict: Pick<RunReport, "verdict" | "invariant" | "reason">,
    operations: RunReport["operations"],
    wanted?: readonly FaultKind[],
  ): RunReport {
    const { world, trace, faults } = this;
    return {
      ...verdict,
      traceHash: trace.digest(),
      events: world.events,
      virtualMs: Math.floor(world.nowUs / 1000),
      faults: faults.toRecord(wanted),
      operations,
      trace: trace.lines,
    };
  }

  /** On the simulator's own clock, which never stops or drifts. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.env("sim").after(ms, resolve));
  }

  /** Waits until it holds, looking again every ten milliseconds. A member that has no answer yet (`group-offline`) is no "yes" and no failure. */
  async until(condition: () => boolean | Promise<boolean>, withinMs: number, what = "the condition"): Promise<void> {
    const untilUs = this.world.nowUs + withinMs * 1000;
    let refusal: unknown;
    const holds = async (): Promise<boolean> => {
      refusal = undefined;
      try {
        return await condition();
      } catch (error) {
        if (!MosaikError.is(error, "group-offline")) throw error;
        refusal = error;
        return false;
      }
    };
    while (!(await holds())) {
      if (this.world.nowUs >= untilUs) {
        throw new Error(
          `${what} did not hold within ${withinMs} ms`,
          refusal === undefined ? undefined : { cause: refusal },
        );
      }
      await this.sleep(10);
    }
  }
}

export interface RestartOptions {
  readonly keepDisk?: boolean | undefined;
  /** Without its disk: the same peer, whose stores are lost. */
  readonly keepKey?: boolean | undefined;
  /** Incarnations of groups whose stores the operator gives up. */
  readonly discard?: ReadonlyMap<string, UniqueId> | undefined;
}

interface JoinedGroup {
  readonly options: RoleOptions & OpenOptions & { readonly machine: AnyMachine };
}

/** One node through all its lives: its disk stays, its network is new each time. */
export class SimulatedNode {
  readonly name: string;
  readonly address: string;
  readonly #simulation: Simulation;
  readonly #options: NetworkOptions;
  readonly #isDurable: boolean;
  readonly #joined = new Map<string, JoinedGroup["options"]>();
  readonly #groups = new Map<string, Group<AnyMachine>>();
  #disk: NodeDisk;
  #disks = 1;
  /** Stores on this disk that were found damaged. */
  #damages = 0;
  #identity: Identity;
  #network: Network | undefined;
  #changeTickets: (tickets: readonly Ticket[]) => void = () => {};

  /** @internal Use `Simulation.addNode`. */
  constructor(
    simulation: Simulation,
    name: string,
    address: string,
    { options, isDurable }: { readonly options: NetworkOptions; readonly isDurable: boolean },
  ) {
    this.#simulation = simulation;
    this.name = name;
    this.address = address;
    this.#options = options;
    this.#isDurable = isDurable;
    this.#disk = this.#makeDisk();
    this.#identity = Identity.fromSeed(this.#disk.identitySeed);
  }

  /** Of its present life, or of the next if it is down. */
  get peerId(): PeerId {
    return this.#identity.peerId;
  }

  get isUp(): boolean {
    return this.#network !== undefined;
  }
  get isPaused(): boolean {
    return this.machine.isPaused;
  }
  get disk(): NodeDisk {
    return this.#disk;
  }
  /** Of its present life. */
  get network(): Network {
    if (this.#network === undefined) throw new Error(`${this.name} is down`);
    return this.#network;
  }
  /** The node as the virtual world sees it: clocks, pauses. */
  get machine() {
    return this.#simulation.world.node(this.name);
  }

  /** Of its present life. A group that was joined is joined again by each life. */
  group(name: string): Group<AnyMachine> {
    const group = this.#groups.get(name);
    if (group === undefined) throw new Error(`${this.name} has no group ${name} in its present life`);
    return group;
  }

  hasGroup(name: string): boolean {
    return this.#groups.has(name);
  }

  join(name: string, options: JoinedGroup["options"]): Group<AnyMachine> {
    this.#joined.set(name, options);
    const group = this.network.groups.join(name, options);
    this.#groups.set(name, group);
    return group;
  }

  /** Shows these tickets instead of those before, in its present life. @throws `bad-option`, `too-large` */
  changeTickets(tickets: readonly Ticket[]): void {
    this.#changeTickets(tickets);
  }

  /** It is, or will be after its next start, in this group. */
  isJoined(name: string): boolean {
    return this.#joined.has(name);
  }

  /** It left or closed this group, and is not in it any more. */
  forget(name: string): void {
    this.#joined.delete(name);
    this.#groups.delete(name);
  }

  /** @internal @param discard - incarnations of groups whose stores are set aside at this start */
  async start(discard: ReadonlyMap<string, UniqueId> = new Map()): Promise<void> {
    const { env, life } = this.machine;
    const identity = this.#identity;
    this.#simulation.introduce(this.name, identity.peerId);
    this.#note("starts");
    const others = this.#simulation.nodes.filter((node) => node !== this).map(({ address }) => address);
    const options: NetworkOptions = { listen: this.address, bootstrap: others, insecure: true, ...this.#options };
    const network = await createNetwork(NETWORK_NAME, options, {
      env,
      identity,
      transport: (init) =>
        this.#simulation.wire.transport({ env: init.env, identity: init.identity, address: init.listen }),
      storage: this.#isDurable ? this.#disk.storage(env) : memoryStorageFactory(env),
      logger: this.#logger(),
      probe: this.#simulation.invariants,
      onTickets: (change) => {
        this.#changeTickets = change;
      },
    });
    if (this.machine.life !== life) return;
    this.#network = network;
    for (const [name, groupOptions] of this.#joined) {
      this.#groups.set(name, network.groups.join(name, { ...groupOptions, discard: discard.get(name) }));
    }
  }

  /** The process dies in this very moment. @param options.silent - its peers are not told: the machine lost its power */
  crash({ silent = false }: { readonly silent?: boolean } = {}): void {
    if (this.#network === undefined) return;
    this.#note(silent ? "loses power" : "crashes");
    this.#network = undefined;
    this.#groups.clear();
    this.machine.crash();
    this.#simulation.wire.crash(this.address, { silent });
    this.#disk.crash();
    const { lost, torn } = this.#disk.takeEffects();
    this.#simulation.faults.count(silent ? "power-loss" : "crash");
    this.#simulation.faults.count("lost-writes", lost);
    this.#simulation.faults.count("torn-write", torn);
  }

  /** The process closes its network in order, and is then over: `exit`. */
  async close(): Promise<void> {
    this.#note("closes");
    await this.network.close();
  }

  /** The process is over. */
  exit(): void {
    this.#network = undefined;
    this.#groups.clear();
    this.machine.crash();
    this.#simulation.wire.crash(this.address, { silent: false });
    this.#disk.crash();
  }

  /** Begins its next life. With another disk it is another peer, unless it has its key from elsewhere (`keepKey`). */
  async restart(options: RestartOptions = {}): Promise<void> {
    const { keepDisk = true, keepKey = keepDisk, discard } = options;
    if (this.#network !== undefined) this.crash();
    if (!keepDisk) {
      this.#disks++;
      this.#disk = this.#makeDisk();
      this.#damages = 0;
    }
    if (!keepKey) this.#identity = Identity.fromSeed(this.#disk.identitySeed);
    await this.start(discard);
  }

  pause(): void {
    this.#note("is paused");
    this.machine.pause();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.#note("goes on");
    this.machine.resume();
  }

  #makeDisk(): NodeDisk {
    const random = this.#simulation.random.fork(`disk/${this.name}/${this.#disks}`);
    const onStep = (step: string): void => this.#note(`disk ${step}`);
    return this.#simulation.hasFiles ? new FileDisk(random, onStep) : new SimDisk(this.name, random, onStep);
  }

  #note(what: string): void {
    this.#simulation.trace.add(this.name, what);
  }

  /** Whatever a power loss or a failed call leaves is no damage: then a member loses its vote for nothing, and all may at once. */
  #onDamaged(): void {
    if (++this.#damages <= this.#disk.decays) return;
    const violation = new RunViolation("durability", `${this.name} gave up a store as damaged, and no bit had decayed`);
    this.#simulation.world.fail(violation);
  }

  /** An error that a node logs is a bug: what is expected of peers and networks is not an error. */
  #logger(): Logger {
    const note = (fields: object, message: string): void => {
      const { reason } = fields as { readonly reason?: unknown };
      this.#note(`logs: ${message}${typeof reason === "string" ? `: ${reason}` : ""}`);
    };
    return {
      ...silentLogger,
      info: note,
      warn: (fields, message) => {
        note(fields, message);
        if (message.startsWith(DAMAGED)) this.#onDamaged();
      },
      error: (fields, message) => {
        const { cause } = fields as { readonly cause?: unknown };
        if (message.startsWith("rival-incarnation") && this.#simulation.invariants.areRivalsAllowed) return;
        // A disk that was made to fail stops its member, and says so.
        if (this.#disk.hasFailed && MosaikError.is(cause, "storage-failed")) return;
        const what = cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(fields);
        this.#simulation.world.fail(new RunViolation("no-bug", `${this.name}: ${message}: ${what}`, cause));
      },
    };
  }
}
