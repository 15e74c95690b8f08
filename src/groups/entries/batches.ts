import { LIMITS } from "../../env/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../../wire/index.ts";

/**
 * What one call sent, never empty: side by side in one entry, so all or none are committed.
 *
 * Each command is its length (a varint) and its bytes, from `start` to `end` of a larger buffer: a typed array for each costs more than a
 * small command.
 */
export interface CommandBatch {
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** A batch on its way to the leader. */
export interface NumberedBatch extends CommandBatch {
  readonly number: number;
}

export function bytesOf({ start, end }: CommandBatch): number {
  return end - start;
}

export function writeBatch(target: ByteWriter, { count, bytes, start, end }: CommandBatch): void {
  target.varint(count).range(bytes, start, end);
}

/** Within what is read: whoever keeps it for long copies it. @throws DecodeError */
export function readBatch(reader: ByteReader, commandsMax: number = LIMITS.batchCommandsMax): CommandBatch {
  const count = reader.count(Math.min(commandsMax, LIMITS.batchCommandsMax));
  if (count === 0) throw new DecodeError("a batch without commands");
  const start = reader.position;
  for (let i = 0; i < count; i++) reader.skip(reader.varint(LIMITS.commandBytesMax));
  return { count, bytes: reader.source, start, end: reader.position };
}

/** Gives each command to `read`, with its length. @throws what `read` throws */
export function readCommands<T>(
  { count, bytes, start }: CommandBatch,
  read: (from: ByteReader, bytes: number) => T,
): T[] {
  const reader = new ByteReader(bytes, start);
  const commands: T[] = [];
  for (let i = 0; i < count; i++) commands.push(read(reader, reader.varint()));
  return commands;
}

const ARENA_BYTES = 16 * 1024;
let arena = new Uint8Array(ARENA_BYTES);
let arenaUsed = 0;

/**
 * A place for so many bytes, to be kept. Small ones share a buffer: a typed array with a buffer of its own costs more than the small commands that
 * it holds. Those that share one live and die about together, so none keeps much alive that is not kept anyway.
 */
export function placeFor(length: number): { readonly bytes: Uint8Array; readonly start: number } {
  if (length > ARENA_BYTES / 4) return { bytes: new Uint8Array(length), start: 0 };
  if (length > ARENA_BYTES - arenaUsed) {
    arena = new Uint8Array(ARENA_BYTES);
    arenaUsed = 0;
  }
  const start = arenaUsed;
  arenaUsed += length;
  return { bytes: arena, start };
}

/** Two that are not in use: for a batch, and for the command in hand. A getter of a command may send another one, which makes its own. */
let idle: readonly [ByteWriter, ByteWriter] | undefined;

/**
 * Encodes what one call sends.
 *
 * @throws what `write` throws; undefined: more than `LIMITS.batchBytesMax`
 */
export function encodeBatch<T>(
  commands: readonly T[],
  write: (target: ByteWriter, command: T) => void,
): CommandBatch | undefined {
  const writers = idle ?? ([new ByteWriter(4096), new ByteWriter(4096)] as const);
  const [batch, command] = writers;
  idle = undefined;
  try {
    for (const one of commands) {
      write(command, one);
      batch.varint(command.length).append(command);
      command.reset();
      if (batch.length > LIMITS.batchBytesMax) return undefined;
    }
    const { bytes, start } = placeFor(batch.length);
    batch.copyTo(bytes, start);
    return { count: commands.length, bytes, start, end: start + batch.length };
  } finally {
    batch.reset();
    command.reset();
    idle = writers;
  }
}
