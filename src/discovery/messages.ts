import { LIMITS } from "../env/index.ts";
import { type PeerId, SIGNATURE_BYTES, type UniqueId } from "../identity/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../wire/index.ts";
import type { DigestItem, DigestRange } from "./digest.ts";
import type { Departure, EntryVersion, SignedEntry } from "./types.ts";

export const DISCOVERY_PROTOCOL = "mosaik/discovery/1";

/** Frames of a discovery link. Unknown kinds are ignored: a newer peer may know more. */
export const FRAME = { news: 16, digest: 17, want: 18, suspect: 19 } as const;

/** What is passed on about one peer, with the time since its last sign of life. */
export type News =
  | { readonly type: "entry"; readonly ageMs: number; readonly signed: SignedEntry }
  | { readonly type: "departure"; readonly ageMs: number; readonly departure: Departure };

/** News as they came: bounded, but not yet proven. Views into the frame. */
export type RawNews =
  | { readonly type: "entry"; readonly ageMs: number; readonly bytes: Uint8Array; readonly signature: Uint8Array }
  | { readonly type: "departure"; readonly ageMs: number; readonly departure: Departure };

const NEWS = { entry: 1, departure: 2 } as const;
const STATES = ["live", "departed", "gone"] as const;
const RANGE = { items: 0, fingerprint: 1 } as const;

export function newsBytes(news: News): number {
  return news.type === "entry" ? news.signed.bytes.length + SIGNATURE_BYTES + 12 : 120;
}

export function encodeNews(list: readonly News[]): Uint8Array {
  const writer = new ByteWriter(1024).varint(list.length);
  for (const news of list) {
    if (news.type === "entry") {
      writer.u8(NEWS.entry).varint(news.ageMs).bytes(news.signed.bytes).fixed(news.signed.signature);
    } else {
      const { id, startMs, signature } = news.departure;
      writer.u8(NEWS.departure).varint(news.ageMs).id(id).varint(startMs).fixed(signature);
    }
  }
  return writer.finish();
}

/** @throws DecodeError */
export function decodeNews(payload: Uint8Array, network: UniqueId): RawNews[] {
  const reader = new ByteReader(payload);
  const list: RawNews[] = [];
  for (let left = reader.count(LIMITS.frameEntriesMax, 66); left > 0; left--) {
    const type = reader.u8();
    const ageMs = reader.varint();
    if (type === NEWS.entry) {
      const bytes = reader.bytes(LIMITS.entryBytesMax);
      list.push({ type: "entry", ageMs, bytes, signature: reader.fixed(SIGNATURE_BYTES) });
    } else if (type === NEWS.departure) {
      const id = reader.id() as PeerId;
      const startMs = reader.varint();
      list.push({
        type: "departure",
        ageMs,
        departure: { network, id, startMs, signature: reader.fixed(SIGNATURE_BYTES) },
      });
    } else throw new DecodeError("news of an unknown type");
  }
  reader.end();
  return list;
}

export function encodeWant(ids: readonly PeerId[]): Uint8Array {
  const writer = new ByteWriter(4 + ids.length * 32).varint(ids.length);
  for (const id of ids) writer.id(id);
  return writer.finish();
}

/** @throws DecodeError */
export function decodeWant(payload: Uint8Array): PeerId[] {
  const reader = new ByteReader(payload);
  const ids: PeerId[] = [];
  for (let left = reader.count(LIMITS.frameEntriesMax, 32); left > 0; left--) ids.push(reader.id() as PeerId);
  reader.end();
  return ids;
}

/** "I was its neighbour, and cannot reach it any more": a hint to look for oneself, nothing else. */
export interface Suspicion {
  readonly id: PeerId;
  /** What the suspecting peer knows of it: older hints are moot. */
  readonly version: EntryVersion;
}

export function encodeSuspicion({ id, version }: Suspicion): Uint8Array {
  return new ByteWriter(64).id(id).varint(version.startMs).varint(version.updateMs).finish();
}

/** @throws DecodeError */
export function decodeSuspicion(payload: Uint8Array): Suspicion {
  const reader = new ByteReader(payload);
  const suspicion = { id: reader.id() as PeerId, version: { startMs: reader.varint(), updateMs: reader.varint() } };
  reader.end();
  return suspicion;
}

export function encodeDigest(ranges: readonly DigestRange[]): Uint8Array {
  const writer = new ByteWriter(1024).varint(ranges.length);
  for (const range of ranges) {
    writer.u8(RANGE[range.type]).id(range.after).id(range.upTo);
    if (range.type === "fingerprint") {
      writer.varint(range.print.count).u32(range.print.high).u32(range.print.low);
      continue;
    }
    writer.varint(range.items.length);
    for (const item of range.items) {
      writer.u8(STATES.indexOf(item.state)).id(item.id).varint(item.startMs).varint(item.updateMs).u32(item.mark);
    }
  }
  return writer.finish();
}

/** Ranges ascend and are disjoint, and so are the items in them. @throws DecodeError */
export function decodeDigest(payload: Uint8Array): DigestRange[] {
  const reader = new ByteReader(payload);
  const ranges: DigestRange[] = [];
  let previous = "" as UniqueId;
  let itemsLeft: number = LIMITS.frameDigestItemsMax;
  for (let left = reader.count(LIMITS.frameRangesMax, 66); left > 0; left--) {
    const type = reader.u8();
    const after = reader.id();
    const upTo = reader.id();
    if (after < previous || upTo <= after) throw new DecodeError("ranges that are not sorted");
    previous = upTo;
    if (type === RANGE.fingerprint) {
      const print = { count: reader.varint(), high: reader.u32(), low: reader.u32() };
      ranges.push({ type: "fingerprint", after, upTo, print });
    } else if (type === RANGE.items) {
      const items = readItems(reader, after, upTo, itemsLeft);
      itemsLeft -= items.length;
      ranges.push({ type: "items", after, upTo, items });
    } else throw new DecodeError("a range of an unknown type");
  }
  reader.end();
  return ranges;
}

function readItems(reader: ByteReader, after: UniqueId, upTo: UniqueId, max: number): DigestItem[] {
  const items: DigestItem[] = [];
  let previous = after;
  for (let left = reader.count(max, 39); left > 0; left--) {
    const state = STATES[reader.u8()];
    if (state === undefined) throw new DecodeError("an item of an unknown state");
    const id = reader.id() as PeerId;
    if (id <= previous || id > upTo) throw new DecodeError("items that are not sorted");
    previous = id;
    items.push({ id, state, startMs: reader.varint(), updateMs: reader.varint(), mark: reader.u32() });
  }
  return items;
}

/** What discovery says in a hello. What follows these fields is ignored, for what later versions add. */
export function encodeOpening(wallMs: number): Uint8Array {
  return new ByteWriter(16).varint(wallMs).finish();
}

/** @throws DecodeError */
export function decodeOpening(payload: Uint8Array): { readonly wallMs: number } {
  return { wallMs: new ByteReader(payload).varint() };
}
