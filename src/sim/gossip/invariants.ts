import type { Catalog, CatalogRecord, Departure, EntryVersion, Now, SignedEntry } from "../../discovery/index.ts";
import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";

export type GossipInvariantName =
  /** Every entry and departure that is held was signed by its peer, to the byte. */
  | "nothing-invented"
  /** What a node holds of a peer only becomes newer, as long as the node lives. */
  | "version-order"
  /** A life that its peer ended is never listed again. */
  | "departure-final"
  /** What is signed for too far in our future is not let in. */
  | "clock-drift"
  /** A peer that is gone is forgotten in time, however its entry was passed on. */
  | "expiry"
  | "catalog-bounds"
  /** Once the faults are over, all that are up know all that are up, and nobody else. */
  | "convergence";

/** A named promise of discovery that a run broke. */
export class GossipViolation extends Error {
  override readonly name = "GossipViolation";
  readonly invariant: GossipInvariantName;

  constructor(invariant: GossipInvariantName, message: string) {
    super(message);
    this.invariant = invariant;
  }
}

export interface GossipBounds {
  readonly entriesMax: number;
  readonly tombstonesMax: number;
  /** An entry may be listed for this long after its peer's last moment, and a departure for twice as long. */
  readonly listedUsMax: number;
  /** Catalogs are so small that they forget before it is time. */
  readonly doesForget: boolean;
}

/** What one life of a node has held of one peer. */
interface Held {
  readonly what: string;
  readonly version: EntryVersion;
  /** When it was signed, in real time. */
  readonly signedUs: number;
  /** Lives that began by then are over. */
  readonly departedMs: number | undefined;
  /** The node has let go of it since. */
  readonly isForgotten: boolean;
}

/**
 * Watches the catalogs of all nodes from outside, and knows what each peer really signed and when it was really alive. Fed with a catalog after
 * every step of its node, it throws `GossipViolation` at the first record that contradicts that.
 */
export class GossipInvariants {
  readonly #bounds: GossipBounds;
  /** By signature: the bytes below it, and when it was made. */
  readonly #signed = new Map<string, { readonly content: string; readonly atUs: number }>();
  /** When a peer was last up. */
  readonly #lastUpUs = new Map<PeerId, number>();
  readonly #held = new Map<string, Map<PeerId, Held>>();

  constructor(bounds: GossipBounds) {
    this.#bounds = bounds;
  }

  onSigned({ bytes, signature }: SignedEntry, nowUs: number): void {
    const key = text(signature);
    if (!this.#signed.has(key)) this.#signed.set(key, { content: text(bytes), atUs: nowUs });
  }

  onDeparture({ id, startMs, signature }: Departure, nowUs: number): void {
    this.#signed.set(text(signature), { content: `${id} ${startMs}`, atUs: nowUs });
  }

  /** @param untilUs - infinite while it is up */
  onUp(id: PeerId, untilUs: number): void {
    this.#lastUpUs.set(id, untilUs);
  }

  /** A node begins a new life: with an empty catalog, so that it has held nothing. */
  onStart(node: string): void {
    this.#held.set(node, new Map());
  }

  /** A peer speaks to this node itself: that it was silent is no longer held against it. */
  onLinked(node: string, id: PeerId): void {
    const held = this.#held.get(node);
    if (held?.get(id)?.what.startsWith("silenced") === true) held.delete(id);
  }

  check(node: string, catalog: Catalog, now: Now, nowUs: number): void {
    const { entriesMax, tombstonesMax, doesForget } = this.#bounds;
    ensure(catalog.size <= entriesMax && catalog.tombstones <= tombstonesMax, "catalog-bounds", () => {
      return `${node} holds ${catalog.size} entries and ${catalog.tombstones} tombstones`;
    });
    const held = this.#held.get(node) ?? new Map<PeerId, Held>();
    for (const id of catalog.ids()) {
      const record = catalog.record(id);
      if (record !== undefined) this.#checkRecord(node, id, record, held, now, nowUs);
    }
    for (const [id, before] of held) {
      if (catalog.record(id) !== undefined) continue;
      if (doesForget) held.delete(id);
      else if (!before.isForgotten) held.set(id, { ...before, isForgotten: true });
    }
  }

  /** @param known - whom a node lists, and whom it should */
  onEnd(node: string, known: readonly PeerId[], expected: readonly PeerId[]): void {
    ensure(known.join() === expected.join(), "convergence", () => {
      const missing = expected.filter((id) => !known.includes(id)).map(short);
      const extra = known.filter((id) => !expected.includes(id)).map(short);
      return `${node} does not know ${missing}, and lists ${extra}, which are gone or of another life`;
    });
  }

  #checkRecord(
    node: string,
    id: PeerId,
    record: CatalogRecord,
    held: Map<PeerId, Held>,
    now: Now,
    nowUs: number,
  ): void {
    const before = held.get(id);
    const { what, version } = describe(record);
    if (record.state !== "silenced") this.#checkTime(node, id, record, nowUs);
    if (before?.what === what && !before.isForgotten) return;
    if (record.state !== "silenced") {
      this.#checkSigned(node, id, record);
      ensure(
        Math.max(version.startMs, record.state === "live" ? version.updateMs : 0) <=
          now.wallMs + LIMITS.clockDriftMsMax,
        "clock-drift",
        () => {
          return `${node} let in ${short(id)} ${what}, from ${version.startMs - now.wallMs} ms ahead`;
        },
      );
    }
    const signedUs = this.#signedUs(record) ?? before?.signedUs ?? 0;
    // Once a node has forgotten, nothing stands against a later life that a clock behind lets begin earlier. But old news stay old.
    const isLater = before?.isForgotten === true && signedUs > before.signedUs;
    const departedMs =
      record.state === "departed" ? record.departure.startMs : isLater ? undefined : before?.departedMs;
    ensure(record.state !== "live" || version.startMs > (departedMs ?? -1), "departure-final", () => {
      return `${node} lists ${short(id)} ${what} again, though it had left the life of ${departedMs}`;
    });
    ensure(before === undefined || isLater || isAtLeast(version, before.version), "version-order", () => {
      return `${node} went from ${before?.what} of ${short(id)} back to ${what}`;
    });
    held.set(id, { what, version, signedUs, departedMs, isForgotten: false });
  }

  #checkSigned(node: string, id: PeerId, record: Exclude<CatalogRecord, { state: "silenced" }>): void {
    const [signature, content] =
      record.state === "live"
        ? [record.signed.signature, text(record.signed.bytes)]
        : [record.departure.signature, `${id} ${record.departure.startMs}`];
    ensure(this.#signed.get(text(signature))?.content === content, "nothing-invented", () => {
      return `${node} holds what ${short(id)} never signed: ${describe(record).what}`;
    });
  }

  /** Undefined for our own verdict, which nobody signs. */
  #signedUs(record: CatalogRecord): number | undefined {
    if (record.state === "silenced") return undefined;
    const { signature } = record.state === "live" ? record.signed : record.departure;
    return this.#signed.get(text(signature))?.atUs;
  }

  #checkTime(node: string, id: PeerId, { state }: CatalogRecord, nowUs: number): void {
    const { listedUsMax } = this.#bounds;
    const lastUpUs = this.#lastUpUs.get(id) ?? 0;
    const untilUs = lastUpUs + (state === "live" ? listedUsMax : 2 * listedUsMax);
    ensure(nowUs <= untilUs, "expiry", () => {
      return `${node} holds ${short(id)} as ${state}, ${(nowUs - lastUpUs) / 1_000} ms after it was last up`;
    });
  }
}

/** A departure is the last update of its life. */
function describe(record: CatalogRecord): { readonly what: string; readonly version: EntryVersion } {
  switch (record.state) {
    case "live": {
      const { version } = record.signed.entry;
      return { what: `live ${version.startMs}/${version.updateMs}`, version };
    }
    case "departed": {
      const { startMs } = record.departure;
      return { what: `departed ${startMs}`, version: { startMs, updateMs: Number.MAX_SAFE_INTEGER } };
    }
    case "silenced": {
      const { version } = record;
      return { what: `silenced ${version.startMs}/${version.updateMs}`, version };
    }
  }
}

function isAtLeast(a: EntryVersion, b: EntryVersion): boolean {
  return a.startMs > b.startMs || (a.startMs === b.startMs && a.updateMs >= b.updateMs);
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const short = (id: PeerId): string => id.slice(0, 10);

function ensure(condition: boolean, invariant: GossipInvariantName, message: () => string): void {
  if (!condition) throw new GossipViolation(invariant, message());
}
