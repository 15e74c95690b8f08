import { type MosaikError, mosaikError, orAborted, type Wait } from "../env/index.ts";
import type { ConsumerNode } from "./consumer.ts";
import type { ProducerNode } from "./producer.ts";
import type { Channel, Consumer, Message, Producer, StreamWhen } from "./types.ts";

/** The end of a handle: its own, or that of what it is a handle of, whichever comes first. Told once. */
abstract class Ending {
  readonly closed: Promise<MosaikError | undefined>;
  #resolve: (cause: MosaikError | undefined) => void = () => {};
  #closing: Promise<void> | undefined;

  constructor(whole: { readonly closed: Promise<MosaikError | undefined> }) {
    this.closed = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    void whole.closed.then(this.#resolve);
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  close({ signal }: Wait = {}): Promise<void> {
    this.#closing ??= this.end(signal).then(() => this.#resolve(undefined));
    return orAborted(this.#closing, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected abstract end(signal: AbortSignal | undefined): Promise<void>;
}

/** One of several handles of a producer. What it sends after its own end is refused, also if others are open. */
export class ProducerHandle<In> extends Ending implements Producer<In> {
  readonly when: StreamWhen;
  readonly #node: ProducerNode;
  readonly #release: (signal: AbortSignal | undefined) => Promise<void>;

  /** @param release - this handle is done with it */
  constructor(node: ProducerNode, release: (signal: AbortSignal | undefined) => Promise<void>) {
    super(node);
    this.#node = node;
    this.#release = release;
    this.when = node.presence.when;
  }

  get isOnline(): boolean {
    return !this.isClosed && this.#node.presence.isOnline;
  }
  get consumers(): readonly Channel[] {
    return this.#node.channels;
  }

  async send(value: In, { signal }: Wait = {}): Promise<void> {
    this.#assertOpen();
    await this.#node.send(value, signal);
  }

  async sendMany(values: Iterable<In> | AsyncIterable<In>, { signal }: Wait = {}): Promise<void> {
    // Most values are taken at once: then nothing is awaited, but between turns.
    const send = (value: In): Promise<void> | undefined => {
      this.#assertOpen();
      return this.#node.send(value, signal);
    };
    if (Symbol.asyncIterator in values) {
      for await (const value of values) await send(value);
      return;
    }
    for (const value of values) {
      const waiting = send(value);
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

  #assertOpen(): void {
    if (this.isClosed) throw mosaikError("closed", "the producer is closed", { outcome: "not-applied" });
  }
}

export class ConsumerHandle<Out> extends Ending implements Consumer<Out> {
  readonly when: StreamWhen;
  readonly #node: ConsumerNode;
  readonly #release: () => Promise<void>;

  constructor(node: ConsumerNode, release: () => Promise<void>) {
    super(node);
    this.#node = node;
    this.#release = release;
    this.when = node.presence.when;
  }

  get isOnline(): boolean {
    return this.#node.presence.isOnline;
  }
  get producers(): readonly Channel[] {
    return this.#node.channels;
  }

  async receive({ signal }: Wait = {}): Promise<Out> {
    const message = await this.#node.inbox.read(signal);
    if (message === undefined) throw mosaikError("closed", "the consumer is closed");
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

  #iterator<T>(
    pick: (message: Message<unknown>) => T,
    signal: AbortSignal | undefined,
    keepOpen: boolean,
  ): AsyncIterator<T, void> {
    const { inbox } = this.#node;
    let isDone = false;
    const resultOf = (message: Message<unknown> | undefined): IteratorResult<T, void> =>
      message === undefined ? { done: true, value: undefined } : { done: false, value: pick(message) };
    return {
      next: () => {
        if (isDone) return Promise.resolve(resultOf(undefined));
        // What is here already needs no waiting.
        const message = signal?.aborted === true ? undefined : inbox.take();
        return message === undefined ? inbox.read(signal).then(resultOf) : Promise.resolve(resultOf(message));
      },
      return: async () => {
        isDone = true;
        if (!keepOpen) await this.close();
        return { done: true, value: undefined };
      },
    };
  }
}
