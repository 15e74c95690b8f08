import { fits, type Peer, type PeerCount } from "../discovery/index.ts";
import { ConditionWaits, type Wait } from "../env/index.ts";
import { checkPeerCount } from "./options.ts";
import type { StreamWhen } from "./types.ts";

export interface PresenceOptions {
  /** For messages: "the producer". */
  readonly whose: string;
  readonly onlineWhen: PeerCount;
  readonly connected: () => Iterable<{ readonly peer: Peer }>;
  /** Has the round trips to those who are connected measured, until what it returns is called. */
  readonly measure: () => () => void;
}

/** Who is connected, and what waits for some of them to be. */
export class Presence {
  readonly #o: PresenceOptions;
  readonly #waits: ConditionWaits;
  readonly #endMeasuring: () => void;
  #isOnline = false;
  #isClosed = false;

  constructor(options: PresenceOptions) {
    this.#o = options;
    this.#waits = new ConditionWaits(options.whose);
    this.#endMeasuring = this.#measure(options.onlineWhen);
    this.#isOnline = this.#isMet();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }
  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** Somebody came, went or changed. */
  update(): void {
    this.#isOnline = !this.#isClosed && this.#isMet();
    this.#waits.notify();
  }

  /** All waits end. */
  close(): void {
    this.#isClosed = true;
    this.#endMeasuring();
    this.#isOnline = false;
    this.#waits.notify();
    this.#waits.close(undefined);
  }

  readonly when: StreamWhen = {
    online: (wait = {}) => this.#until(() => this.#isOnline, wait),
    offline: (wait = {}) => this.#until(() => !this.#isOnline, wait),
    subscribed: async ({ signal, ...count } = {}) => {
      const rule = checkPeerCount(count, {}, "rule");
      const endMeasuring = this.#measure(rule);
      try {
        await this.#until(() => !this.#isClosed && this.#has(rule), { signal });
      } finally {
        endMeasuring();
      }
    },
  };

  /** Round trips are measured only where somebody asks for them. */
  #measure(rule: PeerCount): () => void {
    return rule.maxRttMs === undefined ? () => {} : this.#o.measure();
  }

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
      return this.#has(this.#o.onlineWhen);
    } catch {
      return false;
    }
  }

  #has(rule: PeerCount): boolean {
    const { minimumOf = 1 } = rule;
    let count = 0;
    for (const { peer } of this.#o.connected()) {
      if (count >= minimumOf) break;
      if (fits(peer, rule)) count++;
    }
    return count >= minimumOf;
  }
}
