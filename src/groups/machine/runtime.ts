import { badOption, LIMITS, mosaikError, notAsync } from "../../env/index.ts";
import type { ByteReader, ByteWriter, InlineCodec } from "../../wire/index.ts";
import { type ChunkIntake, ChunkList } from "./chunk-intake.ts";
import { isRejection, type Rejection } from "./rejection.ts";
import type { StateMachine } from "./state-machine.ts";
import type { AnyMachine, ApplyContext } from "./types.ts";

/** A command as every replica applies it: decoded from its bytes, at the proposer too. */
export interface DecodedCommand {
  /** For messages and events. A machine of `defineStateMachine` has one name for all: `apply`. */
  readonly name: string;
  readonly input: unknown;
  /** What the state machine takes. */
  readonly value: unknown;
}

/** What one command came to. */
export type CommandOutcome =
  | { readonly type: "applied"; readonly result: unknown }
  | { readonly type: "rejected"; readonly rejection: Rejection };

/** One replica's state. */
export interface MachineInstance {
  /** @throws whatever the command throws, except a `Rejection`: the machine is then in no known state, and must not be used again */
  apply(command: DecodedCommand, context: ApplyContext): CommandOutcome;
  /** As `apply` for each, in one call; undefined if the machine has no `applyBatch`. @throws as `apply` */
  readonly applyBatch:
    | ((commands: readonly DecodedCommand[], contexts: readonly ApplyContext[]) => readonly CommandOutcome[])
    | undefined;
  /** @throws what the query throws; `bad-option` for one that the machine does not have */
  query(query: unknown): unknown;
  /** Undefined: the machine has no snapshots, and its log is kept. */
  readonly snapshot: (() => Iterable<unknown>) | undefined;
  readonly restore: ((chunks: Iterable<unknown>, version: number) => void) | undefined;
}

export interface RuntimeParts<C> {
  readonly name: string;
  readonly version: number;
  readonly commandNames: readonly string[];
  readonly codec: InlineCodec<C>;
  readonly create: () => StateMachine<C, unknown, unknown, unknown>;
  /** Default: keeps the chunks until `restore` takes them. */
  readonly intake?: () => ChunkIntake;
  /** What the caller gave, as the codec takes it. @throws `schema-rejected`, `bad-option` */
  readonly prepare: (value: unknown) => C;
  readonly nameOf: (command: C) => string;
  readonly inputOf: (command: C) => unknown;
}

/** What a group needs of a machine, however it was defined. */
export interface MachineRuntime {
  readonly name: string;
  readonly version: number;
  /** Sorted by code unit. Empty where commands have no names. */
  readonly commandNames: readonly string[];
  /** Compared between members, like the name. */
  readonly codecName: string;
  /**
   * Appends it, encoded.
   *
   * @param value - as the caller gave it to `execute`
   * @throws `schema-rejected`, `not-encodable`, `too-large` with the value in `details.rejected`; `bad-option` for a command that the machine
   *   does not have
   */
  writeCommand(writer: ByteWriter, value: unknown): void;
  /** Of a value that `writeCommand` takes. */
  commandName(value: unknown): string;
  /**
   * Bytes of a peer: hostile until decoded. A leader decodes what it was handed before it enters the log, so that no member can halt the
   * others with garbage.
   *
   * @throws what the codec throws (`DecodeError`), also for the name of a command that this machine does not have
   */
  readCommand(reader: ByteReader, bytes: number): DecodedCommand;
  /** An empty replica. */
  create(): MachineInstance;
  /** For the chunks of a snapshot, before one `restore` of one instance has them. */
  intake(): ChunkIntake;
}

export function makeRuntime<C>(parts: RuntimeParts<C>): MachineRuntime {
  return {
    name: parts.name,
    version: parts.version,
    commandNames: parts.commandNames,
    codecName: parts.codec.name,
    writeCommand: (writer, value) => writeCommand(parts, writer, value),
    commandName: (value) => parts.nameOf(parts.prepare(value)),
    readCommand: (reader, bytes) => {
      const value = parts.codec.read(reader, bytes);
      return { name: parts.nameOf(value), input: parts.inputOf(value), value };
    },
    create: () => {
      const machine = parts.create() as StateMachine<unknown, unknown, unknown, unknown> | undefined;
      if (typeof machine?.apply !== "function" || typeof machine.query !== "function") {
        throw badOption("create", "must return an object with `apply` and `query`");
      }
      return instanceOf(machine, parts.name);
    },
    intake: () => parts.intake?.() ?? new ChunkList(),
  };
}

function writeCommand<C>(parts: RuntimeParts<C>, writer: ByteWriter, value: unknown): void {
  const command = parts.prepare(value);
  const start = writer.length;
  const refused = (): { readonly label: string; readonly hidden: { readonly rejected: unknown[] } } => ({
    label: `command \`${parts.nameOf(command)}\` of \`${parts.name}\``,
    hidden: { rejected: [value] },
  });
  try {
    parts.codec.write(writer, command);
  } catch (cause) {
    const { label, hidden } = refused();
    const message = `${label} cannot be encoded: ${reasonOf(cause)}`;
    throw mosaikError("not-encodable", message, { outcome: "not-applied", hidden, cause });
  }
  const bytes = writer.length - start;
  const bytesMax = LIMITS.commandBytesMax;
  if (bytes <= bytesMax) return;
  const { label, hidden } = refused();
  const message = `${label} has ${bytes} bytes of at most ${bytesMax}`;
  throw mosaikError("too-large", message, { outcome: "not-applied", details: { bytesMax }, hidden });
}

/** Our own errors end with their code, which the outer one has as well. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.replace(/ \([a-z-]+\)$/, "") : "the codec threw";
}

function instanceOf(machine: StateMachine<unknown, unknown, unknown, unknown>, name: string): MachineInstance {
  return {
    apply: (command, context) => {
      try {
        return { type: "applied", result: notAsync("commands", machine.apply(command.value, context), command.name) };
      } catch (error) {
        if (isRejection(error)) return { type: "rejected", rejection: error };
        throw error;
      }
    },
    applyBatch: machine.applyBatch && ((commands, contexts) => applyBatch(machine, name, commands, contexts)),
    query: (query) => notAsync("query", machine.query(query)),
    snapshot: machine.snapshot && (() => machine.snapshot?.() ?? []),
    restore: machine.restore && ((chunks, version) => machine.restore?.(chunks, version)),
  };
}

function applyBatch(
  machine: StateMachine<unknown, unknown, unknown, unknown>,
  name: string,
  commands: readonly DecodedCommand[],
  contexts: readonly ApplyContext[],
): readonly CommandOutcome[] {
  const values = commands.map((command) => command.value);
  const results = notAsync("applyBatch", machine.applyBatch?.(values, contexts));
  if (!Array.isArray(results) || results.length !== commands.length) {
    throw new TypeError(`applyBatch of \`${name}\` must return one result for each of ${commands.length} commands`);
  }
  return results.map((result: unknown) =>
    isRejection(result)
      ? { type: "rejected", rejection: result }
      : { type: "applied", result: notAsync("applyBatch", result) },
  );
}

// A machine may come from another copy of the package, as a dependency of the user's own.
const RUNTIME = Symbol.for("mosaik.machine/1");

/** Freezes the definition, with its runtime out of sight. */
export function attachRuntime<M extends AnyMachine>(machine: M, runtime: MachineRuntime): M {
  Object.defineProperty(machine, RUNTIME, { value: runtime, enumerable: false });
  return Object.freeze(machine);
}

/** @throws `bad-option` for what no `define…` made */
export function runtimeOf(machine: AnyMachine): MachineRuntime {
  const runtime: unknown = typeof machine === "object" && machine !== null ? Reflect.get(machine, RUNTIME) : undefined;
  if (runtime === undefined) throw badOption("machine", "must come from `defineMachine` or `defineStateMachine`");
  return runtime as MachineRuntime;
}
