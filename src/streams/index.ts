/**
 * Streams: typed values from producers to consumers, found by name, tags and rules; at most once, in order, with backpressure.
 *
 * A node that produces a stream says so in its entry. Consumers pick among those that do (`matching/`), dial them, one link each, and are let in or
 * not. From then on the producer encodes each value once, compares it once with each distinct criteria, and hands it to the queues of the consumers it
 * fits (`delivery/`); a queue that is full is dealt with as the producer's `lagging` says. Values carry sequence numbers, so a consumer is told how
 * many it missed. A consumer that is full does not read its links.
 *
 * `matching` and `delivery` are pure; `ProducerNode` and `ConsumerNode` drive them, `StreamRegistry` opens both. docs/design/streams.md has frames,
 * states and limits.
 */
export { defineStream } from "./define.ts";
export { encodeAccept, encodeOpening, FRAME, STREAM_PROTOCOL } from "./messages.ts";
export { StreamRegistry, type StreamsOptions } from "./streams.ts";
export type {
  Channel,
  Consumer,
  ConsumerOptions,
  Lagging,
  Message,
  Producer,
  ProducerOptions,
  StreamDefinition,
  Streams,
  StreamWhen,
} from "./types.ts";
