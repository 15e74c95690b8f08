import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Storage, StoreId } from "../../storage/index.ts";
import { NO_STORE } from "./status.ts";

/** The times that a store was opened: each has a random id, durable before the store is used. */
export interface Openings {
  /** All, even those whose ids are not listed. */
  readonly count: number;
  /** The youngest, the last one last: 32 hex digits each. */
  readonly ids: readonly string[];
}

/** Ids in a hello. A store that was opened more often since we last saw it cannot be told from a rolled-back one, and is believed. */
export const OPENINGS_TOLD_MAX = 64;
export const NO_OPENINGS: Openings = { count: 0, ids: [] };
/** Stores of one peer that are told apart. */
const STORES_PER_PEER_MAX = 8;

export function openingsOf({ openingIds, openingCount }: Storage): Openings {
  return { count: openingCount, ids: openingIds.slice(-OPENINGS_TOLD_MAX) };
}

interface Seen {
  readonly storeId: StoreId;
  /** Undefined: only the store's id is known. */
  readonly openings: Openings | undefined;
}

/**
 * What a member remembers of the others' stores, as long as it lives: the last opening of each that it saw.
 *
 * A store that lacks it is an older copy that was put back, or one of two copies that are in use. It forgot votes and entries that it
 * promised, so it must not be bonded with: its vote would count twice. The same holds for a store that comes after its successor.
 */
export class OpeningsMemory {
  /** Of each peer, the present store last. */
  readonly #seen = new Map<PeerId, readonly Seen[]>();

  /** Why this store must not be believed; undefined: nothing speaks against it. */
  doubt(peer: PeerId, storeId: StoreId, openings: Openings): string | undefined {
    if (openings.count === 0) return undefined;
    const stores = this.#seen.get(peer) ?? [];
    const at = stores.findIndex((store) => store.storeId === storeId);
    if (at >= 0 && at < stores.length - 1) return "the store was given up before, and is back";
    const known = stores[at]?.openings?.ids.at(-1);
    const count = stores[at]?.openings?.count ?? 0;
    if (known === undefined) return undefined;
    if (openings.count < count) return "the store was opened more often before: an older copy was put back";
    if (openings.count - count >= openings.ids.length) return undefined;
    const same = openings.ids[openings.ids.length - 1 - (openings.count - count)];
    return same === known ? undefined : "the store lacks an opening that was seen: it was copied, or rolled back";
  }

  /** As `doubt`, for a store that takes the place of another without telling its openings: it must be one that nobody saw before. */
  doubtSuccessor(peer: PeerId, storeId: StoreId): string | undefined {
    const isKnown = this.#seen.get(peer)?.some((store) => store.storeId === storeId) === true;
    return isKnown ? "the store was seen before, and comes back without its openings" : undefined;
  }

  /** Called for a store that nothing speaks against. */
  remember(peer: PeerId, storeId: StoreId, openings?: Openings): void {
    if (storeId === NO_STORE || openings?.count === 0) return;
    const stores = this.#seen.get(peer) ?? [];
    const last = stores.at(-1);
    if (last?.storeId === storeId && openings === undefined) return;
    const others = stores.filter((store) => store.storeId !== storeId);
    // The peer seen last is forgotten last.
    this.#seen.delete(peer);
    this.#seen.set(peer, [...others, { storeId, openings }].slice(-STORES_PER_PEER_MAX));
    if (this.#seen.size > LIMITS.bondsMax) this.#seen.delete(this.#seen.keys().next().value as PeerId);
  }
}
