import type { Peer } from "../discovery/index.ts";
import { LIMITS, type MosaikError, mosaikError, Scope } from "../env/index.ts";
import { type PeerId, UniqueId } from "../identity/index.ts";
import { LinkRefused } from "../transport/index.ts";
import { CLOSE, DecodeError, type LinkClose, type Validated } from "../wire/index.ts";
import { candidateOf } from "./candidates.ts";
import type { StreamContext } from "./context.ts";
import { CoreDriver, type Performed } from "./core-driver.ts";
import { checkArrived, type StreamRuntime } from "./define.ts";
import { Inbox, Intake, InvalidValue, Progresses } from "./delivery/index.ts";
import { Sources, type SourcesEffect } from "./matching/index.ts";
import { encodeOpening, FRAME, STREAM_PROTOCOL } from "./messages.ts";
import type { CheckedConsumerOptions } from "./options.ts";
import { Presence } from "./presence.ts";
import type { StreamLink } from "./stream-link.ts";
import { TicketJudge } from "./ticket-judge.ts";
import type { Channel } from "./types.ts";

/** One producer that we dial, or hear. */
interface Source {
  readonly id: PeerId;
  readonly controller: AbortController;
  readonly intake: Intake;
  link: StreamLink | undefined;
  /** It admitted us. */
  sinceUs: number | undefined;
}

export interface ConsumerNodeOptions {
  readonly context: StreamContext;
  readonly stream: UniqueId;
  readonly runtime: StreamRuntime;
  readonly options: CheckedConsumerOptions;
  /** Encoded. */
  readonly criteria: Uint8Array | undefined;
}

/**
 * A consumer: links to the producers that `Sources` picks, and what comes by them.
 *
 * Backpressure: while the inbox is full, frames wait in their intakes, one each, and these links are not read.
 */
export class ConsumerNode {
  readonly inbox: Inbox;
  /** Never rejects. */
  readonly closed: Promise<MosaikError | undefined>;
  #resolveClosed: (cause: MosaikError | undefined) => void = () => {};
  readonly presence: Presence;
  readonly #context: StreamContext;
  readonly #o: ConsumerNodeOptions;
  readonly #scope: Scope;
  readonly #sources: Sources;
  readonly #driver: CoreDriver<SourcesEffect>;
  readonly #linked = new Map<PeerId, Source>();
  /** How far we came with producers that we have no link with now. */
  readonly #progress = new Progresses();
  readonly #unsubscribe: readonly (() => void)[];
  #isClosed = false;
  #hasWarned = false;
  /** Values that the schema refused in this turn: they take no room in the inbox. */
  #refused = 0;
  #closing: Promise<void> | undefined;

  constructor(options: ConsumerNodeOptions) {
    const { context, runtime, options: checked } = options;
    const { env, directory } = context;
    const { require } = checked;
    this.#o = options;
    this.#context = context;
    this.#scope = new Scope(env, context.onBug);
    const judge = new TicketJudge(env, context.logger, require.ticket);
    this.#sources = new Sources({
      rule: require,
      needsTickets: judge.isNeeded,
      maxProducers: checked.maxProducers,
      prefer: checked.prefer,
      random: () => env.random.uint32() / 2 ** 32,
    });
    this.#driver = new CoreDriver({
      context,
      scope: this.#scope,
      core: this.#sources,
      judge,
      whose: { stream: runtime.name, end: "consumer" },
      perform: (effect) => this.#perform(effect),
    });
    this.inbox = new Inbox(checked.maxQueued, () => this.#readOn());
    const measure = (): (() => void) => directory.measure(({ streams }) => streams.includes(options.stream));
    this.presence = new Presence({
      whose: `the consumer of \`${runtime.name}\``,
      onlineWhen: checked.onlineWhen,
      connected: () => this.#accepted(),
      measure,
    });
    this.#unsubscribe = [
      directory.onChange(({ entry }) => this.#onPeer(entry.id)),
      directory.onSelfChange(() => {
        this.#sources.onSelfChanged(this.#driver.nowMs);
        this.#onPeer(directory.selfId);
      }),
      ...(require.maxRttMs === undefined ? [] : [measure()]),
    ];
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    for (const { id } of directory.producing(options.stream)) this.#look(id);
    this.#look(directory.selfId);
    this.#driver.settle();
  }

  get channels(): readonly Channel[] {
    return [...this.#accepted()].map(({ id, peer, intake, sinceUs }) => ({
      peer,
      queued: this.inbox.countOf(id),
      items: intake.items,
      bytes: intake.bytes,
      missed: intake.missed,
      invalid: intake.invalid,
      uptimeMs: (this.#context.env.clock.monotonicUs() - sinceUs) / 1_000,
    }));
  }

  /** Those that admitted us. */
  get producerCount(): number {
    return [...this.#accepted()].length;
  }

  inspect(): object {
    return {
      stream: this.#o.stream,
      name: this.#o.runtime.name,
      queued: this.inbox.size,
      producers: this.#sources.inspect(),
    };
  }

  /** What was not read is dropped. Ends within `LIMITS.closeTimeoutMs`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#driver.end();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.inbox.end();
    this.presence.close();
    const closing = [...this.#linked.values()].map((source) =>
      this.#end(source, CLOSE.success, "the consumer is closed"),
    );
    await Promise.all([...closing, this.#scope.close(mosaikError("closed", "the consumer is closed"))]);
    this.#resolveClosed(undefined);
  }

  *#accepted(): Iterable<{
    id: PeerId;
    peer: Peer;
    intake: Intake;
    sinceUs: number;
  }> {
    for (const { id, intake, sinceUs } of this.#linked.values()) {
      const peer = this.#context.directory.peer(id) ?? this.#sources.peer(id);
      if (sinceUs !== undefined && peer !== undefined) yield { id, peer, intake, sinceUs };
    }
  }

  // ── Who produces ──

  #onPeer(id: PeerId): void {
    if (this.#isClosed) return;
    this.#look(id);
    this.#driver.settle();
    this.presence.update();
  }

  #look(id: PeerId): void {
    const candidate = candidateOf(this.#context.directory, id);
    // A producer that closes says so in its entry, and then by its link, after what it sent: only that is the end.
    const isSource = this.#linked.has(id) || this.#produces(id);
    if (!isSource) this.#sources.onGone(id, this.#driver.nowMs);
    else if (candidate === undefined) this.#sources.onLost(id, this.#driver.nowMs);
    else this.#sources.onPeer(candidate, this.#driver.nowMs);
  }

  #produces(id: PeerId): boolean {
    const { directory } = this.#context;
    const entry = id === directory.selfId ? directory.self : directory.get(id);
    return entry?.streams.includes(this.#o.stream) ?? false;
  }

  #perform(effect: Performed<SourcesEffect>): void {
    const { id } = effect;
    if (effect.type === "connect") this.#connect(id);
    else if (effect.type === "introduce") this.#context.directory.introduce(id);
    else if (effect.type === "disconnect") {
      const source = this.#linked.get(id);
      if (source !== undefined) void this.#end(source, effect.code, effect.reason);
      this.presence.update();
    }
  }

  // ── Links ──

  #connect(id: PeerId): void {
    const { runtime, options } = this.#o;
    const source: Source = {
      id,
      controller: new AbortController(),
      link: undefined,
      sinceUs: undefined,
      intake: new Intake({
        from: id,
        read: (reader, bytes) => runtime.codec.read(reader, bytes),
        validate: (value) => this.#validated(value),
        onInvalid: options.onInvalid,
        before: this.#progress.of(id, this.#driver.nowMs),
      }),
    };
    this.#linked.set(id, source);
    this.#scope.spawn(async () => {
      try {
        this.#adopt(source, await this.#dial(source));
      } catch (cause) {
        if (this.#linked.get(id) === source) this.#onClosed(source, closeOf(cause));
      }
    });
  }

  /** The first that does not fit is told to the log: all may be so, and the program would just wait. */
  #validated(value: unknown): Validated<unknown> {
    const { runtime } = this.#o;
    const checked = checkArrived(runtime, value);
    if (!checked.ok && !this.#hasWarned) {
      this.#hasWarned = true;
      const [issue] = checked.issues;
      this.#context.logger.warn({ stream: runtime.name, issue: issue?.message }, "a value does not fit its schema");
    }
    return checked;
  }

  async #dial({ id, controller }: Source): Promise<StreamLink> {
    const { endpoint, directory, dialLocal } = this.#context;
    const { stream, runtime, criteria } = this.#o;
    const opening = encodeOpening({ stream, codec: runtime.codec.name, criteria });
    if (id === directory.selfId) return dialLocal(stream, opening);
    const addresses = directory.get(id)?.addresses ?? [];
    return endpoint.dial({ id, addresses }, STREAM_PROTOCOL, { signal: controller.signal, payload: () => opening });
  }

  #adopt(source: Source, link: StreamLink): void {
    const isWanted = this.#linked.get(source.id) === source && !this.#isClosed;
    source.link = link;
    link.start({
      onFrame: (kind, payload) => this.#onFrame(source, kind, payload),
      onClose: (close) => this.#onClosed(source, close),
    });
    if (!isWanted) void link.close(CLOSE.cancelled, "not wanted any more");
  }

  #onFrame(source: Source, kind: number, payload: Uint8Array): void {
    if (this.#linked.get(source.id) !== source) return;
    if (kind === FRAME.values) {
      source.intake.onValues(payload);
      this.#read(source);
    } else if (kind === FRAME.accept) {
      source.intake.onAccept(payload);
      source.sinceUs = this.#context.env.clock.monotonicUs();
      this.#sources.onAccepted(source.id, this.#driver.nowMs);
      this.#driver.settle();
      this.presence.update();
    } else throw new DecodeError(`a frame of kind ${kind}`);
  }

  /** As much of its frame as there is room for, and as one turn should take. @throws DecodeError */
  #read(source: Source): void {
    const { intake, link } = source;
    const { counters } = this.#context;
    const before = { items: intake.items, bytes: intake.bytes, invalid: intake.invalid };
    try {
      while (this.inbox.hasRoom && !this.#isResting) {
        const { invalid } = intake;
        const arrival = intake.next(LIMITS.streamRefusedBeforeRestMax - this.#refused);
        this.#countRefused(intake.invalid - invalid);
        if (arrival === undefined) break;
        this.inbox.push(arrival);
      }
    } catch (cause) {
      if (!(cause instanceof InvalidValue)) {
        counters.itemsInvalid++;
        throw cause;
      }
      void link?.close(CLOSE.protocolViolation, cause.message);
    } finally {
      counters.itemsReceived += intake.items - before.items;
      counters.bytesReceived += intake.bytes - before.bytes;
      counters.itemsInvalid += intake.invalid - before.invalid;
    }
    if (intake.hasFrame || this.#isResting) link?.pause();
  }

  /** So many were refused in this turn that nothing more is read in it, whoever sent it. */
  get #isResting(): boolean {
    return this.#refused >= LIMITS.streamRefusedBeforeRestMax;
  }

  #countRefused(count: number): void {
    if (count === 0) return;
    if (this.#refused === 0) {
      this.#scope.after(0, () => {
        const wasResting = this.#isResting;
        this.#refused = 0;
        if (wasResting) this.#readOn();
      });
    }
    this.#refused += count;
  }

  /** There is room again, or a turn: the frames that wait, then those after them. */
  #readOn(): void {
    for (const source of [...this.#linked.values()]) {
      if (!source.intake.hasFrame) {
        source.link?.resume();
        continue;
      }
      // Each in its turn the first.
      this.#linked.delete(source.id);
      this.#linked.set(source.id, source);
      try {
        this.#read(source);
        if (!source.intake.hasFrame && !this.#isResting) source.link?.resume();
      } catch (cause) {
        if (!(cause instanceof DecodeError)) throw cause;
        source.link?.resume();
        void source.link?.close(cause.closeCode, cause.message);
      }
      if (!this.inbox.hasRoom || this.#isResting) return;
    }
  }

  #onClosed(source: Source, close: Pick<LinkClose, "code" | "by">): void {
    if (this.#linked.get(source.id) !== source) return;
    this.#forget(source);
    if (this.#isClosed) return;
    const peer = UniqueId.short(source.id);
    this.#context.logger.debug({ peer, stream: this.#o.runtime.name, ...close }, "a link to a producer ended");
    this.#sources.onClosed(source.id, close, this.#driver.nowMs);
    if (!this.#produces(source.id)) this.#look(source.id);
    this.#driver.settle();
    this.presence.update();
  }

  /** We end it. */
  #end(source: Source, code: number, reason: string): Promise<void> {
    this.#forget(source);
    source.controller.abort(mosaikError("closed", reason));
    return source.link?.close(code, reason) ?? Promise.resolve();
  }

  #forget({ id, intake }: Source): void {
    this.#linked.delete(id);
    if (intake.progress !== undefined) this.#progress.keep(id, intake.progress, this.#driver.nowMs);
  }
}

function closeOf(cause: unknown): Pick<LinkClose, "code" | "by"> {
  return cause instanceof LinkRefused ? cause.close : { code: CLOSE.unexpectedClose, by: "none" };
}
