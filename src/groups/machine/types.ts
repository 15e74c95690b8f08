import type { UniqueId } from "../../identity/index.ts";
import type { StateMachine, StateMachineDefinition } from "./state-machine.ts";

/**
 * What a command may know besides state and input. Equal on all members, whenever they apply it.
 *
 * `timeMs` is the group's clock: the leader's monotonic time, carried on in the log; it never goes back, and no wall clock moves it.
 * `version` is the machine's, as all voters have it. `random` draws numbers in [0, 1), the same ones on every member.
 */
export type ApplyContext = Readonly<{
  /** Of this command among the group's commands: dense, from 1. */ position: number;
  /** Of the log entry that holds it. Commands of one `executeMany` share it. */ index: number;
  term: number;
  timeMs: number;
  version: number;
  groupId: UniqueId;
  networkId: UniqueId;
  random: () => number;
}>;

/** What came out, and where in the group's history: hand `position` to another node to read no older than this. */
export type Positioned<Result> = Readonly<{ position: number; result: Result }>;

/** Anything but a promise: replicas apply and answer synchronously. */
export type NotAsync =
  // biome-ignore lint/suspicious/noConfusingVoidType: what a command without result returns
  void | undefined | null | string | number | bigint | boolean | (object & { readonly then?: never });

/** Changes the state. Throws `Rejection` before the first change, to refuse; any other throw halts the machine on that member. */
// biome-ignore lint/suspicious/noExplicitAny: a parameter's type is inferred from the annotation that the author gives; `unknown` would refuse it
export type Command<State> = (state: State, input: any, context: ApplyContext) => NotAsync;
/** Reads the state, and changes nothing. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export type Query<State> = (state: State, input: any) => NotAsync;

/** A replicated state machine, as `defineMachine` makes it. */
export interface Machine<State, Commands, Queries> {
  readonly name: string;
  readonly commands: Commands;
  readonly queries: Queries;
  /** A new, empty state. */
  state(): State;
}
// biome-ignore lint/suspicious/noExplicitAny: the bound of a type parameter, where `unknown` would not match a machine's own types
export type AnyMachine = Machine<any, any, any>;
/** No command and no query. */
// `{}` has no keys, so that no command fits; `Record<string, never>` would have all of them.
export type Nothing = {};
/** Elects a leader and does nothing else. */
export type NoMachine = Machine<object, Nothing, Nothing>;

// biome-ignore lint/suspicious/noExplicitAny: matches a state of any type, in a position where parameters are compared
type InputOf<F> = F extends (state: any, ...rest: infer Rest) => unknown
  ? Rest extends readonly []
    ? undefined
    : // biome-ignore lint/suspicious/noExplicitAny: the rest of the parameters does not matter
      Rest extends readonly [(infer Input)?, ...any[]]
      ? Input
      : never
  : never;
type ReturnOf<Handlers, Name> = Name extends keyof Handlers
  ? // biome-ignore lint/suspicious/noExplicitAny: matches functions of any parameters
    Handlers[Name] extends (...args: any) => infer R
    ? R
    : never
  : never;
type Tagged<Handlers, Name extends keyof Handlers, Input> = [Input] extends [never]
  ? never
  : { readonly [N in Name]: Input } & { readonly [N in Exclude<keyof Handlers, Name>]?: never };
type Call<Handlers, Name extends keyof Handlers & string, Input = InputOf<Handlers[Name]>> = undefined extends Input
  ? // biome-ignore lint/suspicious/noConfusingVoidType: an input may be declared as `void`, and is then none
    Name | Tagged<Handlers, Name, Exclude<Input, undefined | void>>
  : Tagged<Handlers, Name, Input>;
type Calls<Handlers> = { [Name in keyof Handlers & string]: Call<Handlers, Name> }[keyof Handlers & string];
type Result<Handlers, X> = X extends string
  ? ReturnOf<Handlers, X>
  : X extends object
    ? ReturnOf<Handlers, keyof X>
    : never;
type Entries<Handlers> = {
  [Name in keyof Handlers & string]: {
    readonly name: Name;
    readonly input: InputOf<Handlers[Name]>;
    readonly result: ReturnOf<Handlers, Name>;
  };
}[keyof Handlers & string];

/**
 * `{ name: input }`, or `"name"` where there is no input: a value, to keep, to batch, to get back from an error. For a machine of
 * `defineStateMachine`: its own command type.
 */
export type CommandOf<M extends AnyMachine> =
  M extends StateMachineDefinition<infer C, infer _Q, infer _R, infer _A> ? C : Calls<M["commands"]>;
export type CommandResult<M extends AnyMachine, X> =
  M extends StateMachineDefinition<infer _C, infer _Q, infer R, infer _A> ? R : Result<M["commands"], X>;
export type Results<Handlers, X> = { -readonly [I in keyof X]: Result<Handlers, X[I]> };
/** One result for each command, in order. */
export type CommandResults<M extends AnyMachine, X> = { -readonly [I in keyof X]: CommandResult<M, X[I]> };
/** As `CommandOf`, for queries. */
export type QueryOf<M extends AnyMachine> =
  M extends StateMachineDefinition<infer _C, infer Q, infer _R, infer _A> ? Q : Calls<M["queries"]>;
export type QueryResult<M extends AnyMachine, X> =
  M extends StateMachineDefinition<infer _C, infer _Q, infer _R, infer A> ? A : Result<M["queries"], X>;
/** One command that this member applied. */
export type Applied<M extends AnyMachine> = Readonly<
  { type: "applied"; position: number; timeMs: number } & (M extends StateMachineDefinition<
    infer C,
    infer _Q,
    infer R,
    infer _A
  >
    ? { name: "apply"; input: C; result: R }
    : Entries<M["commands"]>)
>;

export type { StateMachine, StateMachineDefinition };
