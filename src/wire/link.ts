import { assert } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { DecodeError } from "./byte-reader.ts";
import type { ChannelSink, FrameChannel } from "./channel.ts";
import { FRAME_HEADER_BYTES, KIND } from "./frames.ts";
import { CLOSE, type Link, type LinkClose, type LinkHandlers } from "./types.ts";

/** What the hellos settled. */
export interface Agreement {
  readonly protocol: string;
  readonly isInitiator: boolean;
  readonly version: number;
  readonly features: number;
  readonly remotePayload: Uint8Array;
  readonly frameBytesMax: number;
  readonly highWaterBytes: number;
}

/** The link of both ends. Made by a handshake, paused; `start` lets the frames come. */
export class FramedLink implements Link, ChannelSink {
  readonly remoteId: PeerId;
  readonly remoteAddress: string;
  readonly protocol: string;
  readonly isInitiator: boolean;
  readonly version: number;
  readonly features: number;
  readonly remotePayload: Uint8Array;
  readonly closed: Promise<LinkClose>;
  readonly #channel: FrameChannel;
  readonly #frameBytesMax: number;
  #handlers: LinkHandlers | undefined;
  /** It ended before `start`. */
  #untold: LinkClose | undefined;

  constructor(channel: FrameChannel, agreement: Agreement) {
    this.remoteId = channel.stream.remoteId;
    this.remoteAddress = channel.stream.remoteAddress;
    this.protocol = agreement.protocol;
    this.isInitiator = agreement.isInitiator;
    this.version = agreement.version;
    this.features = agreement.features;
    this.remotePayload = agreement.remotePayload;
    this.closed = channel.closed;
    this.#channel = channel;
    this.#frameBytesMax = agreement.frameBytesMax;
    channel.pause();
    channel.handOver(this, agreement);
  }

  get isOpen(): boolean {
    return this.#channel.isOpen;
  }

  get sentBytes(): number {
    return this.#channel.sentBytes;
  }

  get queuedBytes(): number {
    return this.#channel.queuedBytes;
  }

  exportKey(label: string, context: Uint8Array, length: number): Uint8Array {
    return this.#channel.stream.exportKey(label, context, length);
  }

  start(handlers: LinkHandlers): void {
    assert(this.#handlers === undefined, "a link starts once");
    this.#handlers = handlers;
    const end = this.#untold;
    if (end === undefined) this.#channel.resume();
    else this.#channel.defer(() => handlers.onClose(end));
  }

  send(kind: number, payload: Uint8Array): boolean {
    assert(kind >= KIND.first && kind <= 0xff, "a kind of a protocol");
    assert(payload.length <= this.#frameBytesMax, "a frame within the limit of its protocol");
    return this.#channel.send(kind, payload);
  }

  sendEncoded(frame: Uint8Array): boolean {
    assert((frame[FRAME_HEADER_BYTES - 1] as number) >= KIND.first, "a kind of a protocol");
    assert(frame.length - FRAME_HEADER_BYTES <= this.#frameBytesMax, "a frame within the limit of its protocol");
    return this.#channel.sendEncoded(frame);
  }

  pause(): void {
    assert(this.#handlers !== undefined, "a link is started before it is paused");
    this.#channel.pause();
  }

  resume(): void {
    assert(this.#handlers !== undefined, "a link is started before it is resumed");
    this.#channel.resume();
  }

  async close(code: number, reason: string, timeoutMs?: number): Promise<void> {
    this.#channel.close(code, reason, timeoutMs);
    await this.closed;
  }

  destroy(): void {
    this.#channel.destroy({ code: CLOSE.cancelled, reason: "destroyed", by: "us" });
  }

  // ── From the channel ──

  /** @internal */
  onFrame(kind: number, payload: Uint8Array): void {
    if (kind === KIND.hello) throw new DecodeError("a second hello");
    this.#handlers?.onFrame(kind, payload);
  }

  /** @internal */
  onDrain(): void {
    this.#handlers?.onDrain?.();
  }

  /** @internal */
  onClose(close: LinkClose): void {
    if (this.#handlers === undefined) this.#untold = close;
    else this.#handlers.onClose(close);
  }
}
