import {
  Catalog,
  checkDeparture,
  decodeSignedEntry,
  Gossip,
  type GossipInit,
  LocalEntry,
  type Now,
  newCounters,
  OwnKey,
  type SignedEntry,
} from "../../discovery/index.ts";
import { hashBytes, Identity, type PeerId, UniqueId } from "../../identity/index.ts";
import type { GossipPlan } from "./plan.ts";

export const NETWORK = UniqueId.from("gossip runs");
/** 2026-01-01, as in node runs. */
const EPOCH_MS = 1_767_225_600_000;

const identities = new Map<number, Identity>();

function identityOf(number: number): Identity {
  const known = identities.get(number) ?? Identity.fromSeed(hashBytes(`gossip peer ${number}`));
  identities.set(number, known);
  return known;
}

/** What lives from a start to its end. */
export interface Life {
  readonly catalog: Catalog;
  readonly local: LocalEntry;
  readonly gossip: Gossip;
  readonly ownKey: OwnKey;
  readonly bootUs: number;
  /** When each neighbour is still to be told of whom. */
  readonly pending: Map<number, Set<PeerId>>;
  /** Bids for our own key are numbered; the latest alone counts. */
  bids: number;
}

/** One peer: the pure parts of discovery, with a wrong clock, and neighbours in place of links. */
export class GossipNode {
  readonly number: number;
  readonly name: string;
  readonly identity: Identity;
  readonly neighbours = new Set<number>();
  /** Undefined while it is down. */
  life: Life | undefined;
  /** Grows with each start. */
  lives = 0;
  clockErrorMs = 0;
  /** Of its monotonic clock, per thousand. */
  readonly #rate: number;
  readonly #plan: GossipPlan;
  readonly #prove: NonNullable<GossipInit["prove"]>;

  constructor(init: { number: number; rate: number; plan: GossipPlan; prove: NonNullable<GossipInit["prove"]> }) {
    this.number = init.number;
    this.name = `p${init.number}`;
    this.identity = identityOf(init.number);
    this.#rate = init.rate;
    this.#plan = init.plan;
    this.#prove = init.prove;
  }

  get id(): PeerId {
    return this.identity.peerId;
  }

  now(nowUs: number): Now {
    const bootUs = this.life?.bootUs ?? nowUs;
    return {
      wallMs: EPOCH_MS + Math.floor(nowUs / 1_000) + this.clockErrorMs,
      monotonicMs: Math.floor(((nowUs - bootUs) * (1_000 + this.#rate)) / 1_000_000),
    };
  }

  /** @param numberOf - who a peer is here */
  start(nowUs: number, numberOf: (id: PeerId) => number | undefined): Life {
    const { identity, id } = this;
    const { expireAfterMs, entriesMax, tombstonesMax } = this.#plan;
    const catalog = new Catalog({ network: NETWORK, selfId: id, expireAfterMs, entriesMax, tombstonesMax });
    const content = { addresses: [`${this.name}:1`] };
    const local = new LocalEntry({ identity, network: NETWORK, startMs: this.now(nowUs).wallMs, content });
    const isNeighbour = (other: PeerId): boolean => this.neighbours.has(numberOf(other) ?? -1);
    const counters = newCounters();
    const gossip = new Gossip({ catalog, local, counters, isNeighbour, prove: this.#prove });
    const ownKey = new OwnKey(expireAfterMs);
    this.life = { catalog, local, gossip, ownKey, bootUs: nowUs, pending: new Map(), bids: 0 };
    this.lives++;
    return this.life;
  }
}

/** Proves each entry and departure once a run: what is true at one node is true at all. */
export function proveOnce(): NonNullable<GossipInit["prove"]> {
  const entries = new Map<string, SignedEntry>();
  const departures = new Map<string, ReturnType<typeof checkDeparture>>();
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
  return {
    entry: (bytes, signature, network) => {
      const key = text(signature) + text(bytes);
      const proven = entries.get(key) ?? decodeSignedEntry(bytes, signature, network);
      entries.set(key, proven);
      return proven;
    },
    departure: (departure) => {
      const key = `${text(departure.signature)} ${departure.id} ${departure.startMs}`;
      const proven = departures.get(key) ?? checkDeparture(departure);
      departures.set(key, proven);
      return proven;
    },
  };
}
