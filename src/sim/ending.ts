import { assert, SimulationError } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import type { IncarnationId } from "../storage/index.ts";
import type { Cast } from "./cast.ts";
import { RunViolation } from "./group-invariants.ts";
import type { Records } from "./records.ts";
import type { SimulatedNode, Simulation } from "./simulation.ts";
import { WORKLOAD_GROUP } from "./workload.ts";

const CATCH_UP_MS = 60_000;
/** A last command of somebody may still be on its way. */
const SILENCE_MS = 3_000;

/** The end of a run, once all is healed and nobody calls any more: what every incarnation holds, and what the operator does about rivals. */
export class Ending {
  readonly #simulation: Simulation;
  readonly #cast: Cast;
  readonly #records: Records;

  constructor(simulation: Simulation, cast: Cast, records: Records) {
    this.#simulation = simulation;
    this.#cast = cast;
    this.#records = records;
  }

  async play(): Promise<void> {
    const { incarnations } = this.#cast;
    await Promise.all(incarnations.map((incarnation) => this.#settle(incarnation)));
    if (incarnations.length < 2) return;
    await this.#checkReports();
    const kept = this.#simulation.random.pick(incarnations);
    for (const incarnation of incarnations) if (incarnation !== kept) await this.#discard(incarnation);
    await this.#settle(kept);
  }

  /** All members get to the same position and hold the same, each acknowledged command once. */
  async #settle(incarnation: IncarnationId): Promise<void> {
    const nodes = this.#cast.membersOf(incarnation);
    const groups = nodes.map((node) => this.#cast.groupOf(node));
    const [first] = groups;
    if (first === undefined) return;
    // A last command, so that nothing that is still on its way can come after it and be missed.
    const id = `the end, at ${this.#simulation.world.nowUs}`;
    const { position } = await first.execute({ count: id });
    this.#records.of(incarnation).ledger.acknowledged.add(id);
    await this.#expect("all members catch up", () => groups.every((group) => group.position >= position));
    await this.#simulation.sleep(SILENCE_MS);
    const states = await Promise.all(groups.map((group) => group.query("all", { consistency: "weak" })));
    const texts = states.map(({ position: at, result }) => `${at} ${canonical(result)}`);
    if (texts.some((text) => text !== texts[0])) throw new RunViolation("equal-states", texts.join("\n"));
    checkSessions(nodes);
    const counts = states.map(({ result }, i) => {
      return [nodes[i]?.name ?? "", new Map(Object.entries(result.counts))] as const;
    });
    this.#records.checkCounts(incarnation, new Map(counts));
  }

  /** Whoever is in sight of another incarnation says so. */
  async #checkReports(): Promise<void> {
    const { nodes, faults } = this.#simulation;
    const missing = new Set(nodes.filter((node) => this.#cast.isIn(node)));
    for (const node of missing) {
      void this.#cast
        .groupOf(node)
        .when.rival()
        .then(
          () => missing.delete(node),
          () => {},
        );
    }
    await this.#expect("rivals are reported", () => missing.size === 0).catch(() => {
      const names = [...missing].map(({ name }) => name);
      throw new RunViolation("rivals-reported", `${names} do not say that their group exists twice`);
    });
    faults.count("rival", nodes.length);
  }

  /** The operator's answer: its members start over elsewhere, one by one, or all together. */
  async #discard(incarnation: IncarnationId): Promise<void> {
    const { trace, random } = this.#simulation;
    const nodes = this.#cast.membersOf(incarnation);
    trace.add("sim", `discards ${UniqueId.short(incarnation)} of ${nodes.map(({ name }) => name).join(", ")}`);
    // Newcomers join the lowest in sight, so of the lowest nobody may be left to be seen.
    const isLowest = this.#cast.incarnations[0] === incarnation;
    if (isLowest || random.chance(1, 2)) {
      for (const node of nodes) node.crash();
      for (const node of nodes) await this.#startOver(node, incarnation);
    } else {
      for (const node of nodes) {
        await this.#startOver(node, incarnation);
        await this.#simulation.sleep(random.between(0, 2_000));
      }
    }
    await this.#expect("who started over is online", () => nodes.every((node) => this.#cast.isOnline(node)));
    this.#simulation.faults.count("discard", nodes.length);
  }

  async #startOver(node: SimulatedNode, discard: IncarnationId): Promise<void> {
    await node.restart({ discard: new Map([[WORKLOAD_GROUP, discard]]) });
  }

  async #expect(what: string, condition: () => boolean): Promise<void> {
    const untilUs = this.#simulation.world.nowUs + CATCH_UP_MS * 1000;
    while (!condition()) {
      if (this.#simulation.world.nowUs >= untilUs)
        throw new SimulationError("stalled", `${what}: not within ${CATCH_UP_MS} ms; ${this.#cast.describe()}`);
      await this.#simulation.sleep(20);
    }
  }
}

/** No user sees how many sessions are open, and whoever leads next goes by it: equal wherever the same entry was the last. */
function checkSessions(nodes: readonly SimulatedNode[]): void {
  const known = new Map<number, number>();
  for (const { name, network } of nodes) {
    const groups = network.inspect().groups as readonly { name: string; applied: number; sessions: number }[];
    const { applied, sessions } = groups.find((group) => group.name === WORKLOAD_GROUP) ?? {};
    assert(
      typeof applied === "number" && typeof sessions === "number",
      `${name} tells what it applied, and its sessions`,
    );
    const first = known.get(applied) ?? sessions;
    known.set(applied, first);
    if (first === sessions) continue;
    throw new RunViolation("equal-states", `after entry ${applied} ${name} has ${sessions} sessions, another ${first}`);
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
