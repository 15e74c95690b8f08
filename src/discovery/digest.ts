import { LIMITS } from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import { type Catalog, isBeyond, type Now } from "./catalog.ts";
import { compareVersions } from "./version.ts";

/**
 * Finds what two catalogs do not share, without sending either (range-based set reconciliation: A. Meyer, 2022).
 *
 * The ids are cut into ranges. A range with few ids is told item by item, and the other side answers with what we lack and asks for
 * what it lacks. A range with many is told as a fingerprint: equal ones are done with; else the other side cuts it further and tells us
 * its parts. So equal catalogs cost one small message, and a few differences cost a few more, whatever the size.
 */
export interface DigestItem {
  readonly id: PeerId;
  /** `gone`: known, but neither asked for nor given (expired, out of reach). */
  readonly state: "live" | "departed" | "gone";
  readonly startMs: number;
  /** 0 with `departed`. */
  readonly updateMs: number;
  /** The first 32 bits of the signature: tells apart two entries of one version. */
  readonly mark: number;
}

export interface Fingerprint {
  readonly count: number;
  readonly high: number;
  readonly low: number;
}

/** Of the ids with `after` < id <= `upTo`. */
export type DigestRange =
  | { readonly type: "items"; readonly after: UniqueId; readonly upTo: UniqueId; readonly items: readonly DigestItem[] }
  | { readonly type: "fingerprint"; readonly after: UniqueId; readonly upTo: UniqueId; readonly print: Fingerprint };

export interface DigestAnswer {
  /** The sender of the digest lacks our word on these. */
  readonly give: readonly PeerId[];
  /** We lack its word on these. */
  readonly want: readonly PeerId[];
  /** To be compared by the sender in turn. */
  readonly ranges: readonly DigestRange[];
}

/** Up to this many ids a range is told item by item. */
export const RANGE_ITEMS_MAX = 32;
const PARTS = 16;
const LOWEST = "0".repeat(64) as UniqueId;
const HIGHEST = "f".repeat(64) as UniqueId;

/** The first message: all ids. */
export function openDigest(catalog: Catalog): readonly DigestRange[] {
  return tell(catalog, LOWEST, HIGHEST, RANGE_ITEMS_MAX * 2);
}

/** @param ranges - ascending and disjoint, so that one message costs one pass at most */
export function answerDigest(catalog: Catalog, ranges: readonly DigestRange[], now: Now): DigestAnswer {
  const answer = { give: [] as PeerId[], want: [] as PeerId[], ranges: [] as DigestRange[] };
  for (const range of ranges) {
    if (range.type === "items") {
      compareItems(catalog, range, now, answer);
      continue;
    }
    const own = fingerprint(catalog, catalog.idsBetween(range.after, range.upTo));
    if (isSame(own, range.print)) continue;
    answer.ranges.push(...tell(catalog, range.after, range.upTo, RANGE_ITEMS_MAX));
  }
  return answer;
}

/** Ranges in messages that fit a frame each. */
export function splitRanges(ranges: readonly DigestRange[]): readonly (readonly DigestRange[])[] {
  const messages: DigestRange[][] = [];
  let current: DigestRange[] = [];
  let items = 0;
  for (const range of ranges) {
    const size = range.type === "items" ? range.items.length : 0;
    if (current.length === LIMITS.frameRangesMax || items + size > LIMITS.frameDigestItemsMax) {
      messages.push(current);
      current = [];
      items = 0;
    }
    current.push(range);
    items += size;
  }
  if (current.length > 0) messages.push(current);
  return messages;
}

function tell(catalog: Catalog, after: UniqueId, upTo: UniqueId, itemsMax: number): DigestRange[] {
  const ids = catalog.idsBetween(after, upTo);
  if (ids.length <= itemsMax) {
    return [{ type: "items", after, upTo, items: ids.flatMap((id) => itemOf(catalog, id) ?? []) }];
  }
  const ranges: DigestRange[] = [];
  const step = Math.ceil(ids.length / PARTS);
  let from = after;
  for (let index = 0; index < ids.length; index += step) {
    const part = ids.slice(index, index + step);
    const isLast = index + step >= ids.length;
    const to = isLast ? upTo : (part[part.length - 1] as PeerId);
    ranges.push({ type: "fingerprint", after: from, upTo: to, print: fingerprint(catalog, part) });
    from = to;
  }
  return ranges;
}

function compareItems(
  catalog: Catalog,
  range: Extract<DigestRange, { type: "items" }>,
  now: Now,
  answer: { readonly give: PeerId[]; readonly want: PeerId[] },
): void {
  const theirs = new Map(range.items.map((item) => [item.id, item]));
  for (const item of range.items) {
    const own = itemOf(catalog, item.id);
    const isNews = own === undefined || compareDigestItems(item, own) > 0;
    if (isNews && item.state !== "gone" && !isBeyond(item, now) && item.id !== catalog.selfId)
      answer.want.push(item.id);
    // Somebody speaks for us in a later life: only the whole entry tells who.
    if (isNews && item.state !== "gone" && item.id === catalog.selfId) answer.want.push(item.id);
  }
  for (const id of catalog.idsBetween(range.after, range.upTo)) {
    const own = itemOf(catalog, id);
    if (own === undefined || own.state === "gone") continue;
    const item = theirs.get(id);
    if (item === undefined || compareDigestItems(own, item) > 0) answer.give.push(id);
  }
}

/** As the catalog's own order; positive: `a` is news to who has `b`. */
function compareDigestItems(a: DigestItem, b: DigestItem): number {
  const [left, right] = [rankOf(a), rankOf(b)];
  const order = compareVersions(left, right);
  if (order !== 0 || a.state !== "live" || b.state !== "live") return order;
  return a.mark - b.mark;
}

const rankOf = (item: DigestItem): { readonly startMs: number; readonly updateMs: number } => ({
  startMs: item.startMs,
  updateMs: item.state === "departed" ? Number.MAX_SAFE_INTEGER : item.updateMs,
});

function itemOf(catalog: Catalog, id: PeerId): DigestItem | undefined {
  if (id === catalog.selfId) return catalog.self === undefined ? undefined : liveItem(catalog.self);
  const record = catalog.record(id);
  switch (record?.state) {
    case undefined:
      return undefined;
    case "live":
      return liveItem(record.signed);
    case "departed":
      return { id, state: "departed", startMs: record.departure.startMs, updateMs: 0, mark: 0 };
    case "silenced":
      return { id, state: "gone", ...record.version, mark: 0 };
  }
}

function liveItem(signed: NonNullable<Catalog["self"]>): DigestItem {
  const { id, version } = signed.entry;
  return { id, state: "live", ...version, mark: readMark(signed.signature, 0) };
}

function fingerprint(catalog: Catalog, ids: readonly PeerId[]): Fingerprint {
  let [count, high, low] = [0, 0, 0];
  for (const id of ids) {
    const signature = signatureOf(catalog, id);
    if (signature === undefined) continue;
    count += 1;
    high ^= readMark(signature, 0);
    low ^= readMark(signature, 4);
  }
  return { count, high: high >>> 0, low: low >>> 0 };
}

/** A signature names peer and version at once. */
function signatureOf(catalog: Catalog, id: PeerId): Uint8Array | undefined {
  if (id === catalog.selfId) return catalog.self?.signature;
  const record = catalog.record(id);
  if (record?.state === "live") return record.signed.signature;
  return record?.state === "departed" ? record.departure.signature : undefined;
}

function readMark(signature: Uint8Array, offset: number): number {
  return new DataView(signature.buffer, signature.byteOffset, signature.length).getUint32(offset);
}

const isSame = (a: Fingerprint, b: Fingerprint): boolean => a.count === b.count && a.high === b.high && a.low === b.low;
