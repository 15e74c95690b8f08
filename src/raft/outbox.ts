import type { Envelope, MemberId, Message } from "./types.ts";

/** The messages of one step. */
export class Outbox {
  readonly #self: MemberId;
  #now: Envelope[] = [];
  #later: Envelope[] = [];

  constructor(self: MemberId) {
    this.#self = self;
  }

  send(to: MemberId, message: Message): void {
    this.#now.push({ from: this.#self, to, message });
  }

  /** For a message that promises what must be on disk first. */
  sendAfterPersist(to: MemberId, message: Message): void {
    this.#later.push({ from: this.#self, to, message });
  }

  /** @param isDiskIdle - nothing is on its way to the disk, so promises are kept already */
  take(isDiskIdle: boolean): { send: readonly Envelope[]; sendAfterPersist: readonly Envelope[] } {
    const now = this.#now.length > 0 ? this.#now : NONE;
    const later = this.#later.length > 0 ? this.#later : NONE;
    // What was handed out is no longer ours to add to, even if it is empty: a driver keeps it until its write is done.
    if (now !== NONE) this.#now = [];
    if (later !== NONE) this.#later = [];
    if (!isDiskIdle) return { send: now, sendAfterPersist: later };
    return { send: later === NONE ? now : [...now, ...later], sendAfterPersist: NONE };
  }
}

const NONE: readonly Envelope[] = Object.freeze([]);
