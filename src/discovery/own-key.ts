import type { EntryVersion } from "./types.ts";
import { isNewer } from "./version.ts";

/** Bids before we let the other one have it. */
const BIDS_MAX = 6;

/** Somebody else speaks with our key. Plain data, for `inspect`. */
export interface KeyConflict {
  /** Of the other one, as it says. Empty: it said goodbye. */
  readonly addresses: readonly string[];
  /** We do not outbid it any more: it is who peers see. */
  readonly hasYielded: boolean;
}

/**
 * Our key has signed something later than what we say: another node has it too, or an earlier life of ours had a clock ahead of this one's.
 * We bid: a later life. One bid at once is all that a restart needs. Two nodes with one key would outbid each other for ever, and all their
 * peers with them; so each bid waits longer, and who has bid six times leaves it to the other, until that one has been silent for as long as
 * peers remember it. Pure: the owner has the timer.
 */
export class OwnKey {
  readonly #silenceMs: number;
  #bids = 0;
  /** What our next bid must be above. */
  #above: EntryVersion | undefined;
  /** The latest that was ever heard. */
  #latest: EntryVersion | undefined;
  #addresses: readonly string[] = [];
  /** The first and the last time since our last bid. */
  #sinceMs = 0;
  #heardMs = Number.NEGATIVE_INFINITY;

  /** @param silenceMs - `expireAfterMs` */
  constructor(silenceMs: number) {
    this.#silenceMs = silenceMs;
  }

  /** @param addresses - undefined: it said goodbye, and nobody is in the way any more */
  heard(above: EntryVersion, addresses: readonly string[] | undefined, nowMs: number): void {
    const isNews = this.#latest === undefined || isNewer(above, this.#latest);
    if (this.#above === undefined) this.#sinceMs = nowMs;
    if (isNews || this.#above === undefined) this.#above = above;
    // Peers hand us what the other one said last for as long as they have it: that is no sign of life.
    if (!isNews) return;
    this.#latest = above;
    this.#addresses = addresses ?? [];
    this.#heardMs = addresses === undefined ? nowMs - this.#silenceMs : nowMs;
  }

  /** How long the next bid has to wait from now on; 0: now. Undefined: there is nothing to outbid. */
  waitMs(nowMs: number): number | undefined {
    if (this.#above === undefined) return undefined;
    if (this.#bids === 0) return 0;
    const dueMs = this.hasYielded ? this.#heardMs + this.#silenceMs : this.#sinceMs + 1_000 * 2 ** this.#bids;
    return Math.max(0, dueMs - nowMs);
  }

  /** Begins a bid: what our next version must be above. */
  bid(): EntryVersion | undefined {
    const above = this.#above;
    this.#above = undefined;
    this.#bids = Math.min(BIDS_MAX, this.#bids + 1);
    return above;
  }

  get hasYielded(): boolean {
    return this.#bids >= BIDS_MAX;
  }

  /** Undefined: nobody else was heard of for a while. */
  conflict(nowMs: number): KeyConflict | undefined {
    if (nowMs - this.#heardMs >= this.#silenceMs) return undefined;
    return { addresses: this.#addresses, hasYielded: this.hasYielded && this.#above !== undefined };
  }
}
