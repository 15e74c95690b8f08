import { ok } from "node:assert/strict";
import { LIMITS } from "../../src/env/index.ts";
import { formatAddress, parsePeerAddress } from "../../src/transport/index.ts";
import { decodeClose, decodeHello, encodeClose, encodeHello } from "../../src/wire/hello.ts";
import { ByteReader, encodeFrame, type Frame, FrameDecoder, messagePack } from "../../src/wire/index.ts";
import type { Chance } from "./chance.ts";
import { discoveryTargets } from "./discovery-targets.ts";
import { exportTargets } from "./export-targets.ts";
import { fileTargets } from "./file-targets.ts";
import { groupTargets } from "./group-targets.ts";
import { storageTargets } from "./storage-targets.ts";
import { streamTargets } from "./stream-targets.ts";
import { id, type Target, text } from "./target.ts";

const wireTargets: readonly Target[] = [
  {
    name: "frames",
    make: (chance) => {
      const frames = chance.list(6, () =>
        encodeFrame(chance.pick([0, 1, 2, 3, 16, 17, 255]), chance.bytes(chance.size(200))),
      );
      return new Uint8Array(Buffer.concat(frames));
    },
    decode: (bytes) => {
      const decoder = new FrameDecoder(LIMITS.discoveryFrameBytesMax);
      const frames: Frame[] = [];
      // Cut into chunks of a size that depends on the bytes alone, so that an input alone says all.
      const size = 1 + bytes.reduce((sum, byte) => (sum * 31 + byte) % 251, bytes.length % 251);
      for (let at = 0; at < bytes.length; at += size) {
        decoder.push(bytes.subarray(at, at + size));
        for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame);
      }
      return frames;
    },
  },
  {
    name: "hello",
    make: (chance) =>
      encodeHello({
        versionMin: 1 + chance.below(3),
        versionMax: 4 + chance.below(3),
        network: id(chance),
        features: chance.uint32(),
        proof: chance.bytes(chance.pick([0, 32, 256])),
        payload: chance.bytes(chance.size(300)),
      }),
    decode: decodeHello,
  },
  {
    name: "close",
    make: (chance) => encodeClose({ code: chance.below(1_000), reason: text(chance, 200) }),
    decode: decodeClose,
  },
  {
    name: "message-pack",
    make: (chance) => messagePack.encode(value(chance, 0)),
    decode: (bytes) => {
      const decoded = messagePack.decode(bytes);
      // What comes can be passed on, and is no longer then: a key that came twice is there once.
      ok(messagePack.encode(decoded).length <= bytes.length, "a decoded value that grows");
      return { decoded };
    },
  },
  { name: "byte-reader", make: (chance) => chance.bytes(8 + chance.size(200)), decode: readByProgram },
  {
    name: "peer-address",
    make: (chance) => {
      const host = chance.pick(["127.0.0.1", "::1", "example.org", "a_b-c.d"]);
      const address = formatAddress(host, chance.below(65_536));
      return Buffer.from(chance.isOneIn(2) ? address : `${id(chance)}@${address}`);
    },
    decode: (bytes) => parsePeerAddress(Buffer.from(bytes).toString()),
  },
];

export const TARGETS: readonly Target[] = [
  ...wireTargets,
  ...groupTargets,
  ...storageTargets,
  ...fileTargets,
  ...discoveryTargets,
  ...exportTargets,
  ...streamTargets,
];

/** Any plain data. */
function value(chance: Chance, depth: number): unknown {
  const simple = [
    () => chance.number(),
    () => -chance.number(),
    () => (chance.below(2 ** 32) + 1) / 2 ** chance.below(40),
    () => text(chance, 40),
    () => chance.bytes(chance.size(60)),
    () => chance.pick([null, undefined, true, false, Number.POSITIVE_INFINITY, "\ufeffmarked"]),
    () => BigInt.asIntN(64, BigInt(chance.number()) * 4_099n),
    () => new Date(chance.below(2 ** 42)),
  ];
  if (depth >= 4 || chance.isOneIn(2)) return withoutMinusZero(chance.pick(simple)());
  const inner = (): unknown => value(chance, depth + 1);
  if (chance.isOneIn(3)) return chance.list(20, inner);
  const entries = chance.list(8, () => [text(chance, 8), inner()] as const);
  return chance.isOneIn(2) ? new Map(entries) : Object.fromEntries(entries);
}

function withoutMinusZero(one: unknown): unknown {
  return Object.is(one, -0) ? 0 : one;
}

/** The first four bytes say what is read from the others: any sequence of reads that a protocol might make. */
function readByProgram(bytes: Uint8Array): unknown {
  const program = bytes.subarray(0, 4);
  const reader = new ByteReader(bytes.subarray(4));
  const values: unknown[] = [];
  for (const step of program) {
    const max = (step >>> 4) ** 4;
    const reads = [
      () => reader.u8(),
      () => reader.u32(),
      () => reader.bool(),
      () => reader.varint(),
      () => reader.varint(max),
      () => Array.from({ length: reader.count(LIMITS.batchCommandsMax) }, () => reader.u8()),
      () => new Array(reader.count(max, 3)),
      () => reader.bytes(max),
      () => reader.bytesCopy(max),
      () => reader.bytes(LIMITS.groupFrameBytesMax),
      () => reader.text(max),
      () => reader.text(LIMITS.groupFrameBytesMax),
      () => reader.id(),
      () => reader.fixed(max),
      () => reader.rest(),
      () => reader.end(),
    ];
    values.push(reads[step & 15]?.());
  }
  return values;
}
