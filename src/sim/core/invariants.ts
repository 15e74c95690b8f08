import type { HardState, Index, LogPosition, MemberId, SnapshotMark, Term } from "../../raft/index.ts";

export type InvariantName =
  | "election-safety"
  | "log-matching"
  | "leader-completeness"
  | "state-machine-safety"
  | "one-vote-per-term"
  | "configuration-overlap"
  | "change-after-commit"
  | "election-quorum"
  | "commit-quorum"
  | "committed-prefix-immutable"
  | "snapshot-is-prefix"
  | "linearizable-read";

/** A named promise that a run broke. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
  readonly invariant: InvariantName;

  constructor(invariant: InvariantName, message: string) {
    super(message);
    this.invariant = invariant;
  }
}

/** One entry, as the checker compares it. Equal digests mean equal kind and data. */
export interface EntryFact {
  readonly index: Index;
  readonly term: Term;
  readonly digest: string;
  /** If the entry is a configuration. */
  readonly voters?: readonly MemberId[] | undefined;
}

/** Where a member's log begins, and the snapshot that stands for what is before. */
export interface LogStart {
  readonly base: LogPosition;
  readonly snapshot: SnapshotMark;
  /** Of the state that the snapshot holds, as `digestAfter` gives it; undefined where nobody knows it. */
  readonly state?: string | undefined;
}

interface CommittedFact extends EntryFact {
  /** The term of the member that first said so; that in which it was committed, or a later one. */
  readonly knownInTerm: Term;
}

interface KnownEntry {
  readonly digest: string;
  readonly termBefore: Term;
  /** Whose log it ever was in. */
  readonly holders: Set<string>;
}

interface NodeFacts {
  /** The place before the first entry of `log`. */
  base: LogPosition;
  /** The log in memory, after `base`. */
  log: EntryFact[];
  /** Who votes where the log begins, as far as known. */
  baseVoters: readonly MemberId[] | undefined;
  /** Those of its entries that are configurations. */
  configurations: EntryFact[];
  hardState: HardState;
  /** Since the last start. */
  commit: Index;
  applied: Index;
}

/**
 * Watches all members of one group incarnation at once, and trusts none: it keeps its own copy of each log.
 *
 * Fed with facts after every step, it throws `InvariantViolation` at the first that contradicts an earlier one. Each fact costs constant
 * time. The names are those of the Raft paper, figure 3, and of Ongaro's thesis, section 4.1. Members go by their ids, as in configurations.
 */
export class RaftInvariants {
  readonly #nodes = new Map<string, NodeFacts>();
  /** By index and term: what the entry is, and the term before it. So equal positions mean equal prefixes. */
  readonly #entries = new Map<string, KnownEntry>();
  readonly #votes = new Map<string, MemberId>();
  readonly #leaders = new Map<Term, string>();
  /** The group's one history; place 0 is index 1. */
  readonly #committed: CommittedFact[];
  /** The digest of the state after each of these, as far as anybody asked. */
  readonly #states: string[] = [];
  #committedConfiguration: EntryFact | undefined;

  /** @param history - of another incarnation, from which this one goes on: it counts as committed */
  constructor(history: readonly EntryFact[] = []) {
    this.#committed = history.map((fact) => ({ ...fact, knownInTerm: 0 }));
  }

  /** The highest index that any member knew to be committed. */
  get committedIndex(): Index {
    return this.#committed.length;
  }

  /** What was committed at this index. */
  committedAt(index: Index): EntryFact | undefined {
    return this.#committed[index - 1];
  }

  /**
   * A member starts or restarts with what its disk held.
   *
   * @param start - where that log begins, if not at index 1
   */
  onStart(node: string, hardState: HardState, log: readonly EntryFact[], start?: LogStart): void {
    const before = this.#nodes.get(node)?.hardState ?? { term: 0, votedFor: undefined };
    const base = start?.base ?? { index: 0, term: 0 };
    const place = start?.snapshot.index ?? 0;
    const baseVoters = start === undefined ? undefined : this.#votersAt(base.index);
    const begin = { base, baseVoters, log: [], configurations: [] };
    this.#nodes.set(node, { ...begin, hardState: before, commit: place, applied: place });
    if (start !== undefined) this.#checkSnapshot(node, start.snapshot, start.state);
    this.onHardState(node, hardState.term, hardState.votedFor);
    this.onAppend(node, log);
  }

  /** A snapshot took the place of the member's log, and of its state. */
  onSnapshot(node: string, snapshot: SnapshotMark, state?: string): void {
    const facts = this.#node(node);
    check(snapshot.index > facts.commit, "committed-prefix-immutable", () => {
      return `${node} took a snapshot of ${snapshot.index}, though it knew ${facts.commit} to be committed`;
    });
    this.#checkSnapshot(node, snapshot, state);
    facts.base = { index: snapshot.index, term: snapshot.term };
    facts.baseVoters = snapshot.voters;
    facts.log = [];
    facts.configurations = [];
    facts.commit = facts.applied = snapshot.index;
  }

  /** A member's log begins after `upTo` from now on. @param snapshot - how far its snapshot goes */
  onCompact(node: string, upTo: Index, snapshot: Index): void {
    const facts = this.#node(node);
    const { base, log } = facts;
    const last = log[upTo - base.index - 1];
    check(upTo <= snapshot && snapshot <= facts.applied, "snapshot-is-prefix", () => {
      return `${node} forgot entries up to ${upTo}, with a snapshot of ${snapshot}, and applied those up to ${facts.applied}`;
    });
    if (last === undefined) return;
    facts.baseVoters = this.#votersAt(upTo);
    facts.log = log.slice(upTo - base.index);
    facts.configurations = facts.configurations.filter(({ index }) => index > upTo);
    facts.base = { index: upTo, term: last.term };
  }

  /** What the state is known by that the committed entries up to `index` lead to. */
  stateAt(index: Index): string {
    for (let next = this.#states.length; next < index; next++) {
      const fact = this.#committed[next];
      if (fact === undefined) return "nothing that was committed";
      this.#states.push(digestAfter(this.#states[next - 1] ?? "", fact));
    }
    return this.#states[index - 1] ?? "";
  }

  /** A term and vote became durable. */
  onHardState(node: string, term: Term, votedFor: MemberId | undefined): void {
    const facts = this.#node(node);
    check(term >= facts.hardState.term, "one-vote-per-term", () => {
      return `${node} went back from term ${facts.hardState.term} to ${term}`;
    });
    facts.hardState = { term, votedFor };
    const key = `${node}/${term}`;
    const earlier = this.#votes.get(key);
    // A vote that became "none" again could be given twice.
    check(earlier === undefined || earlier === votedFor, "one-vote-per-term", () => {
      return `${node} voted for ${earlier} in term ${term}, then for ${votedFor ?? "nobody"}`;
    });
    if (votedFor !== undefined) this.#votes.set(key, votedFor);
  }

  /** Entries were appended in memory. */
  onAppend(node: string, entries: readonly EntryFact[]): void {
    const { log, base } = this.#node(node);
    for (const entry of entries) {
      const before = log[log.length - 1] ?? base;
      check(entry.index === before.index + 1, "log-matching", () => {
        return `${node} appended entry ${entry.index} after ${before.index}`;
      });
      const isNew = this.#checkMatching(node, entry, before.term);
      if (entry.voters !== undefined) this.#onConfiguration(node, entry, isNew);
      log.push(entry);
    }
  }

  /** Entries from `from` on were removed in memory. */
  onTruncate(node: string, from: Index): void {
    const facts = this.#node(node);
    check(from > facts.commit, "committed-prefix-immutable", () => {
      return `${node} removed entry ${from}, though it knew ${facts.commit} to be committed`;
    });
    facts.log.length = Math.min(facts.log.length, Math.max(0, from - facts.base.index - 1));
    while ((facts.configurations.at(-1)?.index ?? 0) >= from) facts.configurations.pop();
  }

  /** A member became leader. Its log may already have the first entry of its term. */
  onLeader(node: string, term: Term): void {
    const other = this.#leaders.get(term);
    check(other === undefined || other === node, "election-safety", () => {
      return `${other} and ${node} both lead term ${term}`;
    });
    this.#leaders.set(term, node);
    const facts = this.#node(node);
    const { log, base } = facts;
    const voters = votersInForce(facts);
    const granted = voters?.filter((voter) => this.#votes.get(`${voter}/${term}`) === node);
    check(isMajority(granted, voters), "election-quorum", () => {
      return `${node} leads term ${term} with the votes of ${granted}, of ${voters}`;
    });
    let index = this.#committed.length;
    // What was committed in this term or a later one, a leader that comes late need not have.
    while (index > 0 && (this.#committed[index - 1]?.knownInTerm ?? 0) >= term) index--;
    const expected = this.#committed[index - 1];
    const isCovered = index <= base.index;
    const has = isCovered || log[index - base.index - 1]?.term === expected?.term;
    check(expected === undefined || has, "leader-completeness", () => {
      return `${node} leads term ${term} without entry ${index} of term ${expected?.term}, which is committed`;
    });
  }

  /**
   * A member learnt that an entry is committed.
   *
   * @param nodeTerm - the member's own term then
   */
  onCommit(node: string, nodeTerm: Term, entry: EntryFact): void {
    const facts = this.#node(node);
    const { index, term, digest } = entry;
    check(index === facts.commit + 1, "committed-prefix-immutable", () => {
      return `${node} committed entry ${index} after ${facts.commit}`;
    });
    facts.commit = index;
    const known = this.#committed[index - 1];
    if (known !== undefined) return this.#checkSame(node, entry, known, "committed");
    this.#committed.push({ ...entry, index, term, digest, knownInTerm: nodeTerm });
    if (entry.voters !== undefined) this.#committedConfiguration = entry;
    // Whoever knows it first is the leader that counted its copies.
    const voters = votersInForce(facts);
    const holders = this.#entries.get(`${index}/${term}`)?.holders;
    const holding = voters?.filter((voter) => holders?.has(voter));
    check(isMajority(holding, voters), "commit-quorum", () => {
      return `${node} committed entry ${index} of term ${term}, which ${holding} held, of ${voters}`;
    });
  }

  /** A member's state machine took an entry. */
  onApply(node: string, entry: EntryFact): void {
    const facts = this.#node(node);
    check(entry.index === facts.applied + 1, "state-machine-safety", () => {
      return `${node} applied entry ${entry.index} after ${facts.applied}`;
    });
    facts.applied = entry.index;
    const known = this.#committed[entry.index - 1];
    check(known !== undefined, "state-machine-safety", () => `${node} applied entry ${entry.index}, not yet committed`);
    if (known !== undefined) this.#checkSame(node, entry, known, "applied");
  }

  /**
   * A linearizable read was confirmed.
   *
   * @param asked - `committedIndex` when it was asked
   */
  onRead(node: string, index: Index, asked: Index): void {
    check(index >= asked, "linearizable-read", () => {
      return `${node} confirmed a read at ${index}, though ${asked} was committed when it was asked`;
    });
  }

  /**
   * The configurations that may be in force somewhere: the last that is committed, and all that follow it in some log.
   *
   * @param isGone - whose logs nobody will read any more
   */
  configurations(isGone: (node: string) => boolean = () => false): readonly (readonly MemberId[])[] {
    const committed = this.#committedConfiguration;
    const inForce = new Map<string, readonly MemberId[]>();
    if (committed?.voters !== undefined) inForce.set(`${committed.index}/${committed.term}`, committed.voters);
    for (const [node, { configurations }] of this.#nodes) {
      if (isGone(node)) continue;
      for (const { index, term, voters } of configurations) {
        if (voters !== undefined && index > (committed?.index ?? 0)) inForce.set(`${index}/${term}`, voters);
      }
    }
    return [...inForce.values()];
  }

  #checkSnapshot(node: string, { index, term, voters }: SnapshotMark, state: string | undefined): void {
    const known = this.#committed[index - 1];
    check(known?.term === term, "snapshot-is-prefix", () => {
      return `${node} has a snapshot of ${index}/${term}, and what is committed there is of term ${known?.term}`;
    });
    check(state === undefined || state === this.stateAt(index), "snapshot-is-prefix", () => {
      return `${node} has a snapshot of ${index} with another state than that which the log leads to`;
    });
    const inForce = this.#votersAt(index);
    const isEqual = inForce === undefined || [...inForce].sort().join() === [...voters].sort().join();
    check(isEqual, "snapshot-is-prefix", () => {
      return `${node} has a snapshot of ${index} with voters ${voters}, not ${inForce}`;
    });
  }

  /** Undefined if the facts do not name voters. */
  #votersAt(index: Index): readonly MemberId[] | undefined {
    for (let at = index; at > 0; at--) {
      const voters = this.#committed[at - 1]?.voters;
      if (voters !== undefined) return voters;
    }
    return undefined;
  }

  /** True if nobody had this entry before. */
  #checkMatching(node: string, { index, term, digest }: EntryFact, termBefore: Term): boolean {
    const key = `${index}/${term}`;
    const known = this.#entries.get(key);
    if (known === undefined) this.#entries.set(key, { digest, termBefore, holders: new Set([node]) });
    else known.holders.add(node);
    check(known === undefined || (known.digest === digest && known.termBefore === termBefore), "log-matching", () => {
      return `${node} has another entry ${key}, or another entry before it, than somebody else`;
    });
    return known === undefined;
  }

  #onConfiguration(node: string, entry: EntryFact, isNew: boolean): void {
    const facts = this.#node(node);
    const before = votersInForce(facts);
    if (before !== undefined) {
      checkOverlap(node, entry, before);
      // Whoever has it first is the leader that made it.
      if (isNew) this.#checkChange(node, entry, facts.configurations.at(-1)?.index ?? 0);
    }
    facts.configurations.push(entry);
  }

  /** The erratum of 2015: two leaders' uncommitted changes of one configuration could go on without each other. */
  #checkChange(node: string, { index, term }: EntryFact, previous: Index): void {
    check(previous <= this.#committed.length, "change-after-commit", () => {
      return `${node} changed the voters at ${index}, though the change at ${previous} is not committed`;
    });
    let at = this.#committed.length;
    while ((this.#committed[at - 1]?.term ?? 0) > term) at--;
    check(this.#committed[at - 1]?.term === term, "change-after-commit", () => {
      return `${node} changed the voters at ${index} before anything of its term ${term} was committed`;
    });
  }

  #checkSame(node: string, entry: EntryFact, known: EntryFact, what: string): void {
    check(entry.term === known.term && entry.digest === known.digest, "state-machine-safety", () => {
      const { index, term, digest } = entry;
      return `${node} ${what} entry ${index} of term ${term} (${digest}), others that of term ${known.term} (${known.digest})`;
    });
  }

  #node(node: string): NodeFacts {
    const facts = this.#nodes.get(node);
    if (facts === undefined) throw new Error(`${node} was not started`);
    return facts;
  }
}

/** The state of a run's machine: a digest of all that it applied. Two that differ need not differ in this, but almost always do. */
export function digestAfter(state: string, { index, term, digest }: EntryFact): string {
  let hash = 0x811c9dc5;
  const text = `${state}|${index}/${term}|${digest}`;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16);
}

/** By the latest configuration in its log. */
function votersInForce({ configurations, baseVoters }: NodeFacts): readonly MemberId[] | undefined {
  return configurations.at(-1)?.voters ?? baseVoters;
}

function checkOverlap(node: string, entry: EntryFact, before: readonly MemberId[]): void {
  check(doMajoritiesMeet(before, entry.voters ?? []), "configuration-overlap", () => {
    return `${node} went from voters ${before} to ${entry.voters}: two majorities need not meet`;
  });
}

/** Where no voters are known there is nothing to compare with. */
function isMajority(some: readonly MemberId[] | undefined, of: readonly MemberId[] | undefined): boolean {
  return some === undefined || of === undefined || some.length * 2 > of.length;
}

/** True if each majority of one has a member in common with each majority of the other. */
export function doMajoritiesMeet<T>(a: readonly T[], b: readonly T[]): boolean {
  const common = a.filter((member) => b.includes(member)).length;
  // A majority that keeps out of the other's way takes those first that are not common.
  const neededOfCommon = (voters: readonly T[]) =>
    Math.max(0, Math.floor(voters.length / 2) + 1 - (voters.length - common));
  return neededOfCommon(a) + neededOfCommon(b) > common;
}

function check(condition: boolean, invariant: InvariantName, message: () => string): void {
  if (!condition) throw new InvariantViolation(invariant, message());
}
