import { type BallotResult, ballotResult } from "./quorum.ts";
import type { MemberId } from "./types.ts";

/** One campaign's answers. Only those of voters count; a late refusal takes no vote back, for what was granted is on disk. */
export class Ballot {
  readonly #voters: readonly MemberId[];
  readonly #votes = new Map<MemberId, boolean>();

  constructor(voters: readonly MemberId[]) {
    this.#voters = voters;
  }

  record(voter: MemberId, isGranted: boolean): BallotResult {
    if (isGranted || !this.#votes.has(voter)) this.#votes.set(voter, isGranted);
    return ballotResult(this.#voters.map((member) => this.#votes.get(member)));
  }

  hasAnswered(voter: MemberId): boolean {
    return this.#votes.has(voter);
  }
}
