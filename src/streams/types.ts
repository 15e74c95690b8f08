import type { AdmissionRule, Peer, PeerCount } from "../discovery/index.ts";
import type { Conditions, Handle, Options, Wait } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";

/** Producers send `In`, consumers get `Out`. With a schema both are inferred; without, state one type, or get `unknown`. */
export interface StreamDefinition<In, Out, Criteria> {
  readonly name: string;
  readonly "~types"?: [(value: In) => void, Out, Criteria];
}

/** What becomes of values for a consumer whose queue at the producer is full. */
export type Lagging = "disconnect" | "drop-oldest" | "drop-newest" | "wait";

export type ProducerOptions<In> = Options<{
  /** Whom to serve. Default: everybody. */
  require: AdmissionRule;
  /** Default 4,096. */
  maxConsumers: number;
  /** Values that wait for one consumer, beside the 512 KiB or so that its link holds. Default 1,024. */
  maxQueued: number;
  /** Bytes of them, encoded. Default 8 MiB. One value may wait alone, however large; with `wait`, one value more. */
  maxQueuedBytes: number;
  /** When a consumer's queue is full. Default `disconnect`. With `wait` the slowest consumer sets the pace for all. */
  lagging: Lagging;
  /** Default: one consumer. Until then `send` waits. */
  onlineWhen: PeerCount;
  /**
   * Told of values that no consumer's criteria fit, or that nobody was there for; not of those that a full queue lost. Synchronous; what it throws does not
   * concern the sender, whose value was taken.
   */
  undelivered: (value: In) => void;
}>;

export type ConsumerOptions<Criteria> = Options<{
  /** Whom to hear. Default: everybody. */
  require: AdmissionRule;
  /** What the producer's `matches` compares values with; without one it has no effect. Default: all values. At most 4 KiB, encoded. */
  criteria: Criteria;
  /** Keeps the best by `prefer` (higher is better), and moves when a clearly better one appears. Default: all. */
  maxProducers: number;
  prefer: (peer: Peer) => number;
  /** When full, links are not read and the producers' `lagging` decides. Default 1,024. */
  maxQueued: number;
  /** What the schema refuses: left out and counted (default), or the end of that channel. */
  onInvalid: "skip" | "disconnect";
  /** Default: `{ minimumOf: 0 }`, so at once. */
  onlineWhen: PeerCount;
}>;

export interface Streams {
  /**
   * Opens a producer. Several handles of one stream on a node share it, and its options: functions among them, and schemas, have to be the very same.
   *
   * @throws `bad-option`; `definition-conflict`: it is open here with another definition, or other options; `too-large`: this node has too many;
   * `closed`, also while a former one is still closing
   */
  produce<In, Out, Criteria>(stream: StreamDefinition<In, Out, Criteria>, options?: ProducerOptions<In>): Producer<In>;
  /** Opens a consumer, with links and a queue of its own. @throws `bad-option`, `not-encodable` (`criteria`), `overloaded`, `closed` */
  consume<In, Out, Criteria>(
    stream: StreamDefinition<In, Out, Criteria>,
    options?: ConsumerOptions<Criteria>,
  ): Consumer<Out>;
}

/** One link of a producer with a consumer, as either end sees it. Counts are of this link. */
export type Channel = Readonly<{
  peer: Peer;
  /** Values that wait here: for the link at a producer, for the program at a consumer. */
  queued: number;
  /** Values that left, or came. */
  items: number;
  /** Their bytes, encoded. */
  bytes: number;
  /** Values that this consumer wanted and does not get. */
  missed: number;
  /** Values that came, and that the schema refused. */
  invalid: number;
  uptimeMs: number;
}>;

export type StreamWhen = Conditions<"online" | "offline"> & {
  /** Resolves once so many fit (default: one). @throws `closed` */
  subscribed(rule?: PeerCount & Wait): Promise<void>;
};

/**
 * One of the handles of a producer. The last one that closes sends what is queued, for at most 5 s, and ends the links; the others just end what waits
 * through them.
 */
export interface Producer<In> extends Handle {
  readonly isOnline: boolean;
  readonly consumers: readonly Channel[];
  readonly when: StreamWhen;
  /**
   * Resolves when queued, not when arrived: delivery is at most once. Waits while offline or full.
   *
   * @throws `schema-rejected`, `not-encodable`, `too-large`, `overloaded` (too many calls wait) with the value in `details.rejected`; `closed`, also of
   * this handle alone while it waits; the reason of `signal`: not queued
   */
  send(value: In, options?: Wait): Promise<void>;
  /** As `send` for each, in order; an error ends it after those before. */
  sendMany(values: Iterable<In> | AsyncIterable<In>, options?: Wait): Promise<void>;
  /**
   * At once. `full`: others wait, a queue has no room (`wait`), or this turn of the event loop has taken as many as one queue holds.
   *
   * @throws as `send`
   */
  trySend(value: In): "queued" | "full" | "offline";
}

/**
 * `for await (const value of consumer)`. As with Node's streams, `break` closes it; `receive` takes one and leaves it open. Each value is given once: several
 * readers share them. `close` drops what was not read, and ends all loops.
 */
export interface Consumer<Out> extends Handle, AsyncIterable<Out> {
  readonly isOnline: boolean;
  readonly producers: readonly Channel[];
  readonly when: StreamWhen;
  /** @throws `closed`, the reason of `signal`: no value is lost by it */
  receive(options?: Wait): Promise<Out>;
  /**
   * With the origin. An abort ends the iteration with the reason of `signal`, and leaves the consumer open; `keepOpen`: so does `break`.
   */
  messages(options?: Wait & Options<{ keepOpen: boolean }>): AsyncIterable<Message<Out>>;
}

export type Message<Out> = Readonly<{
  value: Out;
  from: PeerId;
  /** Grows by one with each value of that producer that fits our criteria, for all consumers that have these. Where it begins means nothing. */
  sequence: number;
  /**
   * So many of them were lost to us just before this one, since we first heard that we are its consumer; the producer may have sent some before, in vain.
   * Not known, and so 0, is also what was sent while for more than a minute nobody at all had these criteria.
   */
  missed: number;
}>;
