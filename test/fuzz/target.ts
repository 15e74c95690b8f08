import { hashBytes, Identity, UniqueId } from "../../src/identity/index.ts";
import type { Chance } from "./chance.ts";

/** A place where bytes of a peer or of a file become a value. */
export interface Target {
  readonly name: string;
  /** Bytes that it accepts. */
  readonly make: (chance: Chance) => Uint8Array;
  /** A value, or undefined where that is how it refuses. @throws DecodeError */
  readonly decode: (bytes: Uint8Array) => unknown;
}

export function id(chance: Chance): UniqueId {
  return UniqueId.fromBytes(hashBytes(`${chance.below(8)}`));
}

export function text(chance: Chance, lengthMax: number): string {
  const letters = ["a", "Z", "0", "-", ".", "é", "≤", "😀", " "];
  return chance.list(lengthMax, () => chance.pick(letters)).join("");
}

export const IDENTITIES: readonly Identity[] = ["ada", "bob", "cyd"].map((name) => Identity.fromSeed(hashBytes(name)));
