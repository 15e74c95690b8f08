import { deepEqual, equal, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  arbitraryCommands,
  arbitraryIncarnation,
  arbitraryMember,
  arbitraryNumber,
  arbitrarySessionKey,
  arbitraryTimeMs,
  decodesOrRefuses,
  incarnation,
  mutationsOf,
  peer,
  record,
  store,
} from "../../test/groups/kit.ts";
import { LIMITS } from "../env/index.ts";
import { DecodeError } from "../wire/index.ts";
import {
  decodeCommands,
  decodeGenesis,
  decodeSession,
  ENTRY_COMMANDS,
  ENTRY_CONFIGURATION,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  encodeCommands,
  encodeConfiguration,
  encodeGenesis,
  encodeOpen,
  encodeSession,
  isKnownKind,
  votersOf,
} from "./entries.ts";
import { memberId } from "./status.ts";

const genesis = record({
  incarnation: arbitraryIncarnation,
  timeMs: arbitraryTimeMs,
  voters: fc.uniqueArray(arbitraryMember, {
    minLength: 1,
    maxLength: LIMITS.votersMax,
    selector: (member) => member.slice(0, 64),
  }),
});
const batch = record({
  session: arbitraryNumber,
  number: arbitraryNumber,
  timeMs: arbitraryTimeMs,
  commands: arbitraryCommands,
});

describe("entries", () => {
  it("come back as they were", () => {
    fc.assert(fc.property(genesis, (value) => deepEqual(decodeGenesis(encodeGenesis(value)), value)));
    fc.assert(fc.property(batch, (value) => deepEqual(decodeCommands(encodeCommands(value)), value)));
    fc.assert(fc.property(arbitrarySessionKey, (key) => equal(decodeSession(encodeSession(key)), key)));
  });

  it("random and damaged bytes give a value or a DecodeError", () => {
    const decoders = [decodeGenesis, decodeSession, decodeCommands];
    const valid = fc.oneof(
      genesis.map(encodeGenesis),
      batch.map(encodeCommands),
      arbitrarySessionKey.map(encodeSession),
    );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutationsOf(valid)), (bytes) => {
        for (const decode of decoders) decodesOrRefuses(() => decode(bytes));
      }),
      { numRuns: 1_000 },
    );
  });

  it("a genesis names each peer once, and somebody", () => {
    const twice = [memberId(peer("ada"), store("one")), memberId(peer("ada"), store("two"))];
    throws(
      () => decodeGenesis(encodeGenesis({ incarnation: incarnation("x"), timeMs: 1, voters: twice })),
      DecodeError,
    );
    throws(() => decodeGenesis(encodeGenesis({ incarnation: incarnation("x"), timeMs: 1, voters: [] })), DecodeError);
    const six = ["a", "b", "c", "d", "e", "f"].map((name) => memberId(peer(name), store(name)));
    throws(() => decodeGenesis(encodeGenesis({ incarnation: incarnation("x"), timeMs: 1, voters: six })), DecodeError);
  });

  it("a batch has a command, and none above the limit", () => {
    const empty = encodeCommands({ session: 1, number: 1, timeMs: 1, commands: [] });
    throws(() => decodeCommands(empty), DecodeError);
    const long = new Uint8Array(LIMITS.commandBytesMax + 1);
    throws(() => decodeCommands(encodeCommands({ session: 1, number: 1, timeMs: 1, commands: [long] })), DecodeError);
    const longest = new Uint8Array(LIMITS.commandBytesMax);
    equal(decodeCommands(encodeCommands({ session: 1, number: 1, timeMs: 1, commands: [longest] })).commands.length, 1);
  });

  it("of another format, or with bytes after the end, are refused", () => {
    for (const bytes of [encodeSession("00".repeat(16)), encodeOpen()]) {
      throws(() => decodeSession(Uint8Array.of(2, ...bytes.subarray(1))), DecodeError);
      throws(() => decodeSession(Uint8Array.of(...bytes, 0)), DecodeError);
    }
  });

  it("only a genesis and a configuration change the voters", () => {
    const voters = [memberId(peer("ada"), store("ada"))];
    const data = encodeGenesis({ incarnation: incarnation("x"), timeMs: 1, voters });
    deepEqual(votersOf({ index: 1, term: 1, kind: ENTRY_GENESIS, data }), voters);
    for (const kind of [0, ENTRY_OPEN, ENTRY_SESSION, ENTRY_COMMANDS, 99]) {
      equal(votersOf({ index: 1, term: 1, kind, data }), undefined);
    }
    const more = [...voters, memberId(peer("bob"), store("bob"))];
    deepEqual(votersOf({ index: 2, term: 1, kind: ENTRY_CONFIGURATION, data: encodeConfiguration(more) }), more);
    deepEqual([0, 1, 2, 3, 4, 5, 6, 255].map(isKnownKind), [true, true, true, true, true, true, false, false]);
  });
});
