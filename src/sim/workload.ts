import { MosaikError, type Receipt, type SeededRandom } from "../env/index.ts";
import { defineMachine, type Group } from "../groups/index.ts";
import { RunViolation } from "./group-invariants.ts";
import type { History, OperationEnd } from "./history.ts";
import type { SimulatedNode, Simulation } from "./simulation.ts";

interface WorkloadState {
  readonly registers: Record<string, unknown>;
  readonly lists: Record<string, unknown[]>;
  /** How often each id was counted. */
  readonly counts: Record<string, number>;
}

/** What the random runs replicate: registers, lists, and a counter of ids that are used once. */
export const WorkloadMachine = defineMachine("workload", {
  state: (): WorkloadState => ({ registers: {}, lists: {}, counts: {} }),
  commands: {
    write: ({ registers }, { key, value }: { key: string; value: number }) => {
      registers[key] = value;
      return null;
    },
    cas: ({ registers }, input: { key: string; expected: number | null; new: number }) => {
      if ((registers[input.key] ?? null) !== input.expected) return false;
      registers[input.key] = input.new;
      return true;
    },
    append: ({ lists }, { key, element }: { key: string; element: number }) => {
      lists[key] = [...(lists[key] ?? []), element];
      return null;
    },
    count: ({ counts }, id: string) => {
      counts[id] = (counts[id] ?? 0) + 1;
      return counts[id];
    },
  },
  queries: {
    register: ({ registers }, key: string) => registers[key] ?? null,
    list: ({ lists }, key: string) => [...(lists[key] ?? [])],
    all: (state) => structuredClone(state),
  },
});

export type WorkloadGroup = Group<typeof WorkloadMachine>;
export const WORKLOAD_GROUP = "workload";
/** A client waits this long for one operation. */
const TIMEOUT_MS = 3_000;
const THINK_MS = { from: 10, to: 250 } as const;
/** Registers and lists in use at one time; others follow, so that no key has too many operations to check. */
const KEYS_AT_ONCE = 3;
const KEYS_LIVE_US = 8_000_000;

/** What became of the counted ids, and how many operations ended how. */
export class Ledger {
  readonly acknowledged = new Set<string>();
  readonly unknown = new Set<string>();
  ok = 0;
  notApplied = 0;
  /** Ended as unknown; those that never ended are added by `countUnknown`. */
  unknownOperations = 0;
}

/**
 * A client of one node, for one life of that node: it calls, waits, thinks, and calls again, on the node's own clock. If the node dies,
 * so does the client, and what it had under way stays open.
 */
export class Client {
  readonly #simulation: Simulation;
  readonly #node: SimulatedNode;
  readonly #id: number;
  readonly #history: History;
  readonly #ledger: Ledger;
  readonly #random: SeededRandom;
  readonly #life: number;
  #sequence = 0;
  #isStopped = false;
  #isIdle = true;

  constructor(simulation: Simulation, node: SimulatedNode, id: number, history: History, ledger: Ledger) {
    this.#simulation = simulation;
    this.#node = node;
    this.#id = id;
    this.#history = history;
    this.#ledger = ledger;
    this.#random = simulation.random.fork(`client/${id}`);
    this.#life = node.machine.life;
  }

  start(): void {
    this.#think();
  }

  /** Calls nothing more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Waits for nothing: it was stopped and its last operation ended, or its node died. */
  get isDone(): boolean {
    return this.#node.machine.life !== this.#life || (this.#isStopped && this.#isIdle);
  }

  #think(): void {
    const { env } = this.#node.machine;
    env.after(this.#random.between(THINK_MS.from, THINK_MS.to), () => {
      if (this.#isStopped || !this.#node.isUp) return;
      this.#isIdle = false;
      this.#operate().then(
        () => {
          this.#isIdle = true;
          this.#think();
        },
        (cause: unknown) => this.#simulation.world.fail(cause),
      );
    });
  }

  #operate(): Promise<void> {
    const group = this.#node.group(WORKLOAD_GROUP) as unknown as WorkloadGroup;
    const key =
      this.#random.below(KEYS_AT_ONCE) + KEYS_AT_ONCE * Math.floor(this.#simulation.world.nowUs / KEYS_LIVE_US);
    const dice = this.#random.below(100);
    if (dice < 25) return this.#read(group, `r${key}`, "register");
    if (dice < 40) return this.#read(group, `l${key}`, "list");
    if (dice < 55) return this.#write(group, `r${key}`);
    if (dice < 70) return this.#cas(group, `r${key}`);
    if (dice < 85) return this.#append(group, `l${key}`);
    return this.#count(group);
  }

  #read(group: WorkloadGroup, key: string, query: "register" | "list"): Promise<void> {
    const end = this.#history.begin(this.#id, "read", key);
    const call = { [query]: key } as { register: string } | { list: string };
    return this.#settle(group.query(call, { timeoutMs: TIMEOUT_MS }), end, ({ result }) => result, true);
  }

  #write(group: WorkloadGroup, key: string): Promise<void> {
    const value = this.#unique();
    const end = this.#history.begin(this.#id, "write", key, value);
    return this.#settle(group.execute({ write: { key, value } }, { timeoutMs: TIMEOUT_MS }), end, () => null);
  }

  /** Of what it just read, or of something that may be there. */
  async #cas(group: WorkloadGroup, key: string): Promise<void> {
    const next = this.#unique();
    const { result } = await group.query({ register: key }, { consistency: "weak" }).catch(ignoreRefusal);
    const input = { expected: result as number | null, new: next };
    const end = this.#history.begin(this.#id, "cas", key, input);
    const call = group.execute({ cas: { key, ...input } }, { timeoutMs: TIMEOUT_MS });
    return this.#settle(call, end, (done) => done.result);
  }

  #append(group: WorkloadGroup, key: string): Promise<void> {
    const element = this.#unique();
    const end = this.#history.begin(this.#id, "append", key, element);
    return this.#settle(group.execute({ append: { key, element } }, { timeoutMs: TIMEOUT_MS }), end, () => null);
  }

  #count(group: WorkloadGroup): Promise<void> {
    const id = `${this.#id}-${this.#unique()}`;
    const { acknowledged, unknown } = this.#ledger;
    unknown.add(id);
    const end: OperationEnd = {
      ok: () => {
        unknown.delete(id);
        acknowledged.add(id);
      },
      fail: () => unknown.delete(id),
      unknown: () => {},
    };
    return this.#settle(group.execute({ count: id }, { timeoutMs: TIMEOUT_MS }), end, () => null);
  }

  async #settle<T>(call: Promise<T>, end: OperationEnd, output: (value: T) => unknown, isRead = false): Promise<void> {
    try {
      end.ok(output(await call));
      this.#ledger.ok++;
    } catch (error) {
      if (!MosaikError.is(error)) throw new RunViolation("no-bug", `an operation threw ${error}`, error);
      if (!isRead && MosaikError.is(error, "outcome-unknown") && this.#random.chance(1, 2)) {
        await this.#ask(error.details.receipt, end);
      } else if (!isRead && (error.outcome === "unknown" || error.outcome === "applied")) {
        end.unknown();
        this.#ledger.unknownOperations++;
      } else {
        // `undefined`: no effect was possible. If that is a lie, the history tells.
        end.fail();
        this.#ledger.notApplied++;
      }
    }
  }

  /** On any member: what it says is believed, and the history and the counts show whether it was true. */
  async #ask(receipt: Receipt, end: OperationEnd): Promise<void> {
    const nodes = this.#simulation.nodes.filter((node) => node.isUp);
    const group = this.#random.pick(nodes).group(WORKLOAD_GROUP) as unknown as WorkloadGroup;
    try {
      const fate = await group.outcomeOf(receipt, { timeoutMs: TIMEOUT_MS });
      if (fate === undefined) return end.fail();
      // Elsewhere than on its node the result is not known, and only compare-and-set has one to tell.
    } catch (error) {
      if (!MosaikError.is(error)) throw error;
    }
    end.unknown();
    this.#ledger.unknownOperations++;
  }

  #unique(): number {
    return this.#id * 1_000_000 + this.#sequence++;
  }
}

function ignoreRefusal(error: unknown): { readonly result: null } {
  if (MosaikError.is(error)) return { result: null };
  throw error;
}
