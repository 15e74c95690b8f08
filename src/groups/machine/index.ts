/**
 * The user's state machine, and how a group drives it.
 *
 * A machine is a definition: a name, how to make an empty state, and functions that change it (commands) or read it (queries). Every
 * member makes its own copy and applies the same commands in the same order, so all copies stay equal, provided that commands look at
 * nothing but their arguments. To keep that promise, every member, the proposer included, applies what was decoded from the log's
 * bytes, never the caller's own object, and `ApplyContext` brings time and randomness that are the same everywhere.
 *
 * `defineMachine` is what most use: named commands, inferred inputs and results. It is written on `StateMachine`, an object with `apply`
 * and `query` and its own codec. The group sees neither, only the `MachineRuntime` that both attach.
 *
 * A command ends in one of three ways. It returns: the result goes to its caller. It throws a `Rejection`, before any change: the caller
 * gets `command-rejected`. It throws anything else: its state is lost, and this member's machine halts.
 */
export { type ChunkIntake, ChunkList } from "./chunk-intake.ts";
export { command, defineMachine, type MachineParts, noMachine } from "./define.ts";
export { isRejection, Rejection } from "./rejection.ts";
export {
  type CommandOutcome,
  type DecodedCommand,
  type MachineInstance,
  type MachineRuntime,
  runtimeOf,
} from "./runtime.ts";
export {
  defineStateMachine,
  type StateMachine,
  type StateMachineDefinition,
  type StateMachineOptions,
} from "./state-machine.ts";
export type {
  AnyMachine,
  Applied,
  ApplyContext,
  Command,
  CommandOf,
  CommandResult,
  CommandResults,
  Machine,
  NoMachine,
  NotAsync,
  Nothing,
  Positioned,
  Query,
  QueryOf,
  QueryResult,
  Results,
} from "./types.ts";
