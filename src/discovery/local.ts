import { Buffer } from "node:buffer";
import { LIMITS, mosaikError } from "../env/index.ts";
import { type Identity, SIGNATURE_BYTES, type UniqueId } from "../identity/index.ts";
import { compareTickets, encodeEntry, signEntry } from "./entry.ts";
import type { EntryVersion, PeerEntry, SignedEntry, Ticket } from "./types.ts";
import { isNewer, nextVersion } from "./version.ts";

/** What a peer may change of its own entry. Order and duplicates do not matter, save for the order of addresses. */
export interface LocalContent {
  readonly addresses: readonly string[];
  readonly tags: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly groups: readonly UniqueId[];
  readonly streams: readonly UniqueId[];
  readonly tickets: readonly Ticket[];
}

const EMPTY: LocalContent = { addresses: [], tags: [], attributes: {}, groups: [], streams: [], tickets: [] };

/** Our own entry: every change makes a strictly greater version, signed. */
export class LocalEntry {
  readonly #identity: Identity;
  #signed: SignedEntry;
  /** Of another life under our key, which peers may hold: what begins earlier they would refuse. */
  #rivalStartMs = 0;

  /** @throws `too-large` */
  constructor(init: {
    readonly identity: Identity;
    readonly network: UniqueId;
    readonly startMs: number;
    readonly content?: Partial<LocalContent>;
  }) {
    this.#identity = init.identity;
    const entry: PeerEntry = {
      network: init.network,
      id: init.identity.peerId,
      version: { startMs: init.startMs, updateMs: init.startMs },
      ...canonical({ ...EMPTY, ...init.content }),
    };
    this.#signed = this.#sign(entry);
  }

  get signed(): SignedEntry {
    return this.#signed;
  }

  get entry(): PeerEntry {
    return this.#signed.entry;
  }

  /** Nothing changes when it throws. @throws `too-large` the whole entry would be above `LIMITS.entryBytesMax` */
  change(wallMs: number, change: Partial<LocalContent>): SignedEntry {
    const { entry } = this;
    const content = canonical({ ...entry, ...change });
    this.#signed = this.#sign({ ...entry, version: nextVersion(entry.version, wallMs), ...content });
    return this.#signed;
  }

  /** A new version of the same: proof of life. */
  refresh(wallMs: number): SignedEntry {
    return this.change(wallMs, {});
  }

  /** By how much our version is ahead of our clock, if so far that peers may refuse it and a new beginning helps; else 0. */
  aheadMs(wallMs: number): number {
    const { startMs, updateMs } = this.entry.version;
    const aheadMs = Math.max(startMs, updateMs) - wallMs;
    // Half of what is allowed, for clocks differ; but not below a life that peers hold already.
    if (aheadMs <= LIMITS.clockDriftMsMax / 2) return 0;
    return aheadMs > LIMITS.clockDriftMsMax || wallMs > this.#rivalStartMs ? aheadMs : 0;
  }

  /** Our clock was set back: peers refuse what comes from their future, so this life begins anew, at the present. */
  beginAnew(wallMs: number): SignedEntry {
    this.#signed = this.#sign({ ...this.entry, version: { startMs: wallMs, updateMs: wallMs } });
    return this.#signed;
  }

  /** Begins a later life than another one of our key that peers have heard of. */
  raiseAbove(other: EntryVersion, wallMs: number): SignedEntry {
    const { entry } = this;
    this.#rivalStartMs = Math.max(this.#rivalStartMs, other.startMs);
    const startMs = isNewer(other, entry.version) ? other.startMs + 1 : entry.version.startMs;
    this.#signed = this.#sign({ ...entry, version: nextVersion({ ...entry.version, startMs }, wallMs) });
    return this.#signed;
  }

  #sign(entry: PeerEntry): SignedEntry {
    const signed = signEntry(Object.freeze(entry), this.#identity);
    if (signed.bytes.length + SIGNATURE_BYTES > LIMITS.entryBytesMax) {
      throw mosaikError("too-large", "what this peer tells of itself is too much", {
        details: { bytesMax: LIMITS.entryBytesMax },
      });
    }
    return signed;
  }
}

/** Whether two entries of one peer say the same, whatever their versions. */
export function isSameContent(a: PeerEntry, b: PeerEntry): boolean {
  return a === b || Buffer.compare(encodeEntry({ ...a, version: b.version }), encodeEntry(b)) === 0;
}

function canonical(content: LocalContent): LocalContent {
  const keys = Object.keys(content.attributes).sort();
  return {
    addresses: [...new Set(content.addresses)],
    tags: sortedSet(content.tags),
    attributes: Object.freeze(Object.fromEntries(keys.map((key) => [key, content.attributes[key] ?? ""]))),
    groups: sortedSet(content.groups),
    streams: sortedSet(content.streams),
    tickets: sortedTickets(content.tickets),
  };
}

function sortedSet<T extends string>(items: readonly T[]): readonly T[] {
  return [...new Set(items)].sort();
}

function sortedTickets(tickets: readonly Ticket[]): readonly Ticket[] {
  const sorted = [...tickets].sort(compareTickets);
  return sorted.filter((ticket, index) => {
    const previous = sorted[index - 1];
    return previous === undefined || compareTickets(previous, ticket) !== 0;
  });
}
