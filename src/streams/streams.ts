import { isDeepStrictEqual } from "node:util";
import { badOption, LIMITS, type MosaikError, mosaikError, Scope } from "../env/index.ts";
import { hash, UniqueId } from "../identity/index.ts";
import { LinkRefused, type ProtocolHandler } from "../transport/index.ts";
import { CLOSE, messagePack } from "../wire/index.ts";
import { ConsumerNode } from "./consumer.ts";
import type { StreamContext } from "./context.ts";
import { newStreamCounters } from "./counters.ts";
import { runtimeOf, type StreamRuntime } from "./define.ts";
import { ConsumerHandle, ProducerHandle } from "./handles.ts";
import { localLinks } from "./local-link.ts";
import { decodeOpening, STREAM_PROTOCOL } from "./messages.ts";
import { type CheckedProducerOptions, checkConsumerOptions, checkProducerOptions } from "./options.ts";
import { ProducerNode } from "./producer.ts";
import type { StreamLink } from "./stream-link.ts";
import type { Consumer, ConsumerOptions, Producer, ProducerOptions, StreamDefinition, Streams } from "./types.ts";

export type StreamsOptions = Pick<StreamContext, "env" | "logger" | "endpoint" | "directory" | "onBug"> & {
  readonly networkId: UniqueId;
};

interface Produced {
  readonly node: ProducerNode;
  readonly runtime: StreamRuntime;
  readonly options: CheckedProducerOptions;
  handles: number;
  closing: Promise<void> | undefined;
}

/** The streams of one network on this node: opens, shares and finds them. */
export class StreamRegistry implements Streams {
  readonly #context: StreamContext;
  readonly #networkId: UniqueId;
  readonly #produced = new Map<UniqueId, Produced>();
  readonly #consumers = new Set<ConsumerNode>();
  /** Of links within this node. */
  readonly #scope: Scope;
  #isClosed = false;

  /** Before the endpoint listens. */
  constructor({ networkId, ...shared }: StreamsOptions) {
    this.#networkId = networkId;
    this.#scope = new Scope(shared.env, shared.onBug);
    this.#context = {
      ...shared,
      counters: newStreamCounters(),
      dialLocal: (stream, opening) => this.#dialLocal(stream, opening),
    };
    shared.endpoint.handle(STREAM_PROTOCOL, this.#protocol());
  }

  produce<In, Out, Criteria>(
    stream: StreamDefinition<In, Out, Criteria>,
    options: ProducerOptions<In> = {},
  ): Producer<In> {
    const runtime = runtimeOf(stream as unknown as StreamDefinition<never, unknown, never>);
    const checked = checkProducerOptions(options);
    this.#assertOpen();
    const id = this.#idOf(runtime.name);
    const known = this.#produced.get(id);
    if (known?.closing !== undefined) throw stillClosing(runtime.name);
    if (known !== undefined) {
      assertSame(known, runtime, checked);
      return this.#handle(known);
    }
    const node = new ProducerNode({ context: this.#context, stream: id, runtime, options: checked });
    const produced: Produced = { node, runtime, options: checked, handles: 0, closing: undefined };
    this.#produced.set(id, produced);
    try {
      // Only now, since a consumer of this node asks for it at once.
      this.#context.directory.advertiseStream(id);
    } catch (cause) {
      this.#produced.delete(id);
      void node.close();
      throw cause;
    }
    return this.#handle(produced);
  }

  consume<In, Out, Criteria>(
    stream: StreamDefinition<In, Out, Criteria>,
    options: ConsumerOptions<Criteria> = {},
  ): Consumer<Out> {
    const runtime = runtimeOf(stream as unknown as StreamDefinition<never, unknown, never>);
    const checked = checkConsumerOptions(options);
    const criteria = options.criteria === undefined ? undefined : encodeCriteria(options.criteria);
    this.#assertOpen();
    if (this.#consumers.size >= LIMITS.consumersPerNetworkMax) {
      const message = `a network has at most ${LIMITS.consumersPerNetworkMax} consumers`;
      throw mosaikError("overloaded", message, { hidden: { rejected: [runtime.name] } });
    }
    const context = this.#context;
    const node = new ConsumerNode({ context, stream: this.#idOf(runtime.name), runtime, options: checked, criteria });
    this.#consumers.add(node);
    return new ConsumerHandle<Out>(node, async () => {
      await node.close();
      this.#consumers.delete(node);
    });
  }

  /** Plain numbers, for metrics: of all links, those that ended and those that are open. */
  get figures() {
    const figures = {
      ...this.#context.counters,
      producers: this.#produced.size,
      consumers: this.#consumers.size,
      producerConsumers: 0,
      consumerProducers: 0,
    };
    for (const { node } of this.#produced.values()) {
      for (const { items, bytes, missed } of node.channels) {
        figures.producerConsumers++;
        figures.itemsSent += items;
        figures.bytesSent += bytes;
        figures.itemsDropped += missed;
      }
    }
    for (const { producerCount } of this.#consumers) figures.consumerProducers += producerCount;
    return figures;
  }

  get areOnline(): boolean {
    return [...this.#produced.values(), ...[...this.#consumers].map((node) => ({ node }))].every(
      ({ node }) => node.presence.isOnline,
    );
  }

  /** Resolves once all that is open now is online. */
  async whenOnline(signal: AbortSignal | undefined): Promise<void> {
    const open = [...[...this.#produced.values()].map(({ node }) => node), ...this.#consumers];
    // One that is closed meanwhile is not waited for.
    const online = async ({ presence }: ProducerNode | ConsumerNode): Promise<void> => {
      try {
        await presence.when.online({ signal });
      } catch (cause) {
        if (!presence.isClosed) throw cause;
      }
    };
    await Promise.all(open.map(online));
  }

  /** Plain JSON, for people. */
  inspect(): { readonly producers: readonly object[]; readonly consumers: readonly object[] } {
    return {
      producers: [...this.#produced.values()].map(({ node }) => node.inspect()),
      consumers: [...this.#consumers].map((node) => node.inspect()),
    };
  }

  /** What is queued is sent, for a while. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closing = [...this.#produced].map(([id, produced]) => this.#closeProduced(id, produced, undefined));
    await Promise.all([...closing, ...[...this.#consumers].map((node) => node.close())]);
    await this.#scope.close();
  }

  #handle<In>(produced: Produced): Producer<In> {
    produced.handles++;
    return new ProducerHandle<In>(produced.node, async (signal) => {
      produced.handles--;
      if (produced.handles === 0) await this.#closeProduced(this.#idOf(produced.runtime.name), produced, signal);
    });
  }

  #closeProduced(id: UniqueId, produced: Produced, signal: AbortSignal | undefined): Promise<void> {
    produced.closing ??= produced.node.close(signal).then(() => void this.#produced.delete(id));
    return produced.closing;
  }

  #idOf(name: string): UniqueId {
    return UniqueId.derive(this.#networkId, UniqueId.toBytes(hash(name)));
  }

  #assertOpen(): void {
    if (this.#isClosed) throw mosaikError("closed", "the network is closed");
  }

  #protocol(): ProtocolHandler {
    const notFound = { refuse: CLOSE.streamNotFound, reason: "no producer of this stream here" };
    return {
      frameBytesMax: LIMITS.streamFrameBytesMax,
      highWaterBytes: LIMITS.consumerLinkBytes,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: ({ payload }, { remoteId }) => {
        const opening = decodeOpening(payload);
        return this.#produced.get(opening.stream)?.node.accept(opening, remoteId) ?? notFound;
      },
      onLink: (link) => {
        const opening = decodeOpening(link.remotePayload);
        const node = this.#produced.get(opening.stream)?.node;
        if (node !== undefined) return node.onLink(link, opening);
        link.start({ onFrame: () => {}, onClose: () => {} });
        void link.close(notFound.refuse, notFound.reason);
      },
    };
  }

  #dialLocal(stream: UniqueId, payload: Uint8Array): StreamLink {
    const { onBug, directory } = this.#context;
    const opening = decodeOpening(payload);
    const node = this.#produced.get(stream)?.node;
    const verdict = node?.accept(opening, directory.selfId) ?? {
      refuse: CLOSE.streamNotFound,
      reason: "no producer of this stream here",
    };
    if ("refuse" in verdict) throw new LinkRefused({ code: verdict.refuse, reason: verdict.reason, by: "peer" });
    const [ours, theirs] = localLinks({ peerId: directory.selfId, scope: this.#scope, onBug });
    node?.onLink(theirs, opening);
    return ours;
  }
}

function encodeCriteria(criteria: unknown): Uint8Array {
  const bytes = messagePack.encode(criteria);
  if (bytes.length <= LIMITS.streamCriteriaBytesMax) return bytes;
  throw badOption("criteria", `has ${bytes.length} bytes of at most ${LIMITS.streamCriteriaBytesMax}, encoded`);
}

function assertSame(known: Produced, runtime: StreamRuntime, options: CheckedProducerOptions): void {
  const { name } = runtime;
  const another = differing(partsOf(known.runtime), partsOf(runtime), Object.is);
  if (another !== "") throw conflict(name, `another definition (${another})`);
  const other = differing(known.options, options, isDeepStrictEqual);
  if (other !== "") throw conflict(name, `other options (${other})`);
}

/** By which definitions are compared. */
function partsOf({ schema, matches, codec }: StreamRuntime): object {
  return { schema, matches, codec: codec.name };
}

/** The names of the fields that are not the same. */
function differing(one: object, two: object, areSame: (a: unknown, b: unknown) => boolean): string {
  const names = Object.keys(one);
  return names.filter((name) => !areSame(Reflect.get(one, name), Reflect.get(two, name))).join(", ");
}

function conflict(name: string, open: string): MosaikError {
  return mosaikError("definition-conflict", `a producer of \`${name}\` is open here with ${open}`, {
    details: { name },
  });
}

function stillClosing(name: string): MosaikError {
  return mosaikError(
    "closed",
    `the producer of \`${name}\` is still closing here; await its close() before opening another`,
  );
}
