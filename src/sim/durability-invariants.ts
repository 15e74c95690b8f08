import type { Entry, HardState, Index, LogPosition, MemberId, Persist, Term } from "../raft/index.ts";

/** Ends the run: a store lost what it had promised. */
export type Lost = (message: string) => never;

/** A store's log, without the data: equal places are equal entries (`log-matching`). */
interface LogImage {
  /** The place before the first of `terms`. */
  readonly base: Index;
  readonly terms: readonly Term[];
}

interface Found extends LogImage {
  readonly hardState: HardState;
}

interface StoreFacts {
  /** What it holds for sure. */
  durable: Found;
  /** Begun after that, in order: hard states, and what changes the log. */
  hardStates: { readonly writeId: number; readonly hardState: HardState }[];
  log: Persist[];
}

/**
 * Watches what a store gives back: each write that was reported as durable, and of those that were under way the first few, in their order, or
 * none. Hard states may be there before the entries that came with them and before them, but never after. Whatever else is found was
 * forgotten, or came back from the dead, and its member has promised something different.
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
    const found: Found = { hardState, base: base.index, terms: entries.map(({ term }) => term) };
    const known = this.#stores.get(member);
    this.#stores.set(member, { durable: found, hardStates: [], log: [] });
    if (known === undefined || isPossible(found, base.term, known)) return;
    this.#lost(`${name} has ${describe(found)} after a restart; durable was ${describe(known.durable)}`);
  }

  onWrite(member: MemberId, persist: Persist): void {
    const store = this.#stores.get(member);
    const { writeId, hardState } = persist;
    if (hardState !== undefined) store?.hardStates.push({ writeId, hardState });
    store?.log.push(persist);
  }

  /** The hard state of this write is durable now, and so are those before it. */
  onHardStateDurable(member: MemberId, writeId: number): void {
    const store = this.#stores.get(member);
    while (store?.hardStates[0] !== undefined && store.hardStates[0].writeId <= writeId) {
      store.durable = { ...store.durable, hardState: store.hardStates[0].hardState };
      store.hardStates.shift();
    }
  }

  /** All of this write is durable now, and so are those before it. */
  onDurable(member: MemberId, writeId: number): void {
    this.onHardStateDurable(member, writeId);
    const store = this.#stores.get(member);
    while (store?.log[0] !== undefined && store.log[0].writeId <= writeId) {
      const { hardState } = store.durable;
      for (const step of store.log.splice(0, 1).flatMap(stepsOf)) store.durable = { hardState, ...step(store.durable) };
    }
  }
}

function isPossible(found: Found, termAtBase: Term, { durable, hardStates, log }: StoreFacts): boolean {
  let image: LogImage = durable;
  if (isSameLog(found, termAtBase, image) && isAnyOf(found, [durable, ...hardStates])) return true;
  for (const persist of log) {
    // A log is never of a later term than the one on disk: the hard states up to this write came before it.
    const before = hardStates.filter(({ writeId }) => writeId <= persist.writeId).slice(-1);
    const later = hardStates.filter(({ writeId }) => writeId > persist.writeId);
    const hardStatesThen = [...(before.length > 0 ? before : [durable]), ...later];
    for (const step of stepsOf(persist)) {
      image = step(image);
      if (isSameLog(found, termAtBase, image) && isAnyOf(found, hardStatesThen)) return true;
    }
  }
  return false;
}

/** What one write does to the log, in the order in which it may get to the disk: beside a snapshot it is more than one. */
function stepsOf({ snapshot, truncateFrom, entries }: Persist): ((image: LogImage) => LogImage)[] {
  return [
    (image) => (snapshot === undefined ? image : { base: snapshot.index, terms: [] }),
    ({ base, terms }) => {
      const kept = truncateFrom === undefined ? terms : terms.slice(0, truncateFrom - base - 1);
      return { base, terms: [...kept, ...entries.map(({ term }) => term)] };
    },
  ];
}

/** Compaction may have gone on, and what it drops is not missed. */
function isSameLog(found: LogImage, termAtBase: Term, image: LogImage): boolean {
  const dropped = found.base - image.base;
  if (dropped < 0 || endOf(found) !== endOf(image)) return false;
  if (dropped > 0 && image.terms[dropped - 1] !== termAtBase) return false;
  return found.terms.every((one, at) => one === image.terms[dropped + at]);
}

function isAnyOf({ hardState: { term, votedFor } }: Found, candidates: readonly { hardState: HardState }[]): boolean {
  return candidates.some(({ hardState }) => hardState.term === term && hardState.votedFor === votedFor);
}

function endOf({ base, terms }: LogImage): Index {
  return base + terms.length;
}

function describe(image: Found): string {
  const { term, votedFor } = image.hardState;
  const last = image.terms.at(-1);
  const end = last === undefined ? "" : ` of term ${last}`;
  return `term ${term}, a vote for ${votedFor ?? "nobody"}, and a log up to ${endOf(image)}${end}`;
}
