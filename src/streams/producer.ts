import type { Peer } from "../discovery/index.ts";
import { atEndOfTurn, LIMITS, type MosaikError, mosaikError, Scope, whenAborted } from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import { CLOSE, DecodeError, messagePack } from "../wire/index.ts";
import { candidateOf } from "./candidates.ts";
import type { StreamContext } from "./context.ts";
import { CoreDriver, type Performed } from "./core-driver.ts";
import { checkValue, matcherOf, type StreamRuntime, writeValue } from "./define.ts";
import { Outflow, type Subscriber } from "./delivery/index.ts";
import { Admission, type AdmissionEffect } from "./matching/index.ts";
import { encodeAccept, FRAME, type Opening } from "./messages.ts";
import type { CheckedProducerOptions } from "./options.ts";
import { Presence } from "./presence.ts";
import { Sends } from "./sends.ts";
import type { StreamLink } from "./stream-link.ts";
import { TicketJudge } from "./ticket-judge.ts";
import type { Channel } from "./types.ts";

/** What a consumer asks for. Equal keys, equal criteria. */
interface Criteria {
  readonly key: string;
  readonly value: unknown;
}

/** One consumer's link. */
interface Client {
  readonly key: number;
  readonly id: PeerId;
  readonly link: StreamLink;
  readonly criteria: Criteria | undefined;
  /** Undefined: its tickets are being looked at. */
  subscriber: Subscriber | undefined;
  sinceUs: number;
}

export interface ProducerNodeOptions {
  readonly context: StreamContext;
  readonly stream: UniqueId;
  readonly runtime: StreamRuntime;
  readonly options: CheckedProducerOptions;
}

type Refusal = { readonly refuse: number; readonly reason: string };
const NOTHING = new Uint8Array(0);

/** A producer: lets consumers in, as `Admission` says, and hands them what the program sends, through `Outflow`. Shared by its handles. */
export class ProducerNode {
  readonly presence: Presence;
  readonly #context: StreamContext;
  readonly #o: ProducerNodeOptions;
  readonly #scope: Scope;
  readonly #admission: Admission<number>;
  readonly #driver: CoreDriver<AdmissionEffect<number>>;
  readonly #outflow: Outflow<unknown>;
  readonly #sends = new Sends<unknown>();
  readonly #clients = new Map<number, Client>();
  readonly #unsubscribe: readonly (() => void)[];
  #nextKey = 1;
  #isServeScheduled = false;
  /** Never rejects. */
  readonly closed: Promise<MosaikError | undefined>;
  #resolveClosed: (cause: MosaikError | undefined) => void = () => {};
  /** Nothing more is taken. */
  #end: MosaikError | undefined;
  #closing: Promise<void> | undefined;
  /** While it closes: consumers took something, or left. */
  #onMoved: () => void = () => {};

  constructor(options: ProducerNodeOptions) {
    const { context, runtime, options: checked } = options;
    const { env, directory } = context;
    const { require, maxConsumers, maxQueued, maxQueuedBytes, lagging, undelivered } = checked;
    this.#o = options;
    this.#context = context;
    this.#scope = new Scope(env, context.onBug);
    const judge = new TicketJudge(env, context.logger, require.ticket);
    this.#admission = new Admission({ rule: require, needsTickets: judge.isNeeded, maxConsumers });
    this.#driver = new CoreDriver({
      context,
      scope: this.#scope,
      core: this.#admission,
      judge,
      whose: { stream: runtime.name, end: "producer" },
      perform: (effect) => this.#perform(effect),
    });
    this.#outflow = new Outflow({
      limits: { maxQueued, maxQueuedBytes, lagging },
      matches: matcherOf(runtime, (cause) =>
        context.logger.warn({ cause, stream: runtime.name }, "a stream's `matches` threw"),
      ),
      write: (writer, value) => writeValue(runtime, writer, value),
      drawToken: () => Buffer.from(env.random.bytes(16)).toString("hex"),
      nowMs: () => this.#driver.nowMs,
      undelivered,
      onProblem: (cause) => context.logger.warn({ cause, stream: runtime.name }, "a stream's `undelivered` threw"),
      onGathered: () => atEndOfTurn(() => this.#flush()),
    });
    this.presence = new Presence({
      whose: `the producer of \`${runtime.name}\``,
      onlineWhen: checked.onlineWhen,
      connected: () => this.#served(),
      measure: () => directory.measure(() => true),
    });
    this.#unsubscribe = [
      directory.onChange(({ entry }) => this.#onPeer(entry.id)),
      directory.onSelfChange(() => this.#onPeer(directory.selfId)),
      // Any peer may come, and must be measured before it is let in.
      ...(require.maxRttMs === undefined ? [] : [directory.measure(() => true)]),
    ];
    this.#scope.every(LIMITS.streamLaneKeptMs, () => this.#outflow.sweep());
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  get channels(): readonly Channel[] {
    return [...this.#served()].map(({ peer, subscriber: { outlet }, sinceUs }) => ({
      peer,
      queued: outlet.queued,
      items: outlet.items,
      bytes: outlet.bytes,
      missed: outlet.missed,
      invalid: 0,
      uptimeMs: (this.#context.env.clock.monotonicUs() - sinceUs) / 1_000,
    }));
  }

  inspect(): object {
    const consumers = [...this.#clients.values()].map(({ id, subscriber }) => ({
      peer: id,
      isAdmitted: subscriber !== undefined,
      queued: subscriber?.outlet.queued ?? 0,
      missed: subscriber?.outlet.missed ?? 0,
    }));
    return { stream: this.#o.stream, name: this.#o.runtime.name, isOnline: this.presence.isOnline, consumers };
  }

  // ── The program's side ──

  /** At once. @throws `closed`, and what the value's check and encoding throw */
  trySend(value: unknown): "queued" | "full" | "offline" {
    this.#check(value);
    if (!this.presence.isOnline) return "offline";
    return this.#sends.isEmpty && this.#offer(value) ? "queued" : "full";
  }

  /** What `trySend` did not take, in its turn: resolves when it is queued. @throws `closed`, `overloaded`, the reason of `signal` */
  async sendLater(value: unknown, signal: AbortSignal): Promise<void> {
    if (this.#end !== undefined) throw this.#end;
    await this.#sends.wait(value, signal);
  }

  /** @throws `closed`, `schema-rejected` */
  #check(value: unknown): void {
    if (this.#end !== undefined) throw this.#end;
    checkValue(this.#o.runtime, value);
  }

  #offer(value: unknown): boolean {
    const outcome = this.#outflow.offer(value);
    if (outcome === "next-turn") this.#serveSoon();
    return outcome === "taken";
  }

  /** Whoever waits is served in a turn of its own, so that links and timers have theirs. */
  #serveSoon(): void {
    if (this.#isServeScheduled) return;
    this.#isServeScheduled = true;
    this.#scope.after(0, () => {
      this.#isServeScheduled = false;
      this.#serve();
    });
  }

  #serve(): void {
    if (this.presence.isOnline && this.#end === undefined) this.#sends.serve((value) => this.#offer(value));
  }

  #flush(): void {
    this.#outflow.flush();
    if (!this.#sends.isEmpty) this.#serveSoon();
  }

  /** Takes no more, sends what is queued, for a while, and tells the consumers. Idempotent. */
  close(signal?: AbortSignal): Promise<void> {
    this.#closing ??= this.#close(signal);
    return this.#closing;
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    const { directory } = this.#context;
    this.#end = mosaikError("closed", "the producer is closed", { outcome: "not-applied" });
    this.#driver.end();
    directory.withdrawStream(this.#o.stream);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#sends.end(this.#end);
    this.#outflow.flush();
    const drainedByMs = this.#driver.nowMs + LIMITS.streamDrainTimeoutMs;
    await this.#drained(signal);
    this.presence.close();
    // What the links hold is read before they end.
    const leftMs = signal?.aborted === true ? 0 : drainedByMs - this.#driver.nowMs;
    const timeoutMs = Math.max(LIMITS.closeTimeoutMs, leftMs);
    const closing = [...this.#clients.values()].map(({ link }) =>
      link.close(CLOSE.gracefulShutdown, "the producer is closed", timeoutMs),
    );
    await Promise.all([...closing, this.#scope.close(this.#end)]);
    this.#resolveClosed(undefined);
  }

  /** All queues are empty, or it took too long. */
  #drained(signal: AbortSignal | undefined): Promise<void> {
    const isEmpty = (): boolean =>
      [...this.#clients.values()].every(({ subscriber }) => subscriber?.outlet.isEmpty ?? true);
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        endListening();
        resolve();
      };
      const timer = this.#context.env.after(LIMITS.streamDrainTimeoutMs, done);
      const endListening = whenAborted(signal, done);
      this.#onMoved = () => {
        if (isEmpty() || signal?.aborted === true) done();
      };
      this.#onMoved();
    });
  }

  // ── Consumers ──

  /** Decides about an incoming link, as far as nothing has to be kept for it. @throws DecodeError */
  accept(opening: Opening, from: PeerId): { readonly payload: Uint8Array } | Refusal {
    const { name } = this.#o.runtime.codec;
    criteriaOf(opening);
    if (this.#end !== undefined) return this.#refused(CLOSE.gracefulShutdown, "the producer is closed");
    if (opening.codec !== name) return this.#refused(CLOSE.streamMismatch, `values are of codec ${name}`);
    if (candidateOf(this.#context.directory, from) === undefined)
      return this.#refused(CLOSE.unknownPeer, "this peer's entry is not known here");
    return { payload: NOTHING };
  }

  onLink(link: StreamLink, opening: Opening): void {
    const client: Client = {
      key: this.#nextKey++,
      id: link.remoteId,
      link,
      criteria: criteriaOf(opening),
      subscriber: undefined,
      sinceUs: 0,
    };
    link.start({
      onFrame: (kind) => {
        throw new DecodeError(`a frame of kind ${kind} from a consumer`);
      },
      onDrain: () => this.#onDrain(client),
      onClose: () => this.#remove(client),
    });
    const judgement =
      this.#end === undefined
        ? this.#admission.enter(client.key, candidateOf(this.#context.directory, client.id), this.#driver.nowMs)
        : ({ type: "refuse", code: CLOSE.gracefulShutdown, reason: "the producer is closed" } as const);
    if (judgement.type === "refuse") {
      const { refuse, reason } = this.#refused(judgement.code, judgement.reason);
      void link.close(refuse, reason);
      return;
    }
    this.#clients.set(client.key, client);
    if (judgement.type === "admit") this.#admit(client);
    this.#driver.settle();
  }

  #refused(refuse: number, reason: string): Refusal {
    this.#context.counters.consumersRejected++;
    return { refuse, reason };
  }

  #admit(client: Client): void {
    this.#outflow.afterOffer(() => {
      if (this.#clients.get(client.key) === client) this.#letIn(client);
    });
  }

  #letIn(client: Client): void {
    const { criteria, link } = client;
    const subscriber = this.#outflow.enter(link, criteria, () =>
      this.#putOut(client, CLOSE.streamTooSlow, "reads too slowly"),
    );
    if (subscriber === undefined) return this.#putOut(client, CLOSE.streamNoCapacity, "too many different criteria");
    const { lane } = subscriber;
    link.send(FRAME.accept, encodeAccept({ lane: lane.token, next: lane.chunk.next }));
    client.subscriber = subscriber;
    client.sinceUs = this.#context.env.clock.monotonicUs();
    this.#context.counters.consumersAccepted++;
    this.#onPresence();
  }

  #onDrain({ subscriber }: Client): void {
    if (subscriber === undefined) return;
    const hasRoom = this.#outflow.drained(subscriber);
    if (hasRoom && !this.#sends.isEmpty) this.#serveSoon();
    this.#onMoved();
  }

  #putOut(client: Client, code: number, reason: string): void {
    this.#outflow.afterOffer(() => {
      if (this.#clients.get(client.key) !== client) return;
      this.#context.counters.consumersRejected++;
      this.#remove(client);
      void client.link.close(code, reason);
    });
  }

  #remove(client: Client): void {
    this.#outflow.afterOffer(() => this.#forget(client));
  }

  #forget(client: Client): void {
    if (!this.#clients.delete(client.key)) return;
    this.#admission.leave(client.key, this.#driver.nowMs);
    if (client.subscriber !== undefined) {
      this.#outflow.leave(client.subscriber);
      const { items, bytes, missed } = client.subscriber.outlet;
      const { counters } = this.#context;
      counters.itemsSent += items;
      counters.bytesSent += bytes;
      counters.itemsDropped += missed;
    }
    this.#driver.settle();
    this.#onPresence();
    this.#onMoved();
  }

  #onPresence(): void {
    this.presence.update();
    // Also where it stays online: who held up the others may be gone.
    if (!this.#sends.isEmpty) this.#serveSoon();
  }

  *#served(): Iterable<{ readonly peer: Peer; readonly subscriber: Subscriber; readonly sinceUs: number }> {
    for (const { id, subscriber, sinceUs } of this.#clients.values()) {
      const peer = this.#context.directory.peer(id) ?? this.#admission.peer(id);
      if (subscriber !== undefined && peer !== undefined) yield { peer, subscriber, sinceUs };
    }
  }

  // ── Who may stay ──

  #onPeer(id: PeerId): void {
    const candidate = candidateOf(this.#context.directory, id);
    if (candidate === undefined) this.#admission.onGone(id, this.#driver.nowMs);
    else this.#admission.onPeer(candidate, this.#driver.nowMs);
    this.#driver.settle();
    this.#onPresence();
  }

  #perform(effect: Performed<AdmissionEffect<number>>): void {
    const client = this.#clients.get(effect.key);
    if (client === undefined) return;
    if (effect.type === "admit") this.#admit(client);
    else this.#putOut(client, effect.code, effect.reason);
  }
}

/** What a consumer asks for, compared by its bytes. @throws DecodeError */
function criteriaOf({ criteria }: Opening): Criteria | undefined {
  if (criteria === undefined) return undefined;
  return { key: Buffer.from(criteria).toString("latin1"), value: messagePack.decode(criteria) };
}
