import type { Index, LogPosition, MemberId, ProgressStatus } from "./types.ts";

/** Appends on their way to one follower: a queue of (last index, bytes), and the sum of the bytes. */
export class Window {
  #indexes: Index[] = [];
  #sizes: number[] = [];
  #head = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(lastIndex: Index, bytes: number): void {
    this.#indexes.push(lastIndex);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** The follower has everything up to `index`. */
  release(index: Index): void {
    while ((this.#indexes[this.#head] ?? Number.POSITIVE_INFINITY) <= index) {
      this.#bytes -= this.#sizes[this.#head] ?? 0;
      this.#head++;
    }
    if (this.#head === this.#indexes.length) this.clear();
    else if (this.#head > 512) {
      this.#indexes = this.#indexes.slice(this.#head);
      this.#sizes = this.#sizes.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#indexes.length = 0;
    this.#sizes.length = 0;
    this.#head = 0;
    this.#bytes = 0;
  }
}

/**
 * What a leader knows of one follower.
 *
 * `probe`: where its log meets ours is a guess; one append is out at a time, and `next` moves by answers alone. `replicate`: the logs
 * meet, appends follow each other without waiting, and `next` runs ahead of the answers within a window of bytes. A refusal, or a new
 * link, leads back to `probe`; its round tells the answers to what is asked now from those to what was under way before. `snapshot`: what
 * it needs next is not in our log; it was told so, is told again with each heartbeat, and gets nothing else until it has a snapshot.
 */
export class Progress {
  readonly member: MemberId;
  readonly window = new Window();
  /** The next entry to send. Always above `match`. */
  next: Index;
  /** The commit index that was last told. */
  sentCommit: Index = 0;
  /** The latest round it answered. */
  ackedRound = 0;
  silentTicks = 0;
  /** In `probe`: an append is out, wait for its answer or for the next heartbeat's. */
  isProbeSent = false;
  /** Answers to earlier rounds are about a state that is past. */
  #sinceRound = 0;
  #match: Index = 0;
  #state: ProgressStatus["state"] = "probe";

  constructor(member: MemberId, next: Index) {
    this.member = member;
    this.next = next;
  }

  get match(): Index {
    return this.#match;
  }

  get state(): ProgressStatus["state"] {
    return this.#state;
  }

  /**
   * Begins to ask anew where the logs meet, from what is sure.
   *
   * @param sinceRound - a round that no message carries yet
   */
  probe(sinceRound: number): void {
    this.#becomeProbe(this.#match > 0 ? this.#match + 1 : this.next, sinceRound);
  }

  /** Nothing can be sent. @param sinceRound - a round that no message carries yet */
  awaitSnapshot(sinceRound: number): void {
    this.#becomeProbe(this.#match + 1, sinceRound);
    this.#state = "snapshot";
  }

  /**
   * @param index - known to be durable there; may be below what the follower was found to have
   * @param base - where our log begins
   */
  onAccepted(index: Index, round: number, base: Index): void {
    this.#match = Math.max(this.#match, index);
    this.window.release(this.#match);
    this.next = Math.max(this.next, this.#match + 1);
    // Taking an old answer for one to the question that is out would send everything again, and again.
    if (this.#state === "snapshot" ? this.#match < base : round < this.#sinceRound) return;
    this.#state = "replicate";
    this.isProbeSent = false;
  }

  /**
   * @param index - the `prev.index` that did not fit
   * @param meetingPoint - our last entry that may also be in the follower's log
   * @param sinceRound - a round that no message carries yet
   */
  onRefused(index: Index, round: number, meetingPoint: LogPosition, sinceRound: number): void {
    // What matched once matches for good.
    if (round < this.#sinceRound || index <= this.#match || this.#state === "snapshot") return;
    this.#becomeProbe(Math.max(this.#match, Math.min(meetingPoint.index, index - 1)) + 1, sinceRound);
  }

  status(): ProgressStatus {
    const { member, state, match, next, silentTicks } = this;
    return { member, state, match, next, inflightBytes: this.window.bytes, silentTicks };
  }

  #becomeProbe(next: Index, sinceRound: number): void {
    this.#state = "probe";
    this.#sinceRound = sinceRound;
    this.next = next;
    this.isProbeSent = false;
    this.window.clear();
  }
}
