import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  arbitraryCommands,
  arbitraryEntry,
  arbitraryIncarnation,
  arbitraryMessage,
  arbitraryNumber,
  arbitraryPeer,
  arbitraryPosition,
  arbitrarySessionKey,
  arbitrarySnapshotFrame,
  arbitraryStore,
  contiguous,
  decodesOrRefuses,
  incarnation,
  mutationsOf,
  record,
  statusOf,
} from "../../../test/groups/kit.ts";
import { LIMITS } from "../../env/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { batchOf, commandsOf } from "../testing.ts";
import { type BondFrame, decodeFrame, decodeHello, encodeFrame, encodeHello, FRAME } from "./frames.ts";
import { DISTANCE_MAX, LEFT_MAX, type MemberStatus } from "./status.ts";

const status: fc.Arbitrary<MemberStatus> = fc
  .tuple(
    arbitraryStore,
    fc.option(arbitraryIncarnation, { nil: undefined }),
    fc.constantFrom("voter" as const, "reader" as const),
    fc.option(arbitraryPeer, { nil: undefined }),
    fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()),
    fc.tuple(arbitraryNumber, arbitraryNumber, arbitraryNumber),
    fc.array(arbitraryIncarnation, { maxLength: LEFT_MAX }),
    arbitraryPosition,
    fc.array(record({ incarnation: arbitraryIncarnation, last: arbitraryPosition, position: arbitraryNumber }), {
      maxLength: 3,
    }),
    fc.nat(DISTANCE_MAX),
  )
  .map(
    ([
      storeId,
      bound,
      role,
      leader,
      [isOpen, isEligible, isServing, isLeaving, isReluctant, isFull],
      [term, position, index],
      left,
      last,
      origins,
      distance,
    ]) => ({
      storeId,
      incarnation: bound,
      role: bound === undefined ? ("free" as const) : role,
      isOpen,
      isEligible,
      isServing,
      isLeaving,
      isReluctant,
      isFull,
      term,
      leader,
      position,
      index,
      left,
      last,
      origins,
      distance,
    }),
  );

const entriesFrame = fc
  .tuple(arbitraryIncarnation, arbitraryPosition, arbitraryNumber, fc.array(arbitraryEntry, { maxLength: 6 }))
  .map(([bound, prev, commit, entries]) => ({
    type: "entries" as const,
    incarnation: bound,
    prev,
    commit,
    entries: contiguous(prev, entries),
  }));

const frame: fc.Arbitrary<BondFrame> = fc.oneof(
  record({ type: fc.constant("status" as const), status }),
  record({
    type: fc.constant("genesis" as const),
    entry: arbitraryEntry.map((entry) => ({ ...entry, index: 1 })),
  }),
  record({
    type: fc.constant("raft" as const),
    binding: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    messages: fc.array(arbitraryMessage, { maxLength: 5 }),
  }),
  record({ type: fc.constantFrom("open-session" as const, "close-session" as const), key: arbitrarySessionKey }),
  record({
    type: fc.constant("commands" as const),
    session: arbitraryNumber,
    batches: fc.array(
      fc.tuple(arbitraryNumber, arbitraryCommands).map(([number, commands]) => ({ number, ...batchOf(commands) })),
      { maxLength: 5 },
    ),
  }),
  record({
    type: fc.constant("commands-unsupported" as const),
    session: arbitraryNumber,
    number: arbitraryNumber,
    members: fc.array(arbitraryPeer, { maxLength: 16 }),
  }),
  record({
    type: fc.constant("machine" as const),
    support: record({
      format: arbitraryNumber,
      version: arbitraryNumber,
      commands: fc
        .uniqueArray(fc.string({ minLength: 1, maxLength: 10, unit: "grapheme-ascii" }))
        .map((names) => names.sort()),
    }),
  }),
  record({ type: fc.constant("commands-refused" as const), session: arbitraryNumber, expected: arbitraryNumber }),
  record({ type: fc.constant("read" as const), request: arbitraryNumber }),
  record({
    type: fc.constant("read-reply" as const),
    request: arbitraryNumber,
    index: fc.option(arbitraryNumber, { nil: undefined }),
  }),
  record({
    type: fc.constant("fetch" as const),
    incarnation: arbitraryIncarnation,
    after: arbitraryPosition,
    commit: arbitraryNumber,
  }),
  entriesFrame,
  record({ type: fc.constantFrom("dissolve" as const, "fetch-refused" as const), incarnation: arbitraryIncarnation }),
  record({ type: fc.constant("released" as const), incarnation: arbitraryIncarnation }),
  record({ type: fc.constant("transfer" as const), to: fc.option(arbitraryPeer, { nil: undefined }) }),
  // Five kinds.
  { weight: 5, arbitrary: arbitrarySnapshotFrame },
);

const hello = record({
  group: arbitraryIncarnation,
  proof: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ minLength: 32, maxLength: 32 })),
  machine: record({
    name: fc.string({ maxLength: 30 }),
    version: arbitraryNumber,
    codec: fc.string({ maxLength: 30 }),
  }),
  openings: fc
    .tuple(fc.array(arbitrarySessionKey, { maxLength: 64 }), fc.nat(1_000))
    .map(([ids, more]) => ({ count: ids.length === 0 ? 0 : ids.length + more, ids })),
  status,
});

/** Where its batches lie does not matter. */
function shown(frame: BondFrame | undefined): unknown {
  if (frame?.type !== "commands") return frame;
  const batches = frame.batches.map((batch) => ({ number: batch.number, commands: commandsOf(batch) }));
  return { ...frame, batches };
}

describe("frames of a bond", () => {
  it("come back as they were", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(frame, (value) => {
        seen.add(value.type);
        const { kind, payload } = encodeFrame(value);
        deepEqual(shown(decodeFrame(kind, payload)), shown(value));
      }),
      { numRuns: 1_000 },
    );
    equal(seen.size, Object.keys(FRAME).length, "each kind was tried");
  });

  it("hellos come back as they were, and later versions may append to them", () => {
    fc.assert(
      fc.property(hello, fc.uint8Array({ maxLength: 9 }), (value, more) => {
        deepEqual(decodeHello(encodeHello(value)), value);
        deepEqual(decodeHello(Uint8Array.of(...encodeHello(value), ...more)), value);
      }),
    );
  });

  it("random and damaged bytes give a frame or a DecodeError", () => {
    const bytes = fc.oneof(
      fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 300 })),
      fc.tuple(fc.constantFrom(...Object.values(FRAME)), fc.uint8Array({ maxLength: 300 })),
      frame.chain((value) => {
        const { kind, payload } = encodeFrame(value);
        return mutationsOf(fc.constant(payload)).map((damaged): [number, Uint8Array] => [kind, damaged]);
      }),
    );
    fc.assert(
      fc.property(bytes, ([kind, payload]) => {
        const decoded = decodesOrRefuses(() => decodeFrame(kind, payload));
        if (decoded !== undefined) ok(Object.values<number>(FRAME).includes(kind));
      }),
      { numRuns: 2_000 },
    );
    const hellos = fc.oneof(fc.uint8Array({ maxLength: 300 }), mutationsOf(hello.map(encodeHello)));
    fc.assert(
      fc.property(hellos, (payload) => {
        decodesOrRefuses(() => decodeHello(payload));
      }),
      { numRuns: 1_000 },
    );
  });

  it("what a decoded frame says can be said again", () => {
    // Nothing that came in may make our own encoder assert when it is passed on.
    const damaged = frame.chain((value) => {
      const { kind, payload } = encodeFrame(value);
      return mutationsOf(fc.constant(payload)).map((bytes): [number, Uint8Array] => [kind, bytes]);
    });
    fc.assert(
      fc.property(damaged, ([kind, payload]) => {
        const decoded = decodesOrRefuses(() => decodeFrame(kind, payload)) as BondFrame | undefined;
        if (decoded === undefined) return;
        const again = encodeFrame(decoded);
        deepEqual(decodeFrame(again.kind, again.payload), decoded);
      }),
      { numRuns: 1_000 },
    );
  });

  it("an unknown kind is skipped, and its payload is not looked at", () => {
    equal(decodeFrame(200, Uint8Array.of(1, 2, 3)), undefined);
  });

  it("a status may grow fields, every other frame is exact", () => {
    const grown = (value: BondFrame): BondFrame | undefined => {
      const { kind, payload } = encodeFrame(value);
      return decodeFrame(kind, Uint8Array.of(...payload, 7));
    };
    const told: BondFrame = { type: "status", status: statusOf({}) };
    deepEqual(grown(told), told);
    throws(() => grown({ type: "read", request: 1 }), DecodeError);
    throws(() => grown({ type: "dissolve", incarnation: incarnation("x") }), DecodeError);
  });

  it("a count that the bytes cannot hold is refused before anything is allocated", () => {
    const huge = [0xff, 0xff, 0x7f];
    throws(() => decodeFrame(FRAME.commands, Uint8Array.of(1, ...huge)), DecodeError);
    throws(() => decodeFrame(FRAME.raft, Uint8Array.of(...new Uint8Array(8), 64)), DecodeError);
    throws(() => decodeFrame(FRAME.raft, Uint8Array.of(...new Uint8Array(8), LIMITS.raftMessagesMax + 1)), DecodeError);
    throws(() => decodeFrame(FRAME.genesis, Uint8Array.of(...huge)), DecodeError);
  });

  it("more commands than a frame may hold are refused, though their bytes fit", () => {
    const many = batchOf(Array.from({ length: LIMITS.batchCommandsMax }, () => new Uint8Array(0)));
    const frameOf = (count: number): BondFrame => ({
      type: "commands",
      session: 1,
      batches: Array.from({ length: count }, (_, i) => ({ number: i + 1, ...many })),
    });
    const decode = (value: BondFrame): BondFrame | undefined => {
      const { kind, payload } = encodeFrame(value);
      return decodeFrame(kind, payload);
    };
    deepEqual(shown(decode(frameOf(2))), shown(frameOf(2)));
    throws(() => decode(frameOf(3)), DecodeError);
  });

  it("free or bound, not both", () => {
    for (const wrong of [
      statusOf({ role: "free", incarnation: incarnation("x") }),
      statusOf({ role: "voter", incarnation: undefined }),
      statusOf({ role: "reader", incarnation: undefined }),
    ]) {
      const { kind, payload } = encodeFrame({ type: "status", status: wrong });
      throws(() => decodeFrame(kind, payload), DecodeError);
    }
  });
});
