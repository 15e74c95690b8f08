import { ok } from "node:assert/strict";
import { FRAME_HEADER_BYTES } from "../../wire/index.ts";
import type { Port } from "./outlet.ts";

/** A link that holds so many frames, where they lie, until the test reads them. */
export class FakePort implements Port {
  sentBytes = 0;
  queuedBytes = 0;
  readonly #framesMax: number;
  readonly #held: { readonly frame: Uint8Array; readonly copy: Buffer }[] = [];

  constructor(framesMax: number) {
    this.#framesMax = framesMax;
  }

  get hasRoom(): boolean {
    return this.#held.length < this.#framesMax;
  }

  sendEncoded(frame: Uint8Array): boolean {
    this.#held.push({ frame, copy: Buffer.from(frame) });
    this.sentBytes += frame.length;
    this.queuedBytes += frame.length;
    return this.hasRoom;
  }

  /** They leave. @returns their payloads */
  read(frames = Number.POSITIVE_INFINITY): Uint8Array[] {
    return this.#held.splice(0, frames).map(({ frame, copy }) => {
      ok(copy.equals(frame), "nobody changes what has not left");
      this.queuedBytes -= frame.length;
      return copy.subarray(FRAME_HEADER_BYTES);
    });
  }
}
