import {
  ENTRY_COMMANDS,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  type ProbeSource,
  votersOf,
} from "../groups/index.ts";
import { UniqueId } from "../identity/index.ts";
import type { Entry, MemberId } from "../raft/index.ts";
import type { IncarnationId } from "../storage/index.ts";

export type StoreInvariantName =
  | "store-bound-once"
  | "genesis-before-open"
  | "open-before-commands"
  | "open-store-stays";

/** A promise of how groups come to be, and end, that somebody broke. */
export type Broken = (invariant: StoreInvariantName, message: string) => never;

/** What is known of one incarnation's beginning. */
interface Beginning {
  /** Whose log ever held the genesis, and the first *open* entry. */
  readonly holders: Set<MemberId>;
  readonly openHolders: Set<MemberId>;
  isEstablished: boolean;
}

interface StoreFacts {
  readonly incarnation: IncarnationId;
  /** Indexes of the log's *open* entries, and of its commands. */
  opens: number[];
  commands: number;
  voters: readonly MemberId[];
}

/**
 * Watches how incarnations begin and end (design of groups, "the life of a store"): a store belongs to one incarnation, ever; what opens is held by
 * all founders; nothing is asked of what is not open twice; and what holds a command is never given up.
 */
export class StoreInvariants {
  readonly #broken: Broken;
  readonly #bound = new Map<MemberId, IncarnationId>();
  readonly #stores = new Map<MemberId, StoreFacts>();
  readonly #recovered = new Set<IncarnationId>();
  readonly #beginnings = new Map<IncarnationId, Beginning>();

  constructor(broken: Broken) {
    this.#broken = broken;
  }

  /** Its second *open* entry was made: from then on it may promise something. */
  isEstablished(incarnation: IncarnationId): boolean {
    return this.#beginnings.get(incarnation)?.isEstablished === true;
  }

  /** @param hasSnapshot - the log goes on from one: there is none of what does not serve yet */
  onStart(
    name: string,
    { member, incarnation }: ProbeSource,
    entries: readonly Entry[],
    { hasSnapshot }: { readonly hasSnapshot: boolean } = { hasSnapshot: false },
  ): void {
    if (incarnation === undefined) return;
    const before = this.#bound.get(member) ?? incarnation;
    this.#bound.set(member, before);
    if (before !== incarnation) {
      const [one, two] = [before, incarnation].map((id) => UniqueId.short(id));
      this.#broken("store-bound-once", `${name} was bound to incarnation ${one}, and now to ${two}`);
    }
    this.#stores.set(member, { incarnation, opens: [], commands: 0, voters: [] });
    if (hasSnapshot) this.onSnapshot(member);
    this.onAppend(name, member, entries);
  }

  onSnapshot(member: MemberId): void {
    const store = this.#stores.get(member);
    if (store === undefined) return;
    store.opens = [0, 0];
    store.commands++;
  }

  onAppend(name: string, member: MemberId, entries: readonly Entry[]): void {
    const store = this.#stores.get(member);
    if (store === undefined) return;
    for (const entry of entries) {
      store.voters = votersOf(entry) ?? store.voters;
      if (entry.kind === ENTRY_GENESIS) this.#beginningOf(store).holders.add(member);
      else if (entry.kind === ENTRY_OPEN) this.#onOpen(name, member, store, entry);
      else if (entry.kind === ENTRY_COMMANDS || entry.kind === ENTRY_SESSION) this.#onCommands(name, store, entry);
    }
  }

  /** Another incarnation holds what its members had: they may start over there. */
  onRecover(former: IncarnationId): void {
    this.#recovered.add(former);
  }

  onTruncate(member: MemberId, from: number): void {
    const store = this.#stores.get(member);
    if (store !== undefined) store.opens = store.opens.filter((index) => index < from);
  }

  /** By the rules of provisional incarnations, that is; whoever leaves may do with its store what it likes. */
  onSetAside(name: string, { member }: ProbeSource): void {
    const store = this.#stores.get(member);
    this.#stores.delete(member);
    if (store === undefined || store.commands === 0 || this.#recovered.has(store.incarnation)) return;
    this.#broken("open-store-stays", `${name} gave up a store that held commands`);
  }

  #onOpen(name: string, member: MemberId, store: StoreFacts, { index }: Entry): void {
    const beginning = this.#beginningOf(store);
    const isFirst = store.opens.length === 0;
    store.opens.push(index);
    // Who opens is one of those who must hold it.
    const required = isFirst ? beginning.holders : beginning.openHolders;
    const missing = store.voters.filter((voter) => voter !== member && !required.has(voter));
    if (isFirst) beginning.openHolders.add(member);
    if (!isFirst) beginning.isEstablished = true;
    if (missing.length === 0) return;
    const what = isFirst ? "the genesis" : "the first open entry";
    this.#broken(
      "genesis-before-open",
      `${name} has open entry ${index}, though ${missing.length} voters never held ${what}`,
    );
  }

  #onCommands(name: string, store: StoreFacts, { index }: Entry): void {
    store.commands++;
    if (store.opens.length >= 2) return;
    this.#broken(
      "open-before-commands",
      `${name} has a command at ${index}, in an incarnation that is not open for good`,
    );
  }

  #beginningOf({ incarnation }: StoreFacts): Beginning {
    let beginning = this.#beginnings.get(incarnation);
    if (beginning === undefined) {
      beginning = { holders: new Set(), openHolders: new Set(), isEstablished: false };
      this.#beginnings.set(incarnation, beginning);
    }
    return beginning;
  }
}
