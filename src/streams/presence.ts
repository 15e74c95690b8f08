import { fits, type Peer, type PeerCount } from "../discovery/index.ts";
import { ConditionWaits, type MosaikError, type Wait } from "../env/index.ts";
import type { StreamWhen } from "./types.ts";

/** Who is connected, and what waits for some of them to be. */
export class Presence {
  readonly #onlineWhen: PeerCount;
  readonly #connected: () => Iterable<{ readonly peer: Peer }>;
  readonly #waits: ConditionWaits;
  #isOnline = false;
  #isClosed = false;

  /** @param whose - for messages: "the producer" */
  constructor(whose: string, onlineWhen: PeerCount, connected: () => Iterable<{ readonly peer: Peer }>) {
    this.#onlineWhen = onlineWhen;
    this.#connected = connected;
    this.#waits = new ConditionWaits(whose);
    this.#isOnline = this.#has(onlineWhen);
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** Somebody came, went or changed. True: it was offline, and is online now. */
  update(): boolean {
    const wasOnline = this.#isOnline;
    this.#isOnline = !this.#isClosed && this.#isMet();
    this.#waits.notify();
    return this.#isOnline && !wasOnline;
  }

  /** All waits end. */
  close(cause: MosaikError | undefined): void {
    this.#isClosed = true;
    this.#isOnline = false;
    this.#waits.notify();
    this.#waits.close(cause);
  }

  readonly when: StreamWhen = {
    online: (wait = {}) => this.#until(() => this.#isOnline, wait),
    offline: (wait = {}) => this.#until(() => !this.#isOnline, wait),
    subscribed: (rule = {}) => this.#until(() => !this.#isClosed && this.#has(rule), rule),
  };

  /** What a rule's `where` throws is its caller's to hear. */
  async #until(holds: () => boolean, { signal }: Wait): Promise<void> {
    const probe = (): { readonly cause?: unknown } | undefined => {
      try {
        return holds() ? {} : undefined;
      } catch (cause) {
        return { cause };
      }
    };
    const met = await this.#waits.until(probe, signal);
    if ("cause" in met) throw met.cause;
  }

  #isMet(): boolean {
    try {
      return this.#has(this.#onlineWhen);
    } catch {
      return false;
    }
  }

  #has(rule: PeerCount): boolean {
    const { minimumOf = 1 } = rule;
    let count = 0;
    for (const { peer } of this.#connected()) {
      if (count >= minimumOf) break;
      if (fits(peer, rule)) count++;
    }
    return count >= minimumOf;
  }
}
