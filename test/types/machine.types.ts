// What the compiler must infer, and what it must refuse. Checked by tsc; nothing here runs.
import { z } from "zod";
import {
  type AnyMachine,
  type Applied,
  type CommandOf,
  type CommandResult,
  type CommandResults,
  command,
  defineMachine,
  defineStateMachine,
  type NoMachine,
  type Positioned,
  type QueryOf,
  type QueryResult,
  Rejection,
} from "../../src/groups/machine/index.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Equal<A, B>): void {}

/** The methods of `Group` that a machine gives their types. */
interface Handle<M extends AnyMachine> {
  execute<const X extends CommandOf<M>>(command: X): Promise<Positioned<CommandResult<M, X>>>;
  executeMany<const X extends readonly CommandOf<M>[]>(commands: X): Promise<Positioned<CommandResults<M, X>>>;
  query<const X extends QueryOf<M>>(query: X): Promise<Positioned<QueryResult<M, X>>>;
}

// ── Named commands ──
const Counter = defineMachine("counter", {
  state: () => ({ value: 0, log: [] as string[] }),
  commands: {
    add: (counter, by: number) => (counter.value += by),
    reset: (counter) => {
      counter.value = 0;
    },
    note: (counter, text?: string) => counter.log.push(text ?? "none"),
    roll: (_counter, sides: number, context) => Math.floor(context.random() * sides) + context.position,
    stamp: command(z.object({ at: z.coerce.date(), by: z.string().default("me") }), (counter, input) => {
      same<typeof input, { at: Date; by: string }>(true);
      if (counter.value < 0) throw new Rejection("negative", { value: counter.value });
      return { at: input.at.getTime(), by: input.by };
    }),
  },
  queries: {
    value: (counter) => counter.value,
    from: (counter, index: number) => counter.log.slice(index),
  },
});
declare const counter: Handle<typeof Counter>;

export async function named(): Promise<void> {
  same<Positioned<number>, Awaited<ReturnType<typeof addThree>>>(true);
  const reset = await counter.execute("reset");
  same<typeof reset.result, undefined>(true);
  const noted = await counter.execute("note");
  same<typeof noted.result, number>(true);
  await counter.execute({ note: "text" });
  const stamped = await counter.execute({ stamp: { at: "2026-11-22" } });
  same<typeof stamped.result, { at: number; by: string }>(true);

  const { result } = await counter.executeMany([{ add: 1 }, "reset", { stamp: { at: new Date(0), by: "you" } }]);
  same<typeof result, [number, undefined, { at: number; by: string }]>(true);

  const value = await counter.query("value");
  same<typeof value.result, number>(true);
  const from = await counter.query({ from: 2 });
  same<typeof from.result, string[]>(true);

  // A command is a value: kept, chosen, sent later.
  const kept: CommandOf<typeof Counter>[] = [{ add: 1 }, "reset"];
  await counter.executeMany(kept);
}

function addThree(): Promise<Positioned<number>> {
  return counter.execute({ add: 3 });
}

export async function namedRefusals(): Promise<void> {
  // @ts-expect-error no such command
  await counter.execute({ subtract: 1 });
  // @ts-expect-error no such command
  await counter.execute("subtract");
  // @ts-expect-error the input is a number
  await counter.execute({ add: "1" });
  // @ts-expect-error the input is required
  await counter.execute("add");
  // @ts-expect-error one command, not two
  await counter.execute({ add: 1, note: "x" });
  // @ts-expect-error what the schema takes has `at`
  await counter.execute({ stamp: {} });
  // @ts-expect-error a query is no command
  await counter.execute("value");
  // @ts-expect-error a command is no query
  await counter.query({ add: 1 });
  // @ts-expect-error the second of the batch is wrong
  await counter.executeMany([{ add: 1 }, { add: "1" }]);
}

// ── What a definition may not be ──
defineMachine("async-command", {
  state: () => ({}),
  commands: {
    // @ts-expect-error replicas cannot wait
    load: async () => 1,
  },
});
defineMachine("async-query", {
  state: () => ({}),
  commands: {},
  // @ts-expect-error replicas cannot wait
  queries: { load: async () => 1 },
});
// @ts-expect-error a state is an object
defineMachine("number-state", { state: () => 1, commands: {} });
// @ts-expect-error there is no machine without commands: {} says so
defineMachine("no-commands", { state: () => ({}) });
// @ts-expect-error a version is a number
defineMachine("text-version", { version: "2", state: () => ({}), commands: {} });

// ── Snapshots: what `snapshot` yields is what `restore` gets ──
export const Chunked = defineMachine("chunked", {
  state: () => new Set<number>(),
  commands: { add: (set, item: number) => set.add(item).size },
  *snapshot(set) {
    yield* set;
  },
  restore: (chunks, version) => {
    same<typeof chunks, Iterable<number>>(true);
    same<typeof version, number>(true);
    return new Set(chunks);
  },
});

// ── A group without a machine ──
declare const leaderOnly: Handle<NoMachine>;
export async function nothingToSay(): Promise<void> {
  same<CommandOf<NoMachine>, never>(true);
  same<QueryOf<NoMachine>, never>(true);
  // @ts-expect-error there are no commands
  await leaderOnly.execute("anything");
  // @ts-expect-error there are no commands
  await leaderOnly.execute({ add: 1 });
}

// ── The object form ──
type Step = { readonly kind: "up"; readonly by: number } | { readonly kind: "down" };
const Steps = defineStateMachine("steps", {
  create: () => {
    let height = 0;
    return {
      apply: (step: Step): number => (height += step.kind === "up" ? step.by : -1),
      query: (question: "height" | "isGround"): number | boolean => (question === "height" ? height : height === 0),
    };
  },
});
declare const steps: Handle<typeof Steps>;
export async function objectForm(): Promise<void> {
  same<CommandOf<typeof Steps>, Step>(true);
  same<QueryOf<typeof Steps>, "height" | "isGround">(true);
  const one = await steps.execute({ kind: "up", by: 2 });
  same<typeof one.result, number>(true);
  const many = await steps.executeMany([{ kind: "up", by: 2 }, { kind: "down" }]);
  same<typeof many.result, [number, number]>(true);
  const answer = await steps.query("height");
  same<typeof answer.result, number | boolean>(true);
  // @ts-expect-error not a step
  await steps.execute({ kind: "left" });
  // @ts-expect-error not a question
  await steps.query("width");
}
defineStateMachine("async-object", {
  // @ts-expect-error replicas cannot wait
  create: () => ({ apply: async (_command: number) => 1, query: () => 0 }),
});

// ── What a member applied ──
export function onApplied(entry: Applied<typeof Counter>, step: Applied<typeof Steps>): void {
  if (entry.name === "add") {
    same<typeof entry.input, number>(true);
    same<typeof entry.result, number>(true);
  }
  same<typeof step.input, Step>(true);
  same<typeof step.result, number>(true);
  // @ts-expect-error no such command
  if (entry.name === "subtract") return;
}
