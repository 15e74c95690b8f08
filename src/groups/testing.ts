// What tests of this folder share. No part of the product.
import { ByteReader, ByteWriter } from "../wire/index.ts";
import { type CommandBatch, encodeBatch, readCommands } from "./entries/index.ts";
import type { DecodedCommand, MachineRuntime } from "./machine/index.ts";

export function batchOf(commands: readonly Uint8Array[]): CommandBatch {
  return encodeBatch(commands, (writer, command) => writer.fixed(command)) as CommandBatch;
}

export function commandsOf(batch: CommandBatch): Uint8Array[] {
  return readCommands(batch, (reader, bytes) => reader.fixed(bytes));
}

export function encodeCommand(runtime: MachineRuntime, value: unknown): Uint8Array {
  const writer = new ByteWriter();
  runtime.writeCommand(writer, value);
  return writer.finish();
}

export function decodeCommand(runtime: MachineRuntime, bytes: Uint8Array): DecodedCommand {
  return runtime.readCommand(new ByteReader(bytes), bytes.length);
}
