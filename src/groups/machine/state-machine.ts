import { badOption, checkFields, checkName } from "../../env/index.ts";
import { type Codec, checkCodec, inline, messagePack } from "../../wire/index.ts";
import { checkVersion } from "./checks.ts";
import type { Rejection } from "./rejection.ts";
import { attachRuntime, makeRuntime } from "./runtime.ts";
import type { ApplyContext, Machine, NotAsync, Nothing } from "./types.ts";

/**
 * The form under `defineMachine`: an object that holds the state and applies one type of command. For those who want batches, or their own
 * codec for commands.
 *
 * All methods are synchronous. `apply` and `applyBatch` are functions of the state and their arguments alone.
 */
export interface StateMachine<C, Q, R, A> {
  /** Throws `Rejection` before the first change, to refuse; any other throw halts the machine on that member. */
  apply(command: C, context: ApplyContext): R;
  /**
   * Applies the commands of one `executeMany` at once, in order: as `apply` for each, only faster. Returns one result, or one `Rejection`,
   * for each command. Without it, `apply` is called for each.
   */
  applyBatch?(commands: readonly C[], contexts: readonly ApplyContext[]): readonly (R | Rejection)[];
  /** Changes nothing. */
  query(query: Q): A;
  /** The state in chunks of plain data. Without it the log is kept whole. */
  snapshot?(): Iterable<unknown>;
  /** Replaces the state by that of a snapshot, which a machine of `version` wrote. */
  restore?(chunks: Iterable<unknown>, version: number): void;
}

export interface StateMachineOptions<C, Q, R, A> {
  /** Makes an empty machine, as often as needed. */
  readonly create: () => StateMachine<C, Q, R, A>;
  /** Of commands. Its name is compared between members. Default: MessagePack of plain data. Commands of peers go through `decode`: check them there. */
  readonly codec?: Codec<C> | undefined;
  /** A positive integer, default 1; higher once `apply` does something else. */
  readonly version?: number | undefined;
}

/** What `defineStateMachine` makes. `state()` is `create()`. */
export interface StateMachineDefinition<C, Q, R, A> extends Machine<StateMachine<C, Q, R, A>, Nothing, Nothing> {
  readonly "~stateMachine": StateMachineOptions<C, Q, R, A>;
}

/**
 * A replicated state machine as an object; most want `defineMachine`.
 *
 * @throws `bad-option` for a wrong name, codec or version
 */
export function defineStateMachine<C, Q, R extends NotAsync, A extends NotAsync>(
  name: string,
  options: StateMachineOptions<C, Q, R, A>,
): StateMachineDefinition<C, Q, R, A> {
  checkName("name", name);
  checkFields(options, "options", ["create", "codec", "version"]);
  const version = checkVersion(options.version);
  if (typeof options.create !== "function") throw badOption("create", "must be a function that makes an empty machine");
  if (options.codec !== undefined) checkCodec("codec", options.codec);
  const runtime = makeRuntime<C>({
    name,
    version,
    commandNames: [],
    codec: inline(options.codec ?? (messagePack as Codec<C>)),
    // The same object serves all types of command: what differs is known to the author's code alone.
    create: () => options.create() as StateMachine<C, unknown, unknown, unknown>,
    prepare: (value) => value as C,
    nameOf: () => "apply",
    inputOf: (command) => command,
  });
  const definition: StateMachineDefinition<C, Q, R, A> = {
    name,
    commands: {},
    queries: {},
    state: () => options.create(),
    "~stateMachine": Object.freeze({ ...options }),
  };
  return attachRuntime(definition, runtime);
}
