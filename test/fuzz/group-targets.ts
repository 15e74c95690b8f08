import { LIMITS } from "../../src/env/index.ts";
import { type BondFrame, decodeFrame, decodeHello, encodeFrame, encodeHello } from "../../src/groups/bonds/frames.ts";
import type { Openings } from "../../src/groups/bonds/openings.ts";
import { readEntries, readMessage, writeEntries, writeMessage } from "../../src/groups/bonds/raft-codec.ts";
import { chunksOf, HASH_BYTES } from "../../src/groups/bonds/snapshot-frames.ts";
import type { MemberStatus } from "../../src/groups/bonds/status.ts";
import {
  decodeConfiguration,
  decodeGenesis,
  decodeRun,
  decodeSession,
  decodeSessionEnd,
  decodeVersion,
  encodeConfiguration,
  encodeGenesis,
  encodeRun,
  encodeSession,
  encodeSessionEnd,
  encodeVersion,
} from "../../src/groups/entries/entries.ts";
import { memberId } from "../../src/groups/entries/member-id.ts";
import type { Support } from "../../src/groups/entries/versions.ts";
import { defineMachine } from "../../src/groups/index.ts";
import { runtimeOf } from "../../src/groups/machine/index.ts";
import { PlainIntake, plainChunks } from "../../src/groups/machine/plain-chunks.ts";
import type { Origin } from "../../src/groups/replica/index.ts";
import { encodeSnapshot, SnapshotDecoder } from "../../src/groups/replica/snapshot-format.ts";
import { decodeSessions, encodeSessions } from "../../src/groups/sessions/session-codec.ts";
import { SessionTable } from "../../src/groups/sessions/sessions.ts";
import { batchOf, decodeCommand, encodeCommand } from "../../src/groups/testing.ts";
import type { PeerId } from "../../src/identity/index.ts";
import type { Entry, LogPosition, MemberId, Message } from "../../src/raft/index.ts";
import type { IncarnationId, StoreId } from "../../src/storage/index.ts";
import { ByteReader, ByteWriter } from "../../src/wire/index.ts";
import type { Chance } from "./chance.ts";
import { id, type Target, text } from "./target.ts";

const Machine = defineMachine("fuzzed", { state: () => ({}), commands: { put: () => 1, drop: () => 2 } });
const runtime = runtimeOf(Machine);
const writer = new ByteWriter();

export const groupTargets: readonly Target[] = [
  {
    name: "bond-hello",
    make: (chance) =>
      encodeHello({
        group: id(chance),
        proof: chance.bytes(chance.pick([0, 32])),
        machine: { name: text(chance, 40), version: chance.number(), codec: "msgpack/1" },
        openings: openings(chance),
        status: status(chance),
      }),
    decode: decodeHello,
  },
  {
    name: "bond-frame",
    make: (chance) => {
      const { kind, payload } = encodeFrame(frame(chance));
      return Uint8Array.of(kind, ...payload);
    },
    decode: (bytes) => decodeFrame(bytes[0] ?? 0, bytes.subarray(1)),
  },
  {
    name: "genesis",
    make: (chance) =>
      encodeGenesis({ incarnation: incarnation(chance), timeMs: chance.number(), voters: members(chance) }),
    decode: decodeGenesis,
  },
  {
    name: "configuration",
    make: (chance) => encodeConfiguration(members(chance)),
    decode: decodeConfiguration,
  },
  {
    name: "session",
    make: (chance) => encodeSession(sessionKey(chance), id(chance) as PeerId),
    decode: decodeSession,
  },
  {
    name: "session-end",
    make: (chance) =>
      encodeSessionEnd([chance.below(100), 100 + chance.below(100), 200 + Math.floor(chance.number() / 2)]),
    decode: decodeSessionEnd,
  },
  { name: "version", make: (chance) => encodeVersion(support(chance)), decode: decodeVersion },
  {
    name: "session-table",
    make: (chance) => Buffer.concat([...encodeSessions(sessions(chance))]),
    decode: decodeSessions,
  },
  {
    name: "run",
    make: (chance) =>
      encodeRun({
        session: chance.number(),
        number: chance.number(),
        timeMs: chance.number(),
        batches: [batchOf(commands(chance)), batchOf(commands(chance))],
      }),
    decode: decodeRun,
  },
  {
    name: "command",
    make: (chance) => encodeCommand(runtime, { [chance.pick(["put", "drop"])]: text(chance, 20) }),
    decode: (bytes) => decodeCommand(runtime, bytes),
  },
  {
    name: "snapshot",
    make: (chance) => {
      const sessions = new SessionTable();
      const facts = {
        incarnation: incarnation(chance),
        position: chance.number(),
        timeMs: chance.number(),
        openIndex: chance.number(),
        establishedIndex: chance.number(),
        machine: { name: text(chance, 20), version: chance.number() },
        agreed: chance.isOneIn(2) ? { format: 1, version: chance.number(), commands: ["drop", "put"] } : undefined,
        origins: origins(chance),
      };
      const state = {
        table: new Map(chance.list(4, () => [text(chance, 8), chance.number()])),
        list: [chance.number()],
      };
      return Buffer.concat([...encodeSnapshot(facts, sessions, plainChunks(state))]);
    },
    decode: (bytes) => {
      const decoder = new SnapshotDecoder(new PlainIntake());
      decoder.push(bytes.subarray(0, 40));
      decoder.push(bytes.subarray(40));
      return decoder.end();
    },
  },
  {
    name: "raft-message",
    make: (chance) => {
      writeMessage(writer, message(chance));
      return writer.finish();
    },
    decode: (bytes) => readMessage(new ByteReader(bytes)),
  },
  {
    name: "raft-entries",
    make: (chance) => {
      writeEntries(writer, entries(chance, { index: 0, term: 0 }));
      return writer.finish();
    },
    decode: (bytes) => readEntries(new ByteReader(bytes), { index: 7, term: 2 }),
  },
];

function frame(chance: Chance): BondFrame {
  const from = position(chance);
  const makers: readonly (() => BondFrame)[] = [
    () => ({ type: "status", status: status(chance) }),
    () => ({ type: "genesis", entry: { index: 1, term: 1, kind: 1, data: chance.bytes(chance.size(200)) } }),
    () => ({ type: "raft", binding: chance.bytes(8), messages: chance.list(6, () => message(chance)) }),
    () => ({ type: "open-session", key: sessionKey(chance) }),
    () => ({ type: "close-session", key: sessionKey(chance) }),
    () => ({
      type: "commands",
      session: chance.number(),
      batches: chance.list(4, () => ({ number: chance.number(), ...batchOf(commands(chance)) })),
    }),
    () => ({
      type: "commands-unsupported",
      session: chance.number(),
      number: chance.number(),
      members: chance.list(4, () => id(chance) as PeerId),
    }),
    () => ({ type: "machine", support: support(chance) }),
    () => ({ type: "commands-refused", session: chance.number(), expected: chance.number() }),
    () => ({ type: "read", request: chance.number() }),
    () => ({ type: "read-reply", request: chance.number(), index: chance.isOneIn(2) ? chance.number() : undefined }),
    () => ({ type: "fetch", incarnation: incarnation(chance), after: from, commit: chance.number() }),
    () => ({ type: "fetch-refused", incarnation: incarnation(chance) }),
    () => ({ type: "released", incarnation: incarnation(chance) }),
    () => snapshotFrame(chance),
    () => ({ type: "transfer", to: chance.isOneIn(2) ? (id(chance) as PeerId) : undefined }),
    () => ({
      type: "entries",
      incarnation: incarnation(chance),
      prev: from,
      entries: entries(chance, from),
      commit: chance.number(),
    }),
    () => ({ type: "dissolve", incarnation: incarnation(chance) }),
  ];
  return chance.pick(makers)();
}

function message(chance: Chance): Message {
  const term = chance.number();
  const prev = position(chance);
  const makers: readonly (() => Message)[] = [
    () => ({ type: "pre-vote", term, last: prev }),
    () => ({ type: "vote", term, last: prev, isTransfer: chance.isOneIn(2) }),
    () => ({ type: "pre-vote-reply", term, granted: chance.isOneIn(2) }),
    () => ({ type: "vote-reply", term, granted: chance.isOneIn(2) }),
    () => ({
      type: "append",
      term,
      prev,
      commit: chance.number(),
      round: chance.number(),
      entries: entries(chance, prev),
    }),
    () => ({ type: "append-reply", term, round: chance.number(), index: chance.number(), conflict: prev }),
    () => ({ type: "append-reply", term, round: chance.number(), index: chance.number(), conflict: undefined }),
    () => ({ type: "timeout-now", term }),
    () => ({ type: "snapshot", term, place: prev, round: chance.number() }),
  ];
  return chance.pick(makers)();
}

function openings(chance: Chance): Openings {
  const ids = chance.list(64, () => sessionKey(chance));
  return { count: ids.length === 0 ? 0 : ids.length + chance.below(1000), ids };
}

function snapshotFrame(chance: Chance): BondFrame {
  const bound = incarnation(chance);
  const index = chance.number();
  const chunk = chance.size(LIMITS.snapshotChunksMax);
  const bytes = 1 + chance.size(600_000);
  const snapshot = {
    ...position(chance),
    configuration: chance.bytes(chance.size(200)),
    bytes,
    hashes: chance.bytes(HASH_BYTES * chunksOf(bytes)),
  };
  return chance.pick<BondFrame>([
    { type: "log-begins", incarnation: bound, index },
    { type: "snapshot-ask", incarnation: bound, index },
    { type: "snapshot-offer", incarnation: bound, snapshot },
    { type: "snapshot-fetch", incarnation: bound, index, chunk },
    { type: "snapshot-chunk", incarnation: bound, index, chunk, data: chance.bytes(chance.size(200)) },
  ]);
}

function status(chance: Chance): MemberStatus {
  const isFree = chance.isOneIn(3);
  return {
    storeId: id(chance) as StoreId,
    incarnation: isFree ? undefined : incarnation(chance),
    role: isFree ? "free" : chance.pick(["voter", "reader"]),
    isOpen: chance.isOneIn(2),
    isEligible: chance.isOneIn(2),
    isServing: chance.isOneIn(2),
    term: chance.number(),
    leader: chance.isOneIn(2) ? (id(chance) as PeerId) : undefined,
    position: chance.number(),
    index: chance.number(),
    isLeaving: chance.isOneIn(2),
    isReluctant: chance.isOneIn(2),
    isFull: chance.isOneIn(2),
    left: chance.list(8, () => incarnation(chance)),
    last: { index: chance.number(), term: chance.number() },
    origins: origins(chance),
    distance: chance.below(17),
  };
}

function origins(chance: Chance): Origin[] {
  return chance.list(3, () => ({
    incarnation: incarnation(chance),
    last: { index: chance.number(), term: chance.number() },
    position: chance.number(),
  }));
}

function entries(chance: Chance, prev: LogPosition): Entry[] {
  let { index, term } = prev;
  return chance.list(6, () => {
    term += chance.below(2);
    index++;
    return { index, term, kind: chance.below(5), data: chance.bytes(chance.size(60)) };
  });
}

function position(chance: Chance): LogPosition {
  return { index: chance.below(2 ** chance.below(50)), term: chance.below(2 ** chance.below(50)) };
}

function members(chance: Chance): MemberId[] {
  const peers = new Set(Array.from({ length: 1 + chance.below(4) }, () => id(chance) as PeerId));
  return [...peers].map((peer) => memberId(peer, id(chance) as StoreId));
}

function commands(chance: Chance): Uint8Array[] {
  return [chance.bytes(chance.size(40)), ...chance.list(5, () => chance.bytes(chance.size(40)))];
}

function incarnation(chance: Chance): IncarnationId {
  return id(chance) as IncarnationId;
}

function support(chance: Chance): Support {
  const commands = new Set(chance.list(5, () => `c${text(chance, 10)}`));
  return { format: chance.number(), version: chance.number(), commands: [...commands].sort() };
}

export function sessions(chance: Chance): SessionTable {
  const table = new SessionTable();
  let index = 0;
  for (let count = chance.below(4); count > 0; count--) {
    index += 1 + chance.below(1000);
    table.begin(index, sessionKey(chance), id(chance) as PeerId);
    for (let number = 1; number <= chance.below(40); number++) {
      table.admit(index, number);
      table.place(index, number, 1 + chance.below(1000), chance.isOneIn(4));
    }
    if (chance.isOneIn(3)) table.end(index);
  }
  return table;
}

function sessionKey(chance: Chance): string {
  return Buffer.from(chance.bytes(16)).toString("hex");
}
