import { LIMITS, type Scope } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { CLOSE, DecodeError, type Frame, type LinkClose, type LinkHandlers, viewEncoded } from "../wire/index.ts";
import type { StreamLink } from "./stream-link.ts";

export interface LocalLinkOptions {
  /** This node's, at both ends. */
  readonly peerId: PeerId;
  /** Of the network: frames are handed over in turns of their own. */
  readonly scope: Scope;
  /** A handler threw what is no `DecodeError`. */
  readonly onBug: (cause: unknown) => void;
}

/** A producer and a consumer on one node: frames go from end to end as over a network, but for the network. */
export function localLinks(options: LocalLinkOptions): readonly [StreamLink, StreamLink] {
  const a = new LocalEnd(options);
  const b = new LocalEnd(options);
  a.other = b;
  b.other = a;
  return [a, b];
}

/**
 * 1. Frames come in order, each once, in a later turn than they were sent in.
 * 2. The end comes after the frames before it, once, in a turn of its own; nothing comes after it.
 */
class LocalEnd implements StreamLink {
  other!: LocalEnd;
  readonly remoteId: PeerId;
  readonly #scope: Scope;
  readonly #onBug: (cause: unknown) => void;
  #handlers: LinkHandlers | undefined;
  /** On their way to us. */
  #frames: Frame[] = [];
  #bytes = 0;
  sentBytes = 0;
  #end: LinkClose | undefined;
  #isPaused = false;
  #isScheduled = false;
  #isTold = false;
  /** We sent more than is good, and did not hear of room yet. */
  #awaitsDrain = false;

  constructor({ peerId, scope, onBug }: LocalLinkOptions) {
    this.remoteId = peerId;
    this.#scope = scope;
    this.#onBug = onBug;
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }
  get queuedBytes(): number {
    return this.other.#bytes;
  }

  start(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    this.#schedule();
  }

  send(kind: number, payload: Uint8Array): boolean {
    return this.#send({ kind, payload });
  }

  sendEncoded(frame: Uint8Array): boolean {
    // The other end keeps values as parts of what comes.
    return this.#send(viewEncoded(new Uint8Array(frame)));
  }

  #send(frame: Frame): boolean {
    const { payload } = frame;
    if (!this.isOpen) return false;
    const { other } = this;
    other.#frames.push(frame);
    other.#bytes += payload.length;
    this.sentBytes += payload.length;
    other.#schedule();
    this.#awaitsDrain = other.#bytes >= LIMITS.consumerLinkBytes;
    return !this.#awaitsDrain;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  async close(code: number, reason: string): Promise<void> {
    if (this.#isTold || this.#end?.by === "us") return;
    // Also where the other end closed before us: what it sent before is not read any more.
    this.#end = { code, reason, by: "us" };
    this.#frames = [];
    this.#bytes = 0;
    this.#schedule();
    this.other.#endAs({ code, reason, by: "peer" });
  }

  #endAs(end: LinkClose): void {
    this.#end ??= end;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#scope.after(0, () => {
      this.#isScheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    // What comes in answer has its own turn, so that nobody is kept from theirs.
    for (let left = this.#frames.length; left > 0 && !this.#isPaused; left--) {
      const frame = this.#frames.shift();
      if (frame === undefined) break;
      this.#bytes -= frame.payload.length;
      this.#guard(() => handlers.onFrame(frame.kind, frame.payload));
    }
    if (this.#frames.length === 0 && this.other.#awaitsDrain && this.other.isOpen) {
      this.other.#awaitsDrain = false;
      this.#guard(() => this.other.#handlers?.onDrain?.());
    }
    const end = this.#end;
    if (end === undefined || this.#isTold || (this.#isPaused && end.by !== "us") || this.#frames.length > 0) return;
    this.#isTold = true;
    this.#guard(() => handlers.onClose(end));
  }

  #guard(handler: () => void): void {
    try {
      handler();
    } catch (cause) {
      if (cause instanceof DecodeError) void this.close(cause.closeCode, cause.message);
      else {
        void this.close(CLOSE.cancelled, "a handler failed");
        this.#onBug(cause);
      }
    }
  }
}
