import { doesNotThrow, throws } from "node:assert/strict";
import { test } from "node:test";
import type { ProbeSource } from "../groups/index.ts";
import { ENTRY_COMMANDS, ENTRY_GENESIS, ENTRY_OPEN, encodeGenesis } from "../groups/index.ts";
import { hash, type PeerId } from "../identity/index.ts";
import type { Entry, MemberId } from "../raft/index.ts";
import type { IncarnationId } from "../storage/index.ts";
import { type StoreInvariantName, StoreInvariants } from "./store-invariants.ts";

const incarnation = hash("one") as IncarnationId;
const memberOf = (name: string): MemberId => `${hash(name)}/${hash(`store of ${name}`)}` as MemberId;
const sourceOf = (name: string): ProbeSource => ({
  peer: hash(name) as PeerId,
  group: hash("group"),
  member: memberOf(name),
  incarnation,
});
const entryOf = (index: number, kind: number, data: Uint8Array = Uint8Array.of(1)): Entry => ({
  index,
  term: 1,
  kind,
  data,
});
const genesis = entryOf(
  1,
  ENTRY_GENESIS,
  encodeGenesis({ incarnation, timeMs: 0, voters: [memberOf("ada"), memberOf("bob")] }),
);

function start(...names: readonly string[]): StoreInvariants {
  const stores = new StoreInvariants((invariant, message) => {
    throw Object.assign(new Error(message), { invariant });
  });
  for (const name of names) stores.onStart(name, sourceOf(name), [genesis]);
  return stores;
}

function breaks(invariant: StoreInvariantName, run: () => void): void {
  throws(run, { invariant });
}

test("store-bound-once: a store that had another incarnation before", () => {
  const other = { ...sourceOf("ada"), incarnation: hash("two") as IncarnationId };
  breaks("store-bound-once", () => start("ada").onStart("ada", other, []));
});

test("genesis-before-open: open without a founder that holds the genesis; open again without one that holds the first", () => {
  breaks("genesis-before-open", () => start("ada").onAppend("ada", memberOf("ada"), [entryOf(2, ENTRY_OPEN)]));
  const stores = start("ada", "bob");
  stores.onAppend("ada", memberOf("ada"), [entryOf(2, ENTRY_OPEN)]);
  breaks("genesis-before-open", () => stores.onAppend("ada", memberOf("ada"), [entryOf(3, ENTRY_OPEN)]));
});

test("open-before-commands: a command before the second open entry", () => {
  const stores = start("ada", "bob");
  for (const name of ["ada", "bob"]) stores.onAppend(name, memberOf(name), [entryOf(2, ENTRY_OPEN)]);
  breaks("open-before-commands", () => stores.onAppend("ada", memberOf("ada"), [entryOf(3, ENTRY_COMMANDS)]));
  stores.onAppend("bob", memberOf("bob"), [entryOf(3, ENTRY_OPEN)]);
  doesNotThrow(() => stores.onAppend("bob", memberOf("bob"), [entryOf(4, ENTRY_COMMANDS)]));
});

test("open-store-stays: a store with a command that is given up", () => {
  const stores = start("ada", "bob");
  for (const name of ["ada", "bob"]) stores.onAppend(name, memberOf(name), [entryOf(2, ENTRY_OPEN)]);
  stores.onAppend("ada", memberOf("ada"), [entryOf(3, ENTRY_OPEN), entryOf(4, ENTRY_COMMANDS)]);
  doesNotThrow(() => stores.onSetAside("bob", sourceOf("bob")));
  breaks("open-store-stays", () => stores.onSetAside("ada", sourceOf("ada")));
});
