import { badOption, checkFields, checkName, checkSynchronous, LIMITS, mosaikError, notAsync } from "../../env/index.ts";
import {
  DecodeError,
  type InlineCodec,
  inlineMessagePack,
  readNamed,
  type Schema,
  validate,
} from "../../wire/index.ts";
import { checkVersion } from "./checks.ts";
import { fromPlainChunks, PlainIntake, plainChunks } from "./plain-chunks.ts";
import { attachRuntime, makeRuntime } from "./runtime.ts";
import type { StateMachine } from "./state-machine.ts";
import type { ApplyContext, Command, Machine, NoMachine, Nothing, Query } from "./types.ts";

const SCHEMA = Symbol.for("mosaik.schema");

// biome-ignore lint/suspicious/noExplicitAny: once defined, a machine is called by name, and its types are known to callers alone
type AnyCommand = Command<any>;
// biome-ignore lint/suspicious/noExplicitAny: as above
type AnyQuery = Query<any>;

/** What is encoded: a name and one input, or none. */
interface NamedCommand {
  readonly name: string;
  readonly input: unknown;
}

/** The fields that `defineMachine` takes beside `state` and `commands`. */
export interface MachineParts<State, Queries, Chunk> {
  /** A positive integer, default 1; higher once commands do something else. */
  readonly version?: number | undefined;
  readonly queries?: Queries | undefined;
  /** Not needed if the state is plain data. Read in slices, while commands wait. `false`: the log is kept whole. */
  readonly snapshot?: ((state: State) => Iterable<Chunk>) | false | undefined;
  /** Makes a state of the chunks of a snapshot, which a machine of `version` wrote. Goes with `snapshot`. */
  readonly restore?: ((chunks: Iterable<NoInfer<Chunk>>, version: number) => State) | undefined;
}

/**
 * A replicated state machine. `state` makes an empty one, as often as needed. Commands run on all members in one order and may look at
 * nothing but their arguments; they and the queries are synchronous. A command that some voter does not know yet is refused
 * (`command-unsupported`), so versions roll.
 *
 * A command may change its state and input at will: its input is its own copy, decoded from the log.
 *
 * @param name - compared between members; at most `LIMITS.nameBytesMax` (256) bytes
 * @throws `bad-option` that names the field: a wrong name or version, an asynchronous command, a field that is not known
 */
export function defineMachine<
  State extends object,
  Commands extends Record<string, Command<State>>,
  Queries extends Record<string, Query<State>>,
  Chunk = unknown,
>(
  name: string,
  machine: { readonly state: () => State; readonly commands: Commands } & MachineParts<State, Queries, Chunk>,
): Machine<State, Commands, string extends keyof Queries ? Nothing : Queries> {
  checkName("name", name);
  checkFields(machine, "machine", ["state", "commands", "version", "queries", "snapshot", "restore"]);
  checkSynchronous("state", machine.state);
  const version = checkVersion(machine.version);
  const commands = handlersOf<AnyCommand>("commands", machine.commands);
  const queries = handlersOf<AnyQuery>("queries", machine.queries ?? {});
  checkSnapshot(machine.snapshot, machine.restore);
  const runtime = makeRuntime<NamedCommand>({
    name,
    version,
    commandNames: [...commands.keys()].sort(),
    codec: namedCodec(commands),
    prepare: (value) => prepare(name, commands, value),
    nameOf: (command) => command.name,
    inputOf: (command) => command.input,
    create: () => new NamedMachine(machine, commands, queries),
    ...(machine.restore === undefined && { intake: () => new PlainIntake() }),
  });
  const definition: Machine<State, Commands, Record<string, AnyQuery>> = {
    name,
    commands: machine.commands,
    queries: machine.queries ?? {},
    state: machine.state,
  };
  return attachRuntime(definition as Machine<State, Commands, never>, runtime);
}

/** A command with a schema: the caller's input is checked before it leaves, and what the schema puts out is what replicas get. Synchronous schemas only. */
export function command<State, In, Out, Result>(
  schema: Schema<Out, In>,
  apply: (state: State, input: Out, context: ApplyContext) => Result,
): (state: State, input: In, context: ApplyContext) => Result {
  if (typeof schema?.["~standard"]?.validate !== "function") throw badOption("schema", "must be a Standard Schema");
  checkSynchronous("apply", apply);
  const handler = (state: State, input: In, context: ApplyContext): Result =>
    apply(state, input as unknown as Out, context);
  Object.defineProperty(handler, SCHEMA, { value: schema });
  return handler;
}

/** The state machine under `defineMachine`: looks the command up by name. */
class NamedMachine<State extends object, Chunk> implements StateMachine<NamedCommand, unknown, unknown, unknown> {
  readonly #commands: ReadonlyMap<string, AnyCommand>;
  readonly #queries: ReadonlyMap<string, AnyQuery>;
  #state: State;
  readonly snapshot?: () => Iterable<unknown>;
  readonly restore?: (chunks: Iterable<unknown>, version: number) => void;

  constructor(
    machine: { readonly state: () => State } & MachineParts<State, unknown, Chunk>,
    commands: ReadonlyMap<string, AnyCommand>,
    queries: ReadonlyMap<string, AnyQuery>,
  ) {
    this.#commands = commands;
    this.#queries = queries;
    this.#state = machine.state();
    if (typeof this.#state !== "object" || this.#state === null) throw badOption("state", "must make an object");
    notAsync("state", this.#state);
    const { snapshot, restore } = machine;
    if (snapshot === false) return;
    this.snapshot = () => (snapshot === undefined ? plainChunks(this.#state) : snapshot(this.#state));
    this.restore = (chunks, version) => {
      const plain = restore === undefined;
      this.#state = plain ? (fromPlainChunks(chunks) as State) : restore(chunks as Iterable<Chunk>, version);
    };
  }

  apply(command: NamedCommand, context: ApplyContext): unknown {
    // The codec lets no other name through.
    return this.#commands.get(command.name)?.(this.#state, command.input, context);
  }

  query(query: unknown): unknown {
    const { name, input } = nameAndInput("query", query);
    const handler = this.#queries.get(name);
    if (handler === undefined) throw badOption("query", `\`${name}\` is not known`);
    return handler(this.#state, input);
  }
}

function handlersOf<F extends AnyCommand | AnyQuery>(option: string, handlers: unknown): ReadonlyMap<string, F> {
  if (typeof handlers !== "object" || handlers === null) throw badOption(option, "must be an object of functions");
  const entries = Object.entries(handlers);
  const max = LIMITS.machineHandlersMax;
  if (entries.length > max) throw badOption(option, `has ${entries.length} fields, and at most ${max} are allowed`);
  for (const [name, handler] of entries) {
    checkName(name === "" ? `${option}[""]` : `${option}.${name.slice(0, 80)}`, name, LIMITS.handlerNameBytesMax);
    checkSynchronous(`${option}.${name}`, handler);
  }
  return new Map(entries);
}

function checkSnapshot(snapshot: unknown, restore: unknown): void {
  if (snapshot === undefined || snapshot === false) {
    if (restore !== undefined) throw badOption("restore", "needs a `snapshot` function");
    return;
  }
  if (typeof snapshot !== "function") throw badOption("snapshot", "must be a function, or false");
  if (typeof restore !== "function") throw badOption("restore", "must be a function, since there is a `snapshot`");
}

/** `"name"` or `{ name: input }`. Fields that are undefined do not count beside one that is not. */
function nameAndInput(option: "command" | "query", value: unknown): NamedCommand {
  if (typeof value === "string") return { name: value, input: undefined };
  if (typeof value !== "object" || value === null)
    throw badOption(option, "must be a name or an object with one field");
  const fields = value as Readonly<Record<string, unknown>>;
  const names = Object.keys(fields);
  const given = names.length === 1 ? names : names.filter((name) => fields[name] !== undefined);
  const name = given[0];
  if (name === undefined || given.length > 1) throw badOption(option, `must have one field, and has ${given.length}`);
  return { name, input: fields[name] };
}

function prepare(machine: string, commands: ReadonlyMap<string, AnyCommand>, value: unknown): NamedCommand {
  const { name, input } = nameAndInput("command", value);
  const handler = commands.get(name);
  if (handler === undefined) throw badOption("command", `\`${name}\` is not one of \`${machine}\``);
  const schema = Reflect.get(handler, SCHEMA) as Schema<unknown> | undefined;
  if (schema === undefined) return { name, input };
  const checked = validate(schema, input);
  if (!checked.ok) {
    throw mosaikError("schema-rejected", `command \`${name}\` of \`${machine}\` does not fit its schema`, {
      outcome: "not-applied",
      details: { issues: checked.issues },
      hidden: { rejected: [value] },
    });
  }
  return { name, input: checked.value };
}

/** `[name, input]`, or `[name]`, as MessagePack. */
function namedCodec(commands: ReadonlyMap<string, AnyCommand>): InlineCodec<NamedCommand> {
  return {
    name: inlineMessagePack.name,
    write: (writer, { name, input }) => inlineMessagePack.write(writer, input === undefined ? [name] : [name, input]),
    read: (reader, bytes) => {
      const end = reader.position + bytes;
      const command = readNamed(reader);
      reader.endAt(end);
      if (!commands.has(command.name)) throw new DecodeError("a command that this machine does not have");
      return command;
    },
  };
}

/** The machine of a group without one: it elects a leader, and takes no commands. */
export const noMachine: NoMachine = defineMachine("mosaik/none", { state: () => ({}), commands: {} });
