import { whenAborted } from "./abort.ts";
import { assert } from "./assert.ts";

/** Subscribed when returned, not at the first `next()`. Bounded. Ends on `break`, on `close`, and when its owner closes. */
export interface Subscription<T> extends AsyncIterable<T>, AsyncDisposable {
  close(): Promise<void>;
}

export interface SubscriptionInit<T> {
  /** Items that may wait for the reader. */
  readonly itemsMax: number;
  /** Takes the place of all that waited, and of `last`, when that is one more than may wait. */
  readonly reset: (last: T) => T;
  /** Ends the subscription: the reader gets `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
  /** Once, when the subscription ends for whatever reason: the owner forgets it. */
  readonly onEnd?: (queue: SubscriptionQueue<T>) => void;
}

interface Waiter<T> {
  readonly resolve: (result: IteratorResult<T, void>) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * The owner's side of a `Subscription`: a bounded queue that never makes the owner wait.
 *
 * A reader that is too slow loses what waited and gets one `reset` instead, so it knows that it must look at the state again. What came
 * before an end is still read; an abort drops it. All readers of one subscription share its items.
 */
export class SubscriptionQueue<T> implements Subscription<T> {
  readonly #itemsMax: number;
  readonly #reset: (last: T) => T;
  readonly #onEnd: ((queue: SubscriptionQueue<T>) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  #endListening: () => void = () => {};
  #items: T[] = [];
  readonly #waiters: Waiter<T>[] = [];
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;

  constructor(init: SubscriptionInit<T>) {
    assert(init.itemsMax >= 1, "a subscription holds at least one item");
    this.#itemsMax = init.itemsMax;
    this.#reset = init.reset;
    this.#onEnd = init.onEnd;
    this.#signal = init.signal;
    if (this.#signal?.aborted === true) this.#onAbort();
    else this.#endListening = whenAborted(this.#signal, this.#onAbort);
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Hands the item to the reader that waits, or keeps it. Ignored once ended. */
  push(item: T): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter.resolve({ done: false, value: item });
    else if (this.#items.length < this.#itemsMax) this.#items.push(item);
    // Room for one: what comes after the reset is news to the reader again.
    else this.#items = [this.#reset(item)];
  }

  /** No more items. What waits is still read; with `failure` the reader then gets it. Idempotent. */
  end(failure?: { readonly reason: unknown }): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#endListening();
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter);
    this.#onEnd?.(this);
  }

  /** The reader's own end: what waits is dropped. */
  close(): Promise<void> {
    this.#items = [];
    this.end();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<T, void> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  #next(): Promise<IteratorResult<T, void>> {
    if (this.#items.length > 0) return Promise.resolve({ done: false, value: this.#items.shift() as T });
    return new Promise((resolve, reject) => {
      if (this.#ended) this.#settle({ resolve, reject });
      else this.#waiters.push({ resolve, reject });
    });
  }

  #settle(waiter: Waiter<T>): void {
    const failure = this.#failure;
    // A failure is told once; whoever reads on finds a plain end.
    this.#failure = undefined;
    if (failure === undefined) waiter.resolve({ done: true, value: undefined });
    else waiter.reject(failure.reason);
  }

  readonly #onAbort = (): void => {
    this.#items = [];
    this.end({ reason: this.#signal?.reason });
  };
}
