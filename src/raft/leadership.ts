import type { Core } from "./core.ts";
import { isSingleChange } from "./quorum.ts";
import { Reads } from "./reads.ts";
import { Replication } from "./replication.ts";
import { ENTRY_NOOP, type Entry, type Index, type MemberId } from "./types.ts";

export type Proposal = Pick<Entry, "kind" | "data">;

/** One leader's term of office: proposals, reads, hand-over, and the rule by which entries become committed. */
export class Leadership {
  readonly replication: Replication;
  readonly reads = new Reads();
  readonly #core: Core;
  #transfer: { readonly to: MemberId; ticks: number; isSent: boolean } | undefined;

  constructor(core: Core) {
    this.#core = core;
    this.replication = new Replication(core.options, core.term, core.log, core.outbox);
    this.replication.setVoters(core.voters);
  }

  get handingOverTo(): MemberId | undefined {
    return this.#transfer?.to;
  }

  /** Only an entry of its own term lets a leader commit what it found in its log (Raft paper, section 8). */
  begin(): void {
    this.#append({ kind: ENTRY_NOOP, data: NO_DATA });
  }

  onTick(): void {
    this.replication.onTick();
    const { options, term } = this.#core;
    // CheckQuorum (the thesis, section 6.2): a leader that a majority does not answer may have a successor already.
    if (!this.replication.hasQuorumWithin(options.electionTicksMin)) this.#core.becomeFollower(term, undefined);
    else if (this.#transfer !== undefined && ++this.#transfer.ticks >= options.electionTicksMin) {
      this.#transfer = undefined;
    }
  }

  /** False if the proposal was not appended. */
  propose(proposal: Proposal): boolean {
    if (this.#transfer !== undefined) return false;
    const voters = this.#core.configuration.read({
      index: this.#core.log.lastIndex + 1,
      term: this.#core.term,
      ...proposal,
    });
    if (voters !== undefined && !this.#isChangeAllowed(voters)) return false;
    this.#append(proposal);
    return true;
  }

  /** The thesis, section 3.10. A hand-over to somebody else replaces the one under way. */
  transfer(to: MemberId | undefined): void {
    const target = to === undefined ? this.replication.bestFollower() : this.replication.find(to);
    if (target === undefined || target.member === this.#transfer?.to) return;
    this.#transfer = { to: target.member, ticks: 0, isSent: false };
  }

  /** At the end of a step: commits, confirms reads, sends. */
  flush(confirmed: { readonly id: number; readonly index: Index }[]): void {
    const core = this.#core;
    const reached = this.replication.durableOnMajority(core.durability.durableIndex);
    // An entry of an older term is not safe by being on a majority; one of ours above it makes it so (Raft paper, figure 8).
    if (reached > core.commit && core.log.termAt(reached) === core.term) core.commit = reached;
    if (this.reads.hasArrived && this.#hasCommittedInTerm) {
      this.reads.begin(this.replication.beginRound(), core.commit);
    }
    this.reads.confirm(this.replication.roundOfMajority(), confirmed);
    this.replication.flush(core.commit, core.snapshot);
    this.#flushTransfer();
    // A leader that is no voter any more leads until its removal is committed (the thesis, section 4.2.2).
    if (!core.isVoter && core.configuration.index <= core.commit) core.becomeFollower(core.term, undefined);
  }

  #append({ kind, data }: Proposal): void {
    const { log, term } = this.#core;
    this.#core.append({ index: log.lastIndex + 1, term, kind, data });
  }

  #flushTransfer(): void {
    const transfer = this.#transfer;
    if (transfer === undefined || transfer.isSent) return;
    const target = this.replication.find(transfer.to);
    if (target === undefined) {
      this.#transfer = undefined;
    } else if (target.match === this.#core.log.lastIndex) {
      transfer.isSent = true;
      this.#core.outbox.send(target.member, { type: "timeout-now", term: this.#core.term });
    }
  }

  /** One voter at a time, one change at a time, and only after a commit of this term (the thesis, section 4.1, with its erratum of 2015). */
  #isChangeAllowed(voters: readonly MemberId[]): boolean {
    const { configuration, commit } = this.#core;
    const isSettled = configuration.index <= commit && this.#hasCommittedInTerm;
    return isSettled && isSingleChange(configuration.voters, voters);
  }

  get #hasCommittedInTerm(): boolean {
    return this.#core.log.termAt(this.#core.commit) === this.#core.term;
  }
}

const NO_DATA = new Uint8Array(0);
