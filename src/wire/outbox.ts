import { atEndOfTurn, LIMITS } from "../env/index.ts";
import { FRAME_HEADER_BYTES, FrameBatch } from "./frames.ts";
import type { ByteStream } from "./stream.ts";

/** What waits to leave by one stream. All frames of one turn leave as one write. */
export class FrameOutbox {
  /** From here on `add` says false. */
  highWaterBytes: number = LIMITS.linkHighWaterBytes;
  /** All that was taken. */
  sentBytes = 0;
  readonly #stream: ByteStream;
  readonly #onDrain: () => void;
  readonly #batch = new FrameBatch();
  #isFlushScheduled = false;
  #isDrainAwaited = false;

  /** @param onDrain - after `add` returned false: there is room again */
  constructor(stream: ByteStream, onDrain: () => void) {
    this.#stream = stream;
    this.#onDrain = onDrain;
  }

  /** Taken, and not left yet. */
  get queuedBytes(): number {
    return this.#batch.bytes + this.#stream.bufferedBytes;
  }

  /** False: the peer is slow, `onDrain` follows. */
  add(kind: number, payload: Uint8Array): boolean {
    this.#batch.add(kind, payload);
    return this.#added(FRAME_HEADER_BYTES + payload.length);
  }

  /** As `add`. @param frame - whole */
  addEncoded(frame: Uint8Array): boolean {
    this.#batch.addEncoded(frame);
    return this.#added(frame.length);
  }

  #added(bytes: number): boolean {
    this.sentBytes += bytes;
    if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      atEndOfTurn(() => this.flush());
    }
    if (this.queuedBytes < this.highWaterBytes) return true;
    this.#isDrainAwaited = true;
    return false;
  }

  flush(): void {
    this.#isFlushScheduled = false;
    if (this.#batch.bytes === 0) return;
    let hasRoom = true;
    for (const buffer of this.#batch.take()) hasRoom = this.#stream.write(buffer);
    // If the stream took it all at once, it will not drain later.
    if (hasRoom) this.drained();
  }

  /** The stream has room again. */
  drained(): void {
    if (!this.#isDrainAwaited) return;
    this.#isDrainAwaited = false;
    this.#onDrain();
  }
}
