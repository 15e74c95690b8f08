import { type MosaikError, mosaikError, OpenWaits, orAborted, type Wait, whenAborted } from "../env/index.ts";
import type { ConsumerNode } from "./consumer.ts";
import type { Presence } from "./presence.ts";
import type { ProducerNode } from "./producer.ts";
import type { Channel, Consumer, Message, Producer, StreamWhen } from "./types.ts";

/** What a handle is one of: it may end by itself, as a network closes. */
interface Whole {
  readonly closed: Promise<MosaikError | undefined>;
  readonly presence: Presence;
}

/** The end of a handle: its own, or that of what it is a handle of, whichever comes first. Told once, and to all that waits through it. */
abstract class Ending {
  readonly closed: Promise<MosaikError | undefined>;
  readonly when: StreamWhen;
  protected readonly waits = new OpenWaits();
  readonly #presence: Presence;
  #resolve: (cause: MosaikError | undefined) => void = () => {};
  #closing: Promise<void> | undefined;

  constructor(whole: Whole) {
    this.#presence = whole.presence;
    const { when } = whole.presence;
    this.when = {
      online: ({ signal } = {}) => this.waits.run(signal, (either) => when.online({ signal: either })),
      offline: ({ signal } = {}) => this.#untilOffline(signal),
      subscribed: (rule = {}) => this.waits.run(rule.signal, (either) => when.subscribed({ ...rule, signal: either })),
    };
    this.closed = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    void whole.closed.then((cause) => {
      this.#resolve(cause);
      this.waits.endAll(cause ?? this.closedError());
    });
  }

  get isOnline(): boolean {
    return !this.isClosed && this.#presence.isOnline;
  }
  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  close({ signal }: Wait = {}): Promise<void> {
    if (this.#closing === undefined) {
      this.waits.endAll(this.closedError());
      this.#closing = this.end(signal).then(() => this.#resolve(undefined));
    }
    return orAborted(this.#closing, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected abstract end(signal: AbortSignal | undefined): Promise<void>;
  /** What all hear that comes after it, or waits then. */
  protected abstract closedError(): MosaikError;

  /** What is closed is offline. */
  async #untilOffline(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.waits.run(signal, (either) => this.#presence.when.offline({ signal: either }));
    } catch (cause) {
      if (cause !== this.waits.reason) throw cause;
    }
  }
}

/** One of several handles of a producer. What it sends after its own end is refused, also if others are open. */
export class ProducerHandle<In> extends Ending implements Producer<In> {
  readonly #node: ProducerNode;
  readonly #release: (signal: AbortSignal | undefined) => Promise<void>;

  /** @param release - this handle is done with it */
  constructor(node: ProducerNode, release: (signal: AbortSignal | undefined) => Promise<void>) {
    super(node);
    this.#node = node;
    this.#release = release;
  }

  get consumers(): readonly Channel[] {
    return this.#node.channels;
  }

  async send(value: In, { signal }: Wait = {}): Promise<void> {
    await this.#send(value, signal);
  }

  async sendMany(values: Iterable<In> | AsyncIterable<In>, { signal }: Wait = {}): Promise<void> {
    if (Symbol.asyncIterator in Object(values)) {
      return this.waits.run(signal, async (either) => {
        for await (const value of untilAborted(values as AsyncIterable<In>, either)) await this.#send(value, either);
      });
    }
    // Most values are taken at once: then nothing is awaited, but between turns.
    for (const value of values as Iterable<In>) {
      const waiting = this.#send(value, signal);
      if (waiting !== undefined) await waiting;
    }
  }

  trySend(value: In): "queued" | "full" | "offline" {
    this.#assertOpen();
    return this.#node.trySend(value);
  }

  protected end(signal: AbortSignal | undefined): Promise<void> {
    return this.#release(signal);
  }

  protected closedError(): MosaikError {
    return mosaikError("closed", "the producer is closed", { outcome: "not-applied" });
  }

  /** Undefined: it is queued. */
  #send(value: In, signal: AbortSignal | undefined): Promise<void> | undefined {
    signal?.throwIfAborted();
    // Only what waits needs to hear of our end.
    if (this.trySend(value) === "queued") return undefined;
    return this.waits.run(signal, (either) => this.#node.sendLater(value, either));
  }

  #assertOpen(): void {
    if (this.isClosed) throw this.closedError();
  }
}

export class ConsumerHandle<Out> extends Ending implements Consumer<Out> {
  readonly #node: ConsumerNode;
  readonly #release: () => Promise<void>;

  constructor(node: ConsumerNode, release: () => Promise<void>) {
    super(node);
    this.#node = node;
    this.#release = release;
  }

  get producers(): readonly Channel[] {
    return this.#node.channels;
  }

  async receive({ signal }: Wait = {}): Promise<Out> {
    const message = await this.#node.inbox.read(signal);
    if (message === undefined) throw this.closedError();
    return message.value as Out;
  }

  messages({
    signal,
    keepOpen = false,
  }: Wait & { readonly keepOpen?: boolean | undefined } = {}): AsyncIterable<Message<Out>> {
    return { [Symbol.asyncIterator]: () => this.#iterator((message) => message as Message<Out>, signal, keepOpen) };
  }

  [Symbol.asyncIterator](): AsyncIterator<Out, void> {
    return this.#iterator((message) => message.value as Out, undefined, false);
  }

  protected end(): Promise<void> {
    return this.#release();
  }

  protected closedError(): MosaikError {
    return mosaikError("closed", "the consumer is closed");
  }

  #iterator<T>(
    pick: (message: Message<unknown>) => T,
    signal: AbortSignal | undefined,
    keepOpen: boolean,
  ): AsyncIterator<T, void> {
    const { inbox } = this.#node;
    const owner = {};
    let isDone = false;
    const resultOf = (message: Message<unknown> | undefined): IteratorResult<T, void> =>
      message === undefined ? { done: true, value: undefined } : { done: false, value: pick(message) };
    return {
      next: () => {
        if (isDone) return Promise.resolve(resultOf(undefined));
        // What is here already needs no waiting.
        const message = signal?.aborted === true ? undefined : inbox.take();
        return message === undefined ? inbox.read(signal, owner).then(resultOf) : Promise.resolve(resultOf(message));
      },
      return: async () => {
        isDone = true;
        // A read that waits would take a value that nobody hears of.
        inbox.endReads(owner);
        if (!keepOpen) await this.close();
        return { done: true, value: undefined };
      },
    };
  }
}

/** The same, but the next value is waited for until `signal` aborts, and no longer. */
function untilAborted<T>(values: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  const iterator = values[Symbol.asyncIterator]();
  const leave = async (): Promise<void> => void (await iterator.return?.());
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        signal.throwIfAborted();
        // One that is idle may answer neither this, nor that we leave it.
        const endListening = whenAborted(signal, () => void leave().catch(() => {}));
        try {
          return await orAborted(iterator.next(), signal);
        } finally {
          endListening();
        }
      },
      return: async () => {
        const left = leave();
        left.catch(() => {});
        await orAborted(left, signal);
        return { done: true, value: undefined };
      },
    }),
  };
}
