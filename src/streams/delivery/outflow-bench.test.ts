import { ok } from "node:assert/strict";
import { type ByteWriter, FRAME_HEADER_BYTES, inlineMessagePack } from "../../wire/index.ts";
import { Outflow, type OutflowOptions } from "./outflow.ts";
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

/** Roomy, with `wait`, without criteria, unless it is said otherwise. */
export function outflowOf<In>(options: Partial<OutflowOptions<In>>): Outflow<In> {
  return new Outflow<In>({
    limits: { maxQueued: 10, maxQueuedBytes: 1_000, lagging: "wait" },
    matches: undefined,
    write: (writer: ByteWriter, value: In) => inlineMessagePack.write(writer, value),
    drawToken: () => "00".repeat(16),
    nowMs: () => 0,
    undelivered: undefined,
    onProblem: (cause) => {
      throw cause;
    },
    onGathered: () => {},
    ...options,
  });
}
