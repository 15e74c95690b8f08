import type { DigestRange } from "../../src/discovery/digest.ts";
import { checkDeparture, decodeSignedEntry, peekEntry, signDeparture, signEntry } from "../../src/discovery/entry.ts";
import {
  decodeDigest,
  decodeNews,
  decodeOpening,
  decodeSuspicion,
  decodeWant,
  encodeDigest,
  encodeNews,
  encodeOpening,
  encodeSuspicion,
  encodeWant,
} from "../../src/discovery/messages.ts";
import { decodePing, encodePing } from "../../src/discovery/probes.ts";
import type { Departure, SignedEntry } from "../../src/discovery/types.ts";
import { hash, type Identity, type PeerId, SIGNATURE_BYTES, type UniqueId } from "../../src/identity/index.ts";
import { ByteReader } from "../../src/wire/index.ts";
import type { Chance } from "./chance.ts";
import { IDENTITIES, id, type Target, text } from "./target.ts";

const NETWORK = hash("fuzzed");

export const discoveryTargets: readonly Target[] = [
  {
    name: "entry",
    make: (chance) => {
      const { bytes, signature } = entry(chance);
      return new Uint8Array(Buffer.concat([signature, bytes]));
    },
    decode: (bytes) => decodeSignedEntry(bytes.subarray(SIGNATURE_BYTES), bytes.subarray(0, SIGNATURE_BYTES), NETWORK),
  },
  { name: "entry-peek", make: (chance) => entry(chance).bytes, decode: peekEntry },
  {
    name: "departure",
    make: (chance) => {
      const { id: peer, startMs, signature } = departure(chance);
      const start = Buffer.alloc(8);
      start.writeBigUInt64BE(BigInt(startMs));
      return new Uint8Array(Buffer.concat([start, Buffer.from(peer, "hex"), signature]));
    },
    decode: (bytes) => {
      const reader = new ByteReader(bytes);
      const startMs = (reader.u32() % 2 ** 21) * 2 ** 32 + reader.u32();
      return checkDeparture({ network: NETWORK, id: reader.id() as PeerId, startMs, signature: reader.rest() });
    },
  },
  {
    name: "news",
    make: (chance) =>
      encodeNews(
        chance.list(4, () =>
          chance.isOneIn(3)
            ? { type: "departure", ageMs: chance.number(), departure: departure(chance) }
            : { type: "entry", ageMs: chance.number(), signed: entry(chance) },
        ),
      ),
    decode: (bytes) => decodeNews(bytes, NETWORK),
  },
  { name: "want", make: (chance) => encodeWant(chance.list(10, () => id(chance) as PeerId)), decode: decodeWant },
  {
    name: "suspicion",
    make: (chance) => {
      const version = { startMs: chance.number(), updateMs: chance.number() };
      return encodeSuspicion({ id: id(chance) as PeerId, version });
    },
    decode: decodeSuspicion,
  },
  { name: "digest", make: (chance) => encodeDigest(ranges(chance)), decode: decodeDigest },
  { name: "ping", make: (chance) => encodePing(chance.below(256)), decode: decodePing },
  { name: "opening", make: (chance) => encodeOpening(chance.number()), decode: decodeOpening },
];

function identity(chance: Chance): Identity {
  return chance.pick(IDENTITIES);
}

function entry(chance: Chance): SignedEntry {
  const signer = identity(chance);
  const sorted = (make: () => string): string[] => [...new Set(chance.list(5, make))].sort();
  return signEntry(
    {
      network: NETWORK,
      id: signer.peerId,
      version: { startMs: chance.number(), updateMs: chance.number() },
      addresses: sorted(() => `127.0.0.${chance.below(9)}:${chance.below(9_999)}`),
      tags: sorted(() => `${text(chance, 8)}x`),
      attributes: Object.fromEntries(chance.list(4, () => [text(chance, 6), text(chance, 20)])),
      groups: sorted(() => id(chance)) as UniqueId[],
      streams: sorted(() => id(chance)) as UniqueId[],
      tickets: sorted(() => id(chance)).map((one) => ({
        class: one as UniqueId,
        data: chance.bytes(chance.size(100)),
      })),
    },
    signer,
  );
}

function departure(chance: Chance): Departure {
  return signDeparture(NETWORK, chance.number(), identity(chance));
}

/** Ascending and disjoint. */
function ranges(chance: Chance): DigestRange[] {
  const ids = [...new Set(chance.list(24, () => hash(`${chance.uint32()}`)))].sort();
  const list: DigestRange[] = [];
  let after = "0".repeat(64) as UniqueId;
  while (ids.length > 0) {
    const inside = ids.splice(0, 1 + chance.below(5));
    const upTo = inside.at(-1) as UniqueId;
    const items = inside.map((one) => ({
      id: one as PeerId,
      state: chance.pick(["live", "departed", "gone"] as const),
      startMs: chance.number(),
      updateMs: chance.number(),
      mark: chance.uint32(),
    }));
    const print = { count: chance.number(), high: chance.uint32(), low: chance.uint32() };
    list.push(chance.isOneIn(2) ? { type: "items", after, upTo, items } : { type: "fingerprint", after, upTo, print });
    after = upTo;
  }
  return list;
}
