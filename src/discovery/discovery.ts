import {
  badOption,
  LIMITS,
  mosaikError,
  type OneOrMore,
  type Subscription,
  SubscriptionQueue,
  type Wait,
  whenAborted,
} from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { DialError, parsePeerAddress } from "../transport/index.ts";
import type { Directory } from "./directory.ts";
import type { Driver } from "./driver.ts";
import type { LocalContent, LocalEntry } from "./local.ts";
import { asList, checkAttributes, checkTags } from "./options.ts";
import { type Attributes, fits, type Peer, type PeerRule } from "./peer.ts";
import { describe } from "./sources.ts";
import type { DirectoryChange } from "./types.ts";

export type PeerCount = PeerRule & { readonly minimumOf?: number | undefined };

export type PeerEvent =
  | Readonly<{ type: "joined" | "changed" | "left"; peer: Peer }>
  /** The reader was too slow: look at `peers()` again. */
  | Readonly<{ type: "reset" }>;

export interface Advertisement {
  readonly addTags?: OneOrMore<string> | undefined;
  readonly removeTags?: OneOrMore<string> | undefined;
  /** One set to `undefined` goes. */
  readonly attributes?: Attributes<string | undefined> | undefined;
}

/** What users see of discovery. */
export interface Discovery {
  readonly self: Peer;
  /** Ourselves included. */
  get(id: PeerId): Peer | undefined;
  /**
   * The others that fit, by id. Local and immediate: it judges no tickets and measures nothing, so with `maxRttMs` it gives those that
   * happen to be measured. `events` and `when.found` with `maxRttMs` measure for as long as they live.
   */
  peers(rule?: PeerRule): Peer[];
  /**
   * A peer begins or ceases to fit, or changes. From now on; at most `LIMITS.subscriptionItemsMax` wait for the reader, then one
   * `reset` takes their place. Ends with discovery; an abort rejects with the signal's reason, a `where` that throws with what it threw.
   */
  events(rule?: PeerRule & Wait): Subscription<PeerEvent>;
  /**
   * One signed update for all that changes.
   * @throws `bad-option`, `too-large` (the whole entry above `LIMITS.entryBytesMax`), `closed`; nothing changed then
   */
  advertise(change: Advertisement): void;
  /**
   * Resolves when each address has answered once. `host:port` or `<peer-id>@host:port`.
   * @throws `bad-option`, `dial-failed` with the first address that did not answer, `closed`
   */
  dial(addresses: OneOrMore<string>, options?: Wait): Promise<void>;
  readonly when: {
    /** Resolves with the peers that fit, once there are `minimumOf` (default 1). @throws `closed` */
    found(rule?: PeerCount & Wait): Promise<Peer[]>;
  };
}

export class PublicDiscovery implements Discovery {
  readonly #local: LocalEntry;
  readonly #driver: Driver;
  readonly #directory: Directory;
  readonly #subscriptions = new Set<SubscriptionQueue<PeerEvent>>();

  constructor(init: { local: LocalEntry; driver: Driver; directory: Directory }) {
    this.#local = init.local;
    this.#driver = init.driver;
    this.#directory = init.directory;
  }

  get self(): Peer {
    return this.#directory.peerOf(this.#local.entry);
  }

  get(id: PeerId): Peer | undefined {
    return this.#directory.peer(id);
  }

  peers(rule: PeerRule = {}): Peer[] {
    return this.#directory.peers().filter((peer) => fits(peer, rule));
  }

  events(options: PeerRule & Wait = {}): Subscription<PeerEvent> {
    const fitting = new Map(this.peers(options).map((peer) => [peer.id, peer]));
    const release = this.#measureFor(options);
    const unsubscribe = this.#directory.onChange((change) => {
      try {
        const event = this.#eventOf(change, fitting, options);
        if (event !== undefined) queue.push(event);
      } catch (reason) {
        // The user's `where` threw: theirs to hear, and no peer's fault.
        queue.end({ reason });
      }
    });
    const queue = new SubscriptionQueue<PeerEvent>({
      itemsMax: LIMITS.subscriptionItemsMax,
      reset: () => ({ type: "reset" }),
      signal: options.signal,
      onEnd: (ended) => {
        unsubscribe();
        release();
        this.#subscriptions.delete(ended);
      },
    });
    if (this.#driver.isClosed) queue.end();
    if (!queue.isEnded) this.#subscriptions.add(queue);
    return queue;
  }

  advertise(change: Advertisement): void {
    this.#requireOpen();
    const { entry } = this.#local;
    const removed = new Set(checkTags(change.removeTags, "removeTags"));
    const added = checkTags(change.addTags, "addTags");
    const tags = [...entry.tags.filter((tag) => !removed.has(tag)), ...added];
    const content: Partial<LocalContent> = {
      tags: checkTags(tags, "addTags"),
      attributes: checkAttributes({ ...entry.attributes, ...change.attributes }),
    };
    this.#driver.changeLocal(content);
  }

  async dial(addresses: OneOrMore<string>, options: Wait = {}): Promise<void> {
    this.#requireOpen();
    const targets = asList(addresses).map((text) => {
      const address = parsePeerAddress(text);
      if (address === undefined) throw badOption("addresses", "is neither `host:port` nor `<peer-id>@host:port`");
      return { text, address };
    });
    const own = this.#driver.signal;
    const signal = options.signal === undefined ? own : AbortSignal.any([options.signal, own]);
    await Promise.all(
      targets.map(({ text, address }) =>
        this.#driver.dial(address, signal).then(
          (link) => this.#driver.adopt(link),
          (cause: unknown) => {
            if (options.signal?.aborted === true) throw options.signal.reason;
            this.#requireOpen();
            if (cause instanceof DialError && cause.failure === "self") return;
            throw mosaikError("dial-failed", `${text} does not answer: ${describe(cause)}`, {
              details: { address: text },
            });
          },
        ),
      ),
    );
  }

  readonly when = {
    found: (rule: PeerCount & Wait = {}): Promise<Peer[]> => this.#found(rule),
  };

  /** Ends all subscriptions. Waits end through the driver's signal. */
  close(): void {
    for (const queue of [...this.#subscriptions]) queue.end();
  }

  #found(rule: PeerCount & Wait): Promise<Peer[]> {
    const { signal, minimumOf = 1 } = rule;
    return new Promise((resolve, reject) => {
      const found = this.peers(rule);
      if (this.#driver.isClosed) return reject(closed());
      if (signal?.aborted === true) return reject(signal.reason);
      if (found.length >= minimumOf) return resolve(found);
      const release = this.#measureFor(rule);
      const settle = (action: () => void): void => {
        unsubscribe();
        release();
        endListening();
        endListeningToClose();
        action();
      };
      const unsubscribe = this.#directory.onChange(() => {
        try {
          const now = this.peers(rule);
          if (now.length >= minimumOf) settle(() => resolve(now));
        } catch (reason) {
          settle(() => reject(reason));
        }
      });
      const endListening = whenAborted(signal, (reason) => settle(() => reject(reason)));
      const endListeningToClose = whenAborted(this.#driver.signal, () => settle(() => reject(closed())));
    });
  }

  /** @param fitting - those that the reader believes to fit; kept up to date */
  #eventOf({ type, entry }: DirectoryChange, fitting: Map<PeerId, Peer>, rule: PeerRule): PeerEvent | undefined {
    const before = fitting.get(entry.id);
    const peer = type === "left" ? undefined : this.#directory.peer(entry.id);
    if (peer !== undefined && fits(peer, rule)) {
      fitting.set(entry.id, peer);
      if (before === undefined) return { type: "joined", peer };
      // A new version of the same is no news to users.
      return isSamePeer(before, peer) ? undefined : { type: "changed", peer };
    }
    if (before === undefined) return undefined;
    fitting.delete(entry.id);
    return { type: "left", peer: peer ?? before };
  }

  /** Only rules with `maxRttMs` cause probes, of peers that may fit. The result ends them. */
  #measureFor({ maxRttMs, tags }: PeerRule): () => void {
    if (maxRttMs === undefined || this.#driver.isClosed) return () => {};
    const wanted = asList(tags);
    return this.#directory.measure((entry) => wanted.every((tag) => entry.tags.includes(tag)));
  }

  #requireOpen(): void {
    if (this.#driver.isClosed) throw closed();
  }
}

function isSamePeer(a: Peer, b: Peer): boolean {
  const textOf = (peer: Peer): string =>
    JSON.stringify([peer.addresses, [...peer.tags], Object.entries(peer.attributes), peer.rttMs ?? null]);
  return textOf(a) === textOf(b);
}

const closed = (): Error => mosaikError("closed", "discovery is closed");
