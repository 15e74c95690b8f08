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
    const send = isDiskIdle && this.#later.length > 0 ? [...this.#now, ...this.#later] : this.#now;
    const sendAfterPersist = isDiskIdle ? NONE : this.#later;
    if (this.#now.length > 0) this.#now = [];
    if (this.#later.length > 0) this.#later = [];
    return { send, sendAfterPersist };
  }
}

const NONE: readonly Envelope[] = Object.freeze([]);
