import { type Env, MosaikError, type Receipt, type SeededRandom } from "../env/index.ts";
import { defineMachine, type Group } from "../groups/index.ts";
import { RunViolation } from "./group-invariants.ts";
import type { OperationEnd } from "./history.ts";
import type { Record } from "./records.ts";
import type { SimulatedNode, Simulation } from "./simulation.ts";
import type { Waits } from "./waits.ts";

interface WorkloadState {
  readonly registers: { [key: string]: unknown };
  readonly lists: { [key: string]: unknown[] };
  /** How often each id was counted. */
  readonly counts: { [id: string]: number };
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

export interface ClientOptions {
  readonly simulation: Simulation;
  readonly node: SimulatedNode;
  readonly id: number;
  readonly waits: Waits;
  /** Where it is noted what is asked of the incarnation that the node is in; undefined: nothing can be asked yet. */
  readonly record: () => Record | undefined;
  /** Those that can be asked what became of a command: members of that incarnation. */
  readonly fellows: () => readonly SimulatedNode[];
}

/**
 * A client of one node, for one life of its member: it calls, waits, thinks, and calls again, on the node's own clock. If the node dies,
 * so does the client, and what it had under way stays open.
 */
export class Client {
  readonly #simulation: Simulation;
  readonly #node: SimulatedNode;
  readonly #id: number;
  readonly #waits: Waits;
  readonly #record: () => Record | undefined;
  readonly #fellows: () => readonly SimulatedNode[];
  readonly #random: SeededRandom;
  readonly #life: number;
  /** Of that life: no timer of it fires in the next one, where the group that we call is nobody's. */
  readonly #env: Env;
  readonly #group: WorkloadGroup;
  #sequence = 0;
  #isStopped = false;
  #isIdle = true;

  constructor(options: ClientOptions) {
    this.#simulation = options.simulation;
    this.#node = options.node;
    this.#id = options.id;
    this.#waits = options.waits;
    this.#record = options.record;
    this.#fellows = options.fellows;
    this.#random = options.simulation.random.fork(`client/${options.id}`);
    this.#life = options.node.machine.life;
    this.#env = options.node.machine.env;
    this.#group = options.node.group(WORKLOAD_GROUP) as unknown as WorkloadGroup;
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
    this.#env.after(this.#random.between(THINK_MS.from, THINK_MS.to), () => {
      if (this.#isStopped || this.#group.state === "closed") {
        this.#isStopped = true;
        return;
      }
      const record = this.#record();
      if (record === undefined) return this.#think();
      this.#isIdle = false;
      this.#operate(record).then(
        () => {
          this.#isIdle = true;
          this.#think();
        },
        (cause: unknown) => this.#simulation.world.fail(cause),
      );
    });
  }

  #operate(record: Record): Promise<void> {
    const key =
      this.#random.below(KEYS_AT_ONCE) + KEYS_AT_ONCE * Math.floor(this.#simulation.world.nowUs / KEYS_LIVE_US);
    const dice = this.#random.below(100);
    if (dice < 25) return this.#read(record, `r${key}`, "register");
    if (dice < 40) return this.#read(record, `l${key}`, "list");
    if (dice < 55) return this.#write(record, `r${key}`);
    if (dice < 70) return this.#cas(record, `r${key}`);
    if (dice < 85) return this.#append(record, `l${key}`);
    return this.#count(record);
  }

  #read(record: Record, key: string, query: "register" | "list"): Promise<void> {
    const end = record.history.begin(this.#id, "read", key);
    const call = { [query]: key } as { register: string } | { list: string };
    return this.#settle(record, this.#group.query(call, { timeoutMs: TIMEOUT_MS }), end, ({ result }) => result, true);
  }

  #write(record: Record, key: string): Promise<void> {
    const value = this.#unique();
    const end = record.history.begin(this.#id, "write", key, value);
    return this.#settle(
      record,
      this.#group.execute({ write: { key, value } }, { timeoutMs: TIMEOUT_MS }),
      end,
      () => null,
    );
  }

  /** Of what it just read, or of something that may be there. */
  async #cas(record: Record, key: string): Promise<void> {
    const next = this.#unique();
    const { result } = await this.#group.query({ register: key }, { consistency: "weak" }).catch(ignoreRefusal);
    const input = { expected: result as number | null, new: next };
    const end = record.history.begin(this.#id, "cas", key, input);
    const call = this.#group.execute({ cas: { key, ...input } }, { timeoutMs: TIMEOUT_MS });
    return this.#settle(record, call, end, (done) => done.result);
  }

  #append(record: Record, key: string): Promise<void> {
    const element = this.#unique();
    const end = record.history.begin(this.#id, "append", key, element);
    return this.#settle(
      record,
      this.#group.execute({ append: { key, element } }, { timeoutMs: TIMEOUT_MS }),
      end,
      () => null,
    );
  }

  #count(record: Record): Promise<void> {
    const id = `${this.#id}-${this.#unique()}`;
    const { acknowledged, unknown } = record.ledger;
    unknown.add(id);
    const end: OperationEnd = {
      ok: () => {
        unknown.delete(id);
        acknowledged.add(id);
      },
      fail: () => unknown.delete(id),
      unknown: () => {},
    };
    return this.#settle(record, this.#group.execute({ count: id }, { timeoutMs: TIMEOUT_MS }), end, () => null);
  }

  async #settle<T>(
    { ledger }: Record,
    call: Promise<T>,
    end: OperationEnd,
    output: (value: T) => unknown,
    isRead = false,
  ): Promise<void> {
    try {
      end.ok(output(await this.#waits.watch(this.#node, isRead ? "query" : "execute", call)));
      ledger.ok++;
    } catch (error) {
      if (!MosaikError.is(error)) throw new RunViolation("no-bug", `an operation threw ${error}`, error);
      if (!isRead && MosaikError.is(error, "outcome-unknown") && this.#random.chance(1, 2)) {
        await this.#ask(error.details.receipt, end);
      } else if (!isRead && (error.outcome === "unknown" || error.outcome === "applied")) {
        end.unknown();
      } else {
        // `undefined`: no effect was possible. If that is a lie, the history tells.
        end.fail();
        ledger.notApplied++;
      }
    }
  }

  /** On any member: what it says is believed, and the history and the counts show whether it was true. */
  async #ask(receipt: Receipt, end: OperationEnd): Promise<void> {
    const nodes = this.#fellows();
    if (nodes.length === 0) return end.unknown();
    const node = this.#random.pick(nodes);
    const group = node.group(WORKLOAD_GROUP) as unknown as WorkloadGroup;
    const asked = group.outcomeOf(receipt, { timeoutMs: TIMEOUT_MS });
    const answer = await this.#waits.outcome(node, "outcomeOf", asked);
    // Elsewhere than on its node the result is not known, and only compare-and-set has one to tell.
    if (answer !== undefined && answer.value === undefined) end.fail();
    else end.unknown();
  }

  #unique(): number {
    return this.#id * 1_000_000 + this.#sequence++;
  }
}

function ignoreRefusal(error: unknown): { readonly result: null } {
  if (MosaikError.is(error)) return { result: null };
  throw error;
}
