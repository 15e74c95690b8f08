import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { type ByteReader, type ByteWriter, DecodeError } from "../../wire/index.ts";

/** `agreed`: may go into the log. `waiting`: it will be soon, as far as we see. Or who lacks it. */
export type CommandSupport = "agreed" | "waiting" | readonly PeerId[];

/** The kinds of entries, and what they mean, that this code knows. One more whenever a kind comes or changes. */
export const LOG_FORMAT = 1;

/** What a member understands, or what a group agreed on. */
export interface Support {
  /** Of the log's entries. */
  readonly format: number;
  /** Of the machine, as its author counts. */
  readonly version: number;
  /** Names of the machine's commands, sorted; empty where commands have no names. */
  readonly commands: readonly string[];
}

/**
 * What a group can agree on next, or undefined if there is nothing new. Pure.
 *
 * A version takes effect once all voters and spares have it, so that none of them is ever asked to apply what it does not know; a command
 * that is only added needs no new version, and takes effect by the same rule. Nothing agreed is given up as long as the version is the same:
 * who lacks it has rolled back, and is the one to be mended.
 *
 * @param members - each voter and spare; undefined for one that did not say yet
 */
export function decideVersion(
  agreed: Support | undefined,
  members: readonly (Support | undefined)[],
): Support | undefined {
  const known = members.filter((member) => member !== undefined);
  if (known.length === 0 || known.length < members.length) return undefined;
  const format = Math.max(agreed?.format ?? 0, Math.min(...known.map((member) => member.format)));
  const version = Math.max(agreed?.version ?? 0, Math.min(...known.map((member) => member.version)));
  const [first = [], ...others] = known.map(({ commands }) => commands);
  const common = first.filter((name) => others.every((names) => names.includes(name)));
  const kept = agreed?.version === version ? agreed.commands : [];
  const next = { format, version, commands: [...new Set([...kept, ...common])].sort() };
  if (next.commands.length > LIMITS.machineHandlersMax) return undefined;
  return agreed !== undefined && isSameSupport(agreed, next) ? undefined : next;
}

/** Can it apply all that the group may put into its log? What it lacks of an older version's commands is its author's business. */
export function isFit(member: Support, agreed: Support): boolean {
  if (member.format < agreed.format || member.version < agreed.version) return false;
  return member.version > agreed.version || agreed.commands.every((name) => member.commands.includes(name));
}

export function isSameSupport(a: Support, b: Support): boolean {
  if (a.format !== b.format || a.version !== b.version || a.commands.length !== b.commands.length) return false;
  return a.commands.every((name, i) => name === b.commands[i]);
}

export function writeSupport(writer: ByteWriter, { format, version, commands }: Support): void {
  writer.varint(format).varint(version).varint(commands.length);
  for (const name of commands) writer.text(name);
}

/** @throws DecodeError */
export function readSupport(reader: ByteReader): Support {
  const format = reader.varint();
  const version = reader.varint();
  const commands: string[] = [];
  for (let count = reader.count(LIMITS.machineHandlersMax, 2); count > 0; count--) {
    const name = reader.text(LIMITS.handlerNameBytesMax);
    if (name <= (commands.at(-1) ?? "")) throw new DecodeError("names of commands out of order");
    commands.push(name);
  }
  return { format, version, commands };
}
