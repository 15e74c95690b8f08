import { deepEqual, equal, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  arbitraryCommands,
  arbitraryIncarnation,
  arbitraryMember,
  arbitraryNumber,
  arbitraryPeer,
  arbitrarySessionKey,
  arbitraryTimeMs,
  decodesOrRefuses,
  incarnation,
  mutationsOf,
  peer,
  record,
  store,
} from "../../../test/groups/kit.ts";
import { LIMITS } from "../../env/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { batchOf, commandsOf } from "../testing.ts";
import {
  type CommandRun,
  decodeGenesis,
  decodeRun,
  decodeSession,
  decodeSessionEnd,
  decodeVersion,
  ENTRY_COMMANDS,
  ENTRY_CONFIGURATION,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  encodeConfiguration,
  encodeGenesis,
  encodeOpen,
  encodeRun,
  encodeSession,
  encodeSessionEnd,
  encodeVersion,
  isKnownKind,
  votersOf,
} from "./entries.ts";
import { memberId } from "./member-id.ts";

const genesis = record({
  incarnation: arbitraryIncarnation,
  timeMs: arbitraryTimeMs,
  voters: fc.uniqueArray(arbitraryMember, {
    minLength: 1,
    maxLength: LIMITS.votersMax,
    selector: (member) => member.slice(0, 64),
  }),
});
const run = record({
  session: arbitraryNumber,
  number: arbitraryNumber.filter((number) => Number.isSafeInteger(number + 8)),
  timeMs: arbitraryTimeMs,
  batches: fc.array(arbitraryCommands.map(batchOf), { minLength: 1, maxLength: 8 }),
});

/** Where its batches lie does not matter. */
function shown(run: CommandRun): unknown {
  return { ...run, batches: run.batches.map(commandsOf) };
}

describe("entries", () => {
  it("come back as they were", () => {
    fc.assert(fc.property(genesis, (value) => deepEqual(decodeGenesis(encodeGenesis(value)), value)));
    fc.assert(fc.property(run, (value) => deepEqual(shown(decodeRun(encodeRun(value))), shown(value))));
    fc.assert(
      fc.property(arbitrarySessionKey, arbitraryPeer, (key, owner) =>
        deepEqual(decodeSession(encodeSession(key, owner)), { key, owner }),
      ),
    );
  });

  it("the end of sessions names each once, in order, and one at least", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          arbitraryNumber.filter((index) => index > 0),
          { minLength: 1 },
        ),
        (list) => {
          const sessions = list.sort((a, b) => a - b);
          deepEqual(decodeSessionEnd(encodeSessionEnd(sessions)), sessions);
        },
      ),
    );
    for (const wrong of [[], [0], [2, 1], [1, 1]]) throws(() => decodeSessionEnd(encodeSessionEnd(wrong)), DecodeError);
    const most = Array.from({ length: LIMITS.sessionEndsMax }, (_, i) => i + 1);
    equal(decodeSessionEnd(encodeSessionEnd(most)).length, most.length);
    throws(() => decodeSessionEnd(encodeSessionEnd([...most, most.length + 1])), DecodeError);
  });

  it("a version names commands once, in order", () => {
    const support = (...commands: readonly string[]) => ({ format: 1, version: 2, commands });
    for (const value of [support(), support("add"), support("add", "note")])
      deepEqual(decodeVersion(encodeVersion(value)), value);
    for (const wrong of [support("note", "add"), support("add", "add"), support("")])
      throws(() => decodeVersion(encodeVersion(wrong)), DecodeError);
    throws(() => decodeVersion(Uint8Array.of(...encodeVersion(support("add")), 0)), DecodeError);
  });

  it("random and damaged bytes give a value or a DecodeError", () => {
    const decoders = [decodeGenesis, decodeSession, decodeSessionEnd, decodeVersion, decodeRun];
    const valid = fc.oneof(
      genesis.map(encodeGenesis),
      run.map(encodeRun),
      arbitrarySessionKey.map((key) => encodeSession(key, peer("ada"))),
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

  it("a run has a batch, a batch a command, and none above the limit", () => {
    const of = (...batches: Uint8Array[][]): Uint8Array =>
      encodeRun({ session: 1, number: 1, timeMs: 1, batches: batches.map(batchOf) });
    throws(() => decodeRun(of()), DecodeError);
    throws(() => decodeRun(of([])), DecodeError);
    throws(() => decodeRun(of([Uint8Array.of(1)], [])), DecodeError);
    throws(() => decodeRun(of([new Uint8Array(LIMITS.commandBytesMax + 1)])), DecodeError);
    equal(decodeRun(of([new Uint8Array(LIMITS.commandBytesMax)])).batches.length, 1);
    const most = Array.from({ length: LIMITS.runBatchesMax }, () => [Uint8Array.of(1)]);
    equal(decodeRun(of(...most)).batches.length, LIMITS.runBatchesMax);
    throws(() => decodeRun(of(...most, [Uint8Array.of(1)])), DecodeError);
  });

  it("numbers end where integers do", () => {
    const number = Number.MAX_SAFE_INTEGER;
    const data = encodeRun({ session: 1, number, timeMs: 1, batches: [batchOf([Uint8Array.of(1)])] });
    throws(() => decodeRun(data), DecodeError);
  });

  it("of another format, or with bytes after the end, are refused", () => {
    for (const bytes of [encodeSession("00".repeat(16), peer("ada")), encodeOpen()]) {
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
    equal([0, 1, 2, 3, 4, 5, 6, 7].every(isKnownKind), true);
    equal([8, 255].some(isKnownKind), false);
  });
});
