import { type Env, LIMITS, type Timer } from "../env/index.ts";
import { DecodeError } from "./byte-reader.ts";
import { type Frame, FrameDecoder, KIND } from "./frames.ts";
import { decodeClose, encodeClose } from "./hello.ts";
import { KeepAlive } from "./keep-alive.ts";
import { FrameOutbox } from "./outbox.ts";
import type { ByteStream } from "./stream.ts";
import { CLOSE, type LinkClose } from "./types.ts";

const EMPTY = new Uint8Array(0);

/** Who hears what a channel receives: the handshake first, then the link. */
export interface ChannelSink {
  /** Hellos and the protocol's frames. May throw `DecodeError`; any other throw is a bug. */
  onFrame(kind: number, payload: Uint8Array): void;
  onDrain(): void;
  /** Exactly once, last, in a microtask of its own. */
  onClose(close: LinkClose): void;
}

export interface ChannelOptions {
  readonly env: Env;
  readonly stream: ByteStream;
  readonly payloadBytesMax: number;
  readonly sink: ChannelSink;
  /** A handler threw what is no `DecodeError`. The channel is destroyed already. */
  readonly onBug: (cause: unknown) => void;
}

/**
 * Frames over one stream: batches, backpressure, keep-alive and the end. It knows nothing of hellos.
 *
 * 1. `#end` is decided once. From then on nothing is sent, and nothing delivered but `onClose`, which follows at once.
 * 2. A peer's end counts where it stands: after the frames that came before it. While paused, both wait.
 * 3. After `LIMITS.framesBeforeRestMax` frames it rests for one turn: no peer keeps others from being heard.
 * 4. Once `#end` is decided the stream goes, at the latest after the time that `close` was given; then `closed` resolves. No timer is left.
 */
export class FrameChannel {
  readonly stream: ByteStream;
  /** Never rejects. */
  readonly closed: Promise<LinkClose>;
  readonly #env: Env;
  readonly #onBug: (cause: unknown) => void;
  readonly #decoder: FrameDecoder;
  readonly #outbox: FrameOutbox;
  readonly #keepAlive: KeepAlive;
  #sink: ChannelSink;
  #resolveClosed: (close: LinkClose) => void = () => {};

  #end: LinkClose | undefined;
  /** Why nothing more will come, though it was not reached in delivery yet. */
  #brokenBy: string | undefined;
  #isStreamGone = false;
  #closeTimer: Timer | undefined;
  #isPaused = false;
  #isDelivering = false;
  #owesPong = false;
  /** Frames handled since the last rest. */
  #handled = 0;
  /** While others have their turn; ends by itself. */
  #rest: Timer | undefined;

  constructor(options: ChannelOptions) {
    this.stream = options.stream;
    this.#env = options.env;
    this.#onBug = options.onBug;
    this.#sink = options.sink;
    this.#decoder = new FrameDecoder(options.payloadBytesMax, this.stream.areBytesLent);
    this.#outbox = new FrameOutbox(this.stream, () => this.#onRoom());
    this.#keepAlive = new KeepAlive(this.#env, {
      isPaused: () => this.#isPaused,
      probe: () => void this.send(KIND.ping, EMPTY),
      showLife: () => void this.send(KIND.pong, EMPTY),
      onSilence: () => this.close(CLOSE.keepAliveTimeout, `silent for ${LIMITS.keepAliveTimeoutMs} ms`),
    });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.stream.start({
      onData: (bytes) => this.#onData(bytes),
      onEnd: () => this.#onBroken("the peer ended without a word"),
      onDrain: () => this.#outbox.drained(),
      onClose: (cause) => this.#onStreamClose(cause),
    });
  }

  get isOpen(): boolean {
    return this.#end === undefined && this.#brokenBy === undefined;
  }

  get end(): LinkClose | undefined {
    return this.#end;
  }

  get sentBytes(): number {
    return this.#outbox.sentBytes;
  }

  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  /** The handshake is done: who hears from now on, and what was agreed. Keep-alive begins. */
  handOver(
    sink: ChannelSink,
    { frameBytesMax, highWaterBytes }: { frameBytesMax: number; highWaterBytes: number },
  ): void {
    this.#sink = sink;
    this.#decoder.payloadBytesMax = frameBytesMax;
    this.#outbox.highWaterBytes = highWaterBytes;
    this.#handled = 0;
    if (this.isOpen) this.#keepAlive.start();
  }

  /** False: closed, or the peer is slow and `onDrain` follows. Beyond `LIMITS.linkQueuedBytesMax` it closes as `tooSlow`. */
  send(kind: number, payload: Uint8Array): boolean {
    return this.isOpen && this.#taken(this.#outbox.add(kind, payload));
  }

  /** As `send`. @param frame - whole */
  sendEncoded(frame: Uint8Array): boolean {
    return this.isOpen && this.#taken(this.#outbox.addEncoded(frame));
  }

  #taken(hasRoom: boolean): boolean {
    if (hasRoom) return true;
    if (this.queuedBytes > LIMITS.linkQueuedBytesMax) this.close(CLOSE.tooSlow, "the peer reads too slowly");
    return false;
  }

  /** What was sent leaves now, and not at the end of the turn. */
  flush(): void {
    this.#outbox.flush();
  }

  /** Stops reading, and delivery of what has come already. */
  pause(): void {
    if (this.#isPaused || this.#end !== undefined) return;
    this.#isPaused = true;
    this.stream.pause();
  }

  /** Delivery goes on in a microtask, never within this call. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    queueMicrotask(() => {
      this.#deliver();
      if (!this.#isHeld) this.stream.resume();
    });
  }

  /** Calls a handler in a microtask, under the same rules for what it throws. */
  defer(handler: () => void): void {
    queueMicrotask(() => this.guard(handler));
  }

  /** What was sent leaves, then the reason. The peer has so long to end its side. The first reason counts. */
  close(code: number, reason: string, timeoutMs: number = LIMITS.closeTimeoutMs): void {
    if (this.#end !== undefined) return;
    this.#outbox.add(KIND.close, encodeClose({ code, reason }));
    this.#endOrderly({ code, reason, by: "us" }, timeoutMs);
  }

  /** At once, without a word. */
  destroy(end: LinkClose): void {
    this.#decide(end);
    this.#onStreamGone();
    this.stream.destroy();
  }

  // ── In ──

  #onData(bytes: Uint8Array): void {
    this.#keepAlive.received += 1;
    if (this.#end !== undefined) return;
    this.#decoder.push(bytes);
    this.#deliver();
    this.#decoder.keep();
  }

  #onBroken(reason: string): void {
    this.#brokenBy ??= reason;
    this.#deliver();
  }

  #onStreamClose(cause: Error | undefined): void {
    this.#isStreamGone = true; // before delivery, which would otherwise try to end it
    this.#onBroken(cause?.message ?? "the connection closed");
    this.#onStreamGone();
  }

  #onRoom(): void {
    if (this.isOpen) this.guard(() => this.#sink.onDrain());
  }

  /** Hands over what is decoded until there is no more, or somebody pauses or closes. Then the break, if there was one. */
  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    this.guard(() => this.#deliverFrames());
    this.#isDelivering = false;

    if (this.#owesPong) this.#answerPing();
    if (this.#isHeld || this.#end !== undefined || this.#brokenBy === undefined) return;
    this.destroy({ code: CLOSE.unexpectedClose, reason: this.#brokenBy, by: "none" });
  }

  #deliverFrames(): void {
    while (!this.#isHeld && this.#end === undefined) {
      const frame = this.#decoder.next();
      if (frame === undefined) return;
      if (++this.#handled >= LIMITS.framesBeforeRestMax) this.#takeRest();
      if (frame.kind >= KIND.first || frame.kind === KIND.hello) this.#sink.onFrame(frame.kind, frame.payload);
      else this.#onOwnFrame(frame);
    }
  }

  #onOwnFrame({ kind, payload }: Frame): void {
    if (kind === KIND.close) {
      this.#endOrderly({ ...decodeClose(payload), by: "peer" });
    } else if (payload.length > 0 || (kind !== KIND.ping && kind !== KIND.pong)) {
      throw new DecodeError(`a frame of kind ${kind}`);
    } else if (kind === KIND.ping) {
      this.#owesPong = true;
    }
  }

  get #isHeld(): boolean {
    return this.#isPaused || this.#rest !== undefined;
  }

  /** Node reads megabytes of one socket before it looks at the next, so a peer that sends without end would hold up all others. */
  #takeRest(): void {
    this.#handled = 0;
    this.stream.pause();
    this.#rest = this.#env.after(0, () => {
      this.#rest = undefined;
      this.#deliver();
      if (!this.#isHeld) this.stream.resume();
    });
  }

  /** One for all pings of a chunk, and none for a peer that does not read them. */
  #answerPing(): void {
    this.#owesPong = false;
    if (this.queuedBytes < this.#outbox.highWaterBytes) this.send(KIND.pong, EMPTY);
  }

  // ── The end ──

  #decide(end: LinkClose): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#keepAlive.stop();
    this.#rest?.cancel();
    this.#decoder.clear();
    this.defer(() => this.#sink.onClose(end));
  }

  /** Both sides close their halves: the stream ends by itself, or is destroyed in time. */
  #endOrderly(end: LinkClose, timeoutMs: number = LIMITS.closeTimeoutMs): void {
    this.#decide(end);
    if (this.#isStreamGone) {
      this.#onStreamGone();
      return;
    }
    this.#outbox.flush();
    this.stream.end();
    if (this.#isHeld) this.stream.resume(); // or the peer's end would never be read
    this.#closeTimer = this.#env.after(timeoutMs, () => this.destroy(end));
  }

  #onStreamGone(): void {
    this.#isStreamGone = true;
    this.#keepAlive.stop();
    this.#closeTimer?.cancel();
    if (this.#end !== undefined) this.#resolveClosed(this.#end);
  }

  /** Runs a handler: `DecodeError` closes the channel, any other throw destroys it and is a bug. */
  guard(handler: () => void): void {
    try {
      handler();
    } catch (cause) {
      if (cause instanceof DecodeError) {
        this.close(cause.closeCode, cause.message);
      } else {
        this.destroy({ code: CLOSE.cancelled, reason: "a handler failed", by: "us" });
        this.#onBug(cause);
      }
    }
  }
}
