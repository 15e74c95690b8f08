import type { Envelope, MemberId, Message, Ready } from "./types.ts";

/** The messages of one step. */
export class Outbox {
  readonly #self: MemberId;
  #now: Envelope[] = [];
  #afterHardState: Envelope[] = [];
  #afterPersist: Envelope[] = [];

  constructor(self: MemberId) {
    this.#self = self;
  }

  send(to: MemberId, message: Message): void {
    this.#now.push({ from: this.#self, to, message });
  }

  /** For a message that speaks of our term or vote, and of no entry that may be missing after a crash. */
  sendAfterHardState(to: MemberId, message: Message): void {
    this.#afterHardState.push({ from: this.#self, to, message });
  }

  /** For a message that promises what must be on disk first. */
  sendAfterPersist(to: MemberId, message: Message): void {
    this.#afterPersist.push({ from: this.#self, to, message });
  }

  /** Once the step's write is known: what rests on what is durable already leaves at once. */
  take({ isHardStateDurable, isIdle }: { readonly isHardStateDurable: boolean; readonly isIdle: boolean }): Sendings {
    const afterHardState = this.#afterHardState;
    const afterPersist = this.#afterPersist;
    const send = this.#now;
    if (isHardStateDurable) send.push(...afterHardState);
    if (isIdle) send.push(...afterPersist);
    // What was handed out is no longer ours to add to: a driver keeps it until its write is done.
    if (send.length > 0) this.#now = [];
    if (afterHardState.length > 0) this.#afterHardState = [];
    if (afterPersist.length > 0) this.#afterPersist = [];
    return {
      send: send.length > 0 ? send : NONE,
      sendAfterHardState: isHardStateDurable || afterHardState.length === 0 ? NONE : afterHardState,
      sendAfterPersist: isIdle || afterPersist.length === 0 ? NONE : afterPersist,
    };
  }
}

type Sendings = Pick<Ready, "send" | "sendAfterHardState" | "sendAfterPersist">;

const NONE: readonly Envelope[] = Object.freeze([]);
