import type { Entry, HardState, Index, LogPosition, MemberId, Persist, Term } from "../raft/index.ts";

/** Ends the run: a store lost what it had promised. */
export type Lost = (message: string) => never;

/** What a store holds, without the data: equal places are equal entries (`log-matching`). */
interface Image {
  readonly hardState: HardState;
  /** The place before the first of `terms`. */
  readonly base: Index;
  readonly terms: readonly Term[];
}

interface StoreFacts {
  /** What it holds for sure. */
  durable: Image;
  /** Begun after that, in order. */
  underWay: Persist[];
}

/**
 * Watches what a store gives back: each write that was reported as durable, and of those that were under way the first few, in their order, or
 * none. Whatever else is found was forgotten, or came back from the dead, and its member has promised something different.
 */
export class DurabilityInvariants {
  readonly #lost: Lost;
  readonly #stores = new Map<MemberId, StoreFacts>();

  constructor(lost: Lost) {
    this.#lost = lost;
  }

  /** The store was opened. @param base - the place before the first entry */
  onStart(
    name: string,
    member: MemberId,
    hardState: HardState,
    entries: readonly Entry[],
    base: LogPosition = { index: 0, term: 0 },
  ): void {
    const found: Image = { hardState, base: base.index, terms: entries.map(({ term }) => term) };
    const known = this.#stores.get(member);
    this.#stores.set(member, { durable: found, underWay: [] });
    if (known === undefined) return;
    let image = known.durable;
    if (isFound(found, base.term, image)) return;
    for (const step of known.underWay.flatMap(stepsOf)) {
      image = step(image);
      if (isFound(found, base.term, image)) return;
    }
    this.#lost(`${name} has ${describe(found)} after a restart; durable was ${describe(known.durable)}`);
  }

  onWrite(member: MemberId, persist: Persist): void {
    this.#stores.get(member)?.underWay.push(persist);
  }

  /** This write is durable now, and so are those before it. */
  onDurable(member: MemberId, { writeId }: Persist): void {
    const store = this.#stores.get(member);
    while (store?.underWay[0] !== undefined && store.underWay[0].writeId <= writeId) {
      for (const step of store.underWay.splice(0, 1).flatMap(stepsOf)) store.durable = step(store.durable);
    }
  }
}

/** What one write does, in the order in which it may get to the disk: beside a snapshot it is more than one. */
function stepsOf({ hardState, snapshot, truncateFrom, entries }: Persist): ((image: Image) => Image)[] {
  return [
    (image) => ({ ...image, hardState: hardState ?? image.hardState }),
    (image) => (snapshot === undefined ? image : { ...image, base: snapshot.index, terms: [] }),
    ({ terms, ...image }) => {
      const kept = truncateFrom === undefined ? terms : terms.slice(0, truncateFrom - image.base - 1);
      return { ...image, terms: [...kept, ...entries.map(({ term }) => term)] };
    },
  ];
}

/** Compaction may have gone on, and what it drops is not missed. */
function isFound(found: Image, termAtBase: Term, image: Image): boolean {
  const dropped = found.base - image.base;
  if (dropped < 0 || endOf(found) !== endOf(image)) return false;
  if (dropped > 0 && image.terms[dropped - 1] !== termAtBase) return false;
  const { term, votedFor } = found.hardState;
  if (term !== image.hardState.term || votedFor !== image.hardState.votedFor) return false;
  return found.terms.every((one, at) => one === image.terms[dropped + at]);
}

function endOf({ base, terms }: Image): Index {
  return base + terms.length;
}

function describe(image: Image): string {
  const { term, votedFor } = image.hardState;
  const last = image.terms.at(-1);
  const end = last === undefined ? "" : ` of term ${last}`;
  return `term ${term}, a vote for ${votedFor ?? "nobody"}, and a log up to ${endOf(image)}${end}`;
}
