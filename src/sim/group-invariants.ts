import { createHash } from "node:crypto";
import { type GroupProbe, type LogStart, type ProbeSource, type VoterSteering, votersOf } from "../groups/index.ts";
import { type PeerId, UniqueId } from "../identity/index.ts";
import type { Entry, HardState, Index, MemberId, Persist, SnapshotMark, Term } from "../raft/index.ts";
import type { IncarnationId } from "../storage/index.ts";
import { type EntryFact, type InvariantName, InvariantViolation, RaftInvariants } from "./core/invariants.ts";
import { DurabilityInvariants } from "./durability-invariants.ts";
import { type StoreInvariantName, StoreInvariants } from "./store-invariants.ts";
import type { StreamInvariantName } from "./streams/invariant-name.ts";

/** Names of what a run as a whole must keep, beside those of Raft. */
export type RunInvariantName =
  | InvariantName
  | StoreInvariantName
  | StreamInvariantName
  | "durability"
  | "stale-store"
  | "linearizability"
  | "exactly-once"
  | "equal-states"
  | "one-open-incarnation"
  | "rivals-reported"
  | "waits-end"
  | "dense-positions"
  | "no-bug";

/** A named promise of the whole system that a run broke. */
export class RunViolation extends Error {
  override readonly name = "RunViolation";
  readonly invariant: RunInvariantName;
  constructor(invariant: RunInvariantName, message: string, cause?: unknown) {
    super(`${invariant}: ${message}`, cause === undefined ? undefined : { cause });
    this.invariant = invariant;
  }
}

export interface GroupInvariantsOptions {
  /** Ends the run. */
  readonly onViolation: (violation: unknown) => void;
  /** For the trace: what a peer applied. */
  readonly onApply?: (source: ProbeSource, entry: EntryFact, position: number) => void;
  /** Voters were added or removed, and that is committed. */
  readonly onChange?: (kind: "promotion" | "removal") => void;
  /** Names a member for people. */
  readonly nameOf: (source: ProbeSource) => string;
}

/** A member's log, after `base`. */
interface LogFacts {
  facts: EntryFact[];
  base: Index;
  committed: Index;
}

/**
 * All groups of a run under the eyes of Raft's invariants: one observer for each incarnation, fed by the members' drivers. What
 * the observer cannot see from one incarnation is checked here: votes as they leave, positions, and that at most one incarnation of a
 * group ever takes commands.
 */
export class GroupInvariants implements GroupProbe {
  readonly #options: GroupInvariantsOptions;
  readonly #observers = new Map<IncarnationId, RaftInvariants>();
  readonly #logs = new Map<MemberId, LogFacts>();
  readonly #votes = new Map<string, MemberId>();
  readonly #positions = new Map<MemberId, number>();
  /** The first incarnation of each group that took a command. */
  readonly #serving = new Map<UniqueId, IncarnationId>();
  readonly #steerings = new Map<string, { readonly member: MemberId; readonly steering: VoterSteering }>();
  /** Each incarnation's entries as somebody applied them first, from index 1. */
  readonly #applied = new Map<IncarnationId, Entry[]>();
  /** The position after each entry that moved it, as the first member said. */
  readonly #places = new Map<IncarnationId, Map<Index, number>>();
  readonly #names = new Map<MemberId, string>();
  /** The present member of each peer in each group, and its incarnation. */
  readonly #present = new Map<string, ProbeSource>();
  readonly #stores = new StoreInvariants((invariant, message) => {
    throw new RunViolation(invariant, message);
  });
  /** Of members whose stores are older than what they promised. */
  readonly #stale = new Set<MemberId>();
  readonly #durability = new DurabilityInvariants((message) => {
    throw new RunViolation("durability", message);
  });
  /** The last committed voters of each incarnation. */
  readonly #voters = new Map<IncarnationId, EntryFact>();
  #areRivalsAllowed = false;
  #leaderships = 0;
  #commits = 0;
  #restores = 0;
  #compactions = 0;

  constructor(options: GroupInvariantsOptions) {
    this.#options = options;
  }

  /** From now on two incarnations of one group may both serve: there were so many stores that some could found out of sight of the others. */
  allowRivals(): void {
    this.#areRivalsAllowed = true;
  }
  get areRivalsAllowed(): boolean {
    return this.#areRivalsAllowed;
  }

  /** An older copy of this store was put back: it must not take part in anything. */
  distrust(member: MemberId): void {
    this.#stale.add(member);
  }

  /** The store that this peer lives on now in a group; undefined before it is bound. */
  presentOf(peer: PeerId, group: UniqueId): ProbeSource | undefined {
    return this.#present.get(`${peer}/${group}`);
  }

  /** It is open for good: from now on it may promise something. */
  isEstablished(incarnation: IncarnationId): boolean {
    return this.#stores.isEstablished(incarnation);
  }

  /** The voters that may be in force somewhere in this incarnation. @param gone - members whose stores are lost */
  configurationsOf(incarnation: IncarnationId, gone: ReadonlySet<MemberId>): readonly (readonly MemberId[])[] {
    return this.#observers.get(incarnation)?.configurations((node) => gone.has(node as MemberId)) ?? [];
  }

  /** For people: those voters, by name. */
  describe(incarnation: IncarnationId, gone: ReadonlySet<MemberId>): string {
    const nameOf = (member: MemberId): string =>
      `${this.#names.get(member) ?? member}${gone.has(member) ? " (lost)" : ""}`;
    const voters = this.configurationsOf(incarnation, gone).map((some) => some.map(nameOf).join(" "));
    return `voters of ${UniqueId.short(incarnation)}: ${voters.join(" or ")}`;
  }

  /** Leaders seen so far, in all groups. */
  get leaderships(): number {
    return this.#leaderships;
  }
  /** Entries that some member learnt to be committed, each counted once for every member. */
  get commits(): number {
    return this.#commits;
  }

  /** Logs that a snapshot from others replaced, and logs that were cut after one. */
  get snapshots(): { readonly restores: number; readonly compactions: number } {
    return { restores: this.#restores, compactions: this.#compactions };
  }

  /** Which entries a member holds in memory, without the first place; undefined before it starts. */
  logOf(member: MemberId): { readonly base: Index; readonly last: Index } | undefined {
    const log = this.#logs.get(member);
    return log && { base: log.base, last: log.base + log.facts.length };
  }

  onStart(source: ProbeSource, hardState: HardState, entries: readonly Entry[], start?: LogStart): void {
    this.#guard(() => {
      const facts = entries.map(factOf);
      const base = start?.base.index ?? 0;
      this.#names.set(source.member, this.#options.nameOf(source));
      this.#present.set(`${source.peer}/${source.group}`, source);
      if (this.#stale.has(source.member)) return;
      this.#logs.set(source.member, { facts: [...facts], base, committed: start?.snapshot.index ?? 0 });
      this.#positions.set(source.member, 0);
      this.#stores.onStart(this.#name(source), source, entries, { hasSnapshot: start !== undefined });
      this.#durability.onStart(this.#name(source), source.member, hardState, entries, start?.base);
      this.#observer(source).onStart(source.member, hardState, facts, start);
    });
  }

  onVoter({ peer, group, member }: ProbeSource, steering: VoterSteering): void {
    this.#steerings.set(`${peer}/${group}`, { member, steering });
  }

  /** The wheel of a peer's latest life in a group; undefined if it never voted. */
  voterOf(peer: PeerId, group: UniqueId): { readonly member: MemberId; readonly steering: VoterSteering } | undefined {
    return this.#steerings.get(`${peer}/${group}`);
  }

  onWrite({ member }: ProbeSource, persist: Persist): void {
    this.#durability.onWrite(member, persist);
  }

  onDurable({ member }: ProbeSource, writeId: number): void {
    this.#durability.onDurable(member, writeId);
  }

  onHardStateDurable(source: ProbeSource, writeId: number, hardState: HardState): void {
    this.#durability.onHardStateDurable(source.member, writeId);
    this.#guard(() => this.#observer(source).onHardState(source.member, hardState.term, hardState.votedFor));
  }

  onVote(source: ProbeSource, term: Term, candidate: MemberId): void {
    this.#guard(() => {
      const key = `${source.incarnation}/${source.member}/${term}`;
      const earlier = this.#votes.get(key) ?? candidate;
      this.#votes.set(key, earlier);
      if (earlier === candidate) return;
      throw new InvariantViolation("one-vote-per-term", `${this.#name(source)} gave two votes in term ${term}`);
    });
  }

  onTruncate(source: ProbeSource, from: Index): void {
    this.#guard(() => {
      const log = this.#log(source);
      log.facts.length = Math.min(log.facts.length, Math.max(0, from - log.base - 1));
      this.#stores.onTruncate(source.member, from);
      this.#observer(source).onTruncate(source.member, from);
    });
  }

  onAppend(source: ProbeSource, entries: readonly Entry[]): void {
    this.#guard(() => {
      const facts = entries.map(factOf);
      this.#log(source).facts.push(...facts);
      this.#stores.onAppend(this.#name(source), source.member, entries);
      this.#observer(source).onAppend(source.member, facts);
    });
  }

  onLeader(source: ProbeSource, term: Term, _voters: readonly MemberId[]): void {
    this.#leaderships++;
    this.#guard(() => this.#observer(source).onLeader(source.member, term));
  }

  onCommit(source: ProbeSource, index: Index, term: Term): void {
    this.#guard(() => {
      const log = this.#log(source);
      for (let i = log.committed + 1; i <= index; i++) {
        const fact = log.facts[i - log.base - 1];
        if (fact === undefined) {
          throw new InvariantViolation(
            "log-matching",
            `${this.#name(source)} committed entry ${i}, which it does not hold`,
          );
        }
        this.#commits++;
        this.#countChange(source, fact);
        this.#observer(source).onCommit(source.member, term, fact);
      }
      log.committed = Math.max(log.committed, index);
    });
  }

  /** What the incarnation of this group that took commands first applied, in order. */
  appliedIn(group: UniqueId): readonly Entry[] {
    const incarnation = this.#serving.get(group);
    return (incarnation && this.#applied.get(incarnation)) ?? [];
  }

  onApply(source: ProbeSource, entry: Entry, position: number): void {
    this.#guard(() => {
      const fact = factOf(entry);
      this.#keep(source, entry);
      this.#options.onApply?.(source, fact, position);
      this.#observer(source).onApply(source.member, fact);
      this.#checkPosition(source, entry.index, position);
    });
  }

  onRestore(source: ProbeSource, snapshot: SnapshotMark): void {
    this.#restores++;
    this.#guard(() => {
      this.#logs.set(source.member, { facts: [], base: snapshot.index, committed: snapshot.index });
      this.#stores.onSnapshot(source.member);
      this.#observer(source).onSnapshot(source.member, snapshot);
    });
  }

  onCompact(source: ProbeSource, upTo: Index, snapshot: Index): void {
    this.#compactions++;
    this.#guard(() => {
      const log = this.#log(source);
      log.facts = log.facts.slice(Math.max(0, upTo - log.base));
      log.base = upTo;
      this.#observer(source).onCompact(source.member, upTo, snapshot);
    });
  }

  /** What it goes on from counts as committed there; what lost members had beyond it does not. Both may serve, if those come back. */
  onRecover(former: ProbeSource, later: ProbeSource, log: { base: Index; entries: readonly Entry[] }): void {
    const [from, to] = [former.incarnation as IncarnationId, later.incarnation as IncarnationId];
    const applied = [...(this.#applied.get(from) ?? []).slice(0, log.base), ...log.entries];
    const history = applied.map(factOf);
    const last = history.pop();
    if (last !== undefined) history.push({ ...last, voters: [later.member] });
    this.#observers.set(to, new RaftInvariants(history));
    this.#applied.set(to, applied);
    this.#serving.set(former.group, to);
    this.#stores.onRecover(from);
    this.allowRivals();
  }

  onSetAside(source: ProbeSource): void {
    if (!this.#stale.has(source.member)) this.#guard(() => this.#stores.onSetAside(this.#name(source), source));
    this.#present.delete(`${source.peer}/${source.group}`);
    this.#logs.delete(source.member);
    this.#positions.delete(source.member);
  }

  /** A halted machine moves no more; whoever moves is where the others were. */
  #checkPlace(source: ProbeSource, index: Index, position: number): void {
    const incarnation = source.incarnation as IncarnationId;
    let places = this.#places.get(incarnation);
    if (places === undefined) this.#places.set(incarnation, (places = new Map()));
    const first = places.get(index) ?? position;
    places.set(index, first);
    if (first === position) return;
    const text = `${this.#name(source)} is at position ${position} after entry ${index}, another was at ${first}`;
    throw new RunViolation("dense-positions", text);
  }

  /** Told once for each change. */
  #countChange({ incarnation }: ProbeSource, fact: EntryFact): void {
    if (fact.voters === undefined || incarnation === undefined) return;
    const before = this.#voters.get(incarnation);
    if (before !== undefined && before.index >= fact.index) return;
    this.#voters.set(incarnation, fact);
    const difference = fact.voters.length - (before?.voters?.length ?? fact.voters.length);
    if (difference !== 0) this.#options.onChange?.(difference > 0 ? "promotion" : "removal");
  }

  #keep({ incarnation }: ProbeSource, entry: Entry): void {
    if (incarnation === undefined) return;
    let applied = this.#applied.get(incarnation);
    if (applied === undefined) {
      applied = [];
      this.#applied.set(incarnation, applied);
    }
    if (entry.index === applied.length + 1) applied.push(entry);
  }

  #checkPosition(source: ProbeSource, index: Index, position: number): void {
    const before = this.#positions.get(source.member) ?? position;
    if (position > before) this.#checkPlace(source, index, position);
    if (position < before) {
      throw new RunViolation(
        "dense-positions",
        `${this.#name(source)} went from position ${before} back to ${position}`,
      );
    }
    this.#positions.set(source.member, position);
    if (position === 0 || source.incarnation === undefined) return;
    const serving = this.#serving.get(source.group) ?? source.incarnation;
    this.#serving.set(source.group, serving);
    if (serving === source.incarnation || this.#areRivalsAllowed) return;
    const [one, two] = [serving, source.incarnation].map((id) => UniqueId.short(id));
    throw new RunViolation("one-open-incarnation", `incarnations ${one} and ${two} of one group both took commands`);
  }

  #observer(source: ProbeSource): RaftInvariants {
    const { member, incarnation } = source;
    if (this.#stale.has(member)) {
      throw new RunViolation("stale-store", `${this.#name(source)} goes on with a store that was rolled back`);
    }
    if (incarnation === undefined) throw new InvariantViolation("log-matching", "a free store has no log");
    let observer = this.#observers.get(incarnation);
    if (observer === undefined) {
      observer = new RaftInvariants();
      this.#observers.set(incarnation, observer);
    }
    return observer;
  }

  #log({ member }: ProbeSource): LogFacts {
    let log = this.#logs.get(member);
    if (log === undefined) {
      log = { facts: [], base: 0, committed: 0 };
      this.#logs.set(member, log);
    }
    return log;
  }

  #name(source: ProbeSource): string {
    return this.#options.nameOf(source);
  }

  /** A fact must not throw into the driver that tells it. */
  #guard(check: () => void): void {
    try {
      check();
    } catch (violation) {
      this.#options.onViolation(this.#readable(violation));
    }
  }

  /** Members by their names. */
  #readable(violation: unknown): unknown {
    if (!(violation instanceof InvariantViolation)) return violation;
    let { message } = violation;
    for (const [member, name] of this.#names) message = message.replaceAll(member, name);
    return new InvariantViolation(violation.invariant, message);
  }
}

function factOf(entry: Entry): EntryFact {
  const { index, term, kind, data } = entry;
  const digest = createHash("sha256").update(Uint8Array.of(kind)).update(data).digest("hex").slice(0, 16);
  return { index, term, digest, voters: votersOf(entry) };
}
