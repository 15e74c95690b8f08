import { isDeepStrictEqual } from "node:util";
import { MosaikError } from "../env/index.ts";
import { type AnyMachine, type Group, Replica, runtimeOf } from "../groups/index.ts";
import type { UniqueId } from "../identity/index.ts";
import { RunViolation } from "./group-invariants.ts";
import type { RunReport } from "./report.ts";
import type { Simulation } from "./simulation.ts";

/** One call that came back, and where in the group's history it says that it took place. */
interface Witnessed {
  readonly type: "command" | "query";
  readonly call: number;
  readonly returned: number;
  readonly position: number;
  /** Commands: one result each, the last at `position`. A query: its one result. */
  readonly results: readonly unknown[];
  readonly query: unknown;
}

/**
 * Judges a group of any machine. Every write and every strong read names its position, so the order that would explain a history need not be
 * searched for: it is claimed. What is left is to replay the log on a fresh replica and to compare each result, and to see that no
 * position contradicts the order of calls and returns (Herlihy and Wing: an order is right if it respects time and the specification).
 */
export class GroupWitness {
  readonly #simulation: Simulation;
  readonly #machine: AnyMachine;
  readonly #witnessed: Witnessed[] = [];
  readonly #watched = new Map<Group<AnyMachine>, Group<AnyMachine>>();
  readonly #operations = { ok: 0, notApplied: 0, unknown: 0 };
  #groupId: UniqueId | undefined;
  #networkId: UniqueId | undefined;
  #stamp = 0;
  #open = 0;

  constructor(simulation: Simulation, machine: AnyMachine) {
    this.#simulation = simulation;
    this.#machine = machine;
  }

  get operations(): RunReport["operations"] {
    const { ok, notApplied, unknown } = this.#operations;
    return { ok, notApplied, unknown: unknown + this.#open };
  }

  /** The same group, with its writes and strong reads noted. */
  watch(group: Group<AnyMachine>, networkId: UniqueId): Group<AnyMachine> {
    this.#groupId = group.id;
    this.#networkId = networkId;
    let watched = this.#watched.get(group);
    if (watched === undefined) {
      watched = new Proxy(group, { get: (target, property) => this.#get(target, property) });
      this.#watched.set(group, watched);
    }
    return watched;
  }

  /** @throws RunViolation `linearizability` */
  judge(): void {
    if (this.#witnessed.length === 0) return;
    this.#checkOrder();
    this.#checkResults();
  }

  #get(target: Group<AnyMachine>, property: string | symbol): unknown {
    const value: unknown = Reflect.get(target, property, target);
    if (typeof value !== "function") return value;
    const method = value.bind(target) as (...args: unknown[]) => Promise<{ position: number; result: unknown }>;
    if (property === "execute") {
      return (...args: unknown[]) =>
        this.#note(
          "command",
          undefined,
          () => method(...args),
          (result) => [result],
        );
    }
    if (property === "executeMany") {
      return (...args: unknown[]) =>
        this.#note(
          "command",
          undefined,
          () => method(...args),
          (results) => results as readonly unknown[],
        );
    }
    if (property !== "query") return method;
    return (query: unknown, options: { consistency?: unknown } = {}) => {
      const isStrong = options.consistency === undefined || options.consistency === "strong";
      if (!isStrong) return method(query, options);
      return this.#note(
        "query",
        query,
        () => method(query, options),
        (result) => [result],
      );
    };
  }

  async #note(
    type: Witnessed["type"],
    query: unknown,
    run: () => Promise<{ readonly position: number; readonly result: unknown }>,
    resultsOf: (result: unknown) => readonly unknown[],
  ): Promise<unknown> {
    const call = this.#stamp++;
    this.#open++;
    try {
      const done = await run();
      this.#operations.ok++;
      const results = structuredClone(resultsOf(done.result));
      this.#witnessed.push({ type, call, returned: this.#stamp++, position: done.position, results, query });
      return done;
    } catch (error) {
      const isUnknown = type === "command" && MosaikError.is(error) && error.outcome === "unknown";
      this.#operations[isUnknown ? "unknown" : "notApplied"]++;
      throw error;
    } finally {
      this.#open--;
    }
  }

  /** Whatever returned before another was called lies before it; commands have places of their own. */
  #checkOrder(): void {
    const taken = new Set<number>();
    const byReturn = [...this.#witnessed].sort((a, b) => a.returned - b.returned);
    let [next, highest] = [0, 0];
    for (const one of [...this.#witnessed].sort((a, b) => a.call - b.call)) {
      for (let before = byReturn[next]; before !== undefined && before.returned < one.call; before = byReturn[++next]) {
        highest = Math.max(highest, before.position);
      }
      const isCommand = one.type === "command" && one.results.length > 0;
      const first = isCommand ? one.position - one.results.length + 1 : one.position;
      if (isCommand ? first <= highest : first < highest) {
        throw new RunViolation(
          "linearizability",
          `a ${one.type} at position ${first} was called after one at ${highest} returned`,
        );
      }
      for (let position = first; isCommand && position <= one.position; position++) {
        if (taken.has(position))
          throw new RunViolation("linearizability", `two commands both say position ${position}`);
        taken.add(position);
      }
    }
  }

  #checkResults(): void {
    const expected = new Map<number, unknown>();
    const queries = this.#witnessed.filter(({ type }) => type === "query");
    const atPosition = new Map<number, Witnessed[]>();
    for (const query of queries) atPosition.set(query.position, [...(atPosition.get(query.position) ?? []), query]);
    const replica = new Replica({
      runtime: runtimeOf(this.#machine),
      groupId: this.#groupId as UniqueId,
      networkId: this.#networkId as UniqueId,
      events: {
        onBatch: ({ position, outcomes }) => {
          outcomes.forEach((outcome, i) => {
            const at = position - outcomes.length + 1 + i;
            if (outcome.type === "applied") expected.set(at, outcome.result);
          });
        },
        onSession: () => {},
        onSessionEnd: () => {},
        onFailure: () => {},
      },
    });
    const answer = (): void => {
      for (const { query, results } of atPosition.get(replica.position) ?? []) {
        this.#compare(`a query at position ${replica.position}`, results[0], replica.query(query));
      }
      atPosition.delete(replica.position);
    };
    for (const entry of this.#simulation.invariants.appliedIn(this.#groupId as UniqueId)) {
      const before = replica.position;
      if (atPosition.has(before) && replica.isOpen) answer();
      replica.apply(entry);
    }
    answer();
    const [missing] = atPosition.keys();
    if (missing !== undefined)
      throw new RunViolation("linearizability", `a query says position ${missing}, where no state was`);
    for (const { type, position, results } of this.#witnessed) {
      if (type !== "command") continue;
      results.forEach((result, i) => {
        const at = position - results.length + 1 + i;
        if (!expected.has(at)) throw new RunViolation("linearizability", `nothing was applied at position ${at}`);
        this.#compare(`the command at position ${at}`, result, expected.get(at));
      });
    }
  }

  #compare(what: string, result: unknown, expected: unknown): void {
    if (isDeepStrictEqual(result, expected)) return;
    const texts = [result, expected].map((value) => JSON.stringify(value));
    throw new RunViolation("linearizability", `${what} gave ${texts[0]}, and its replay ${texts[1]}`);
  }
}
