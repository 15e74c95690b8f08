import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { ByteReader, DecodeError, type Validated } from "../../wire/index.ts";
import { type Accept, decodeAccept } from "../messages.ts";
import type { Message } from "../types.ts";

export interface IntakeOptions {
  readonly from: PeerId;
  /** Of so many bytes. @throws DecodeError, or anything: the bytes make no sense */
  readonly read: (reader: ByteReader, bytes: number) => unknown;
  /** What the schema makes of it. */
  readonly validate: (value: unknown) => Validated<unknown>;
  readonly onInvalid: "skip" | "disconnect";
  /** How far we came with this producer before. */
  readonly before: Progress | undefined;
}

/** A lane of a producer, and how far we came there. */
export interface Progress {
  readonly lane: string;
  /** The last sequence that came, or that is known to be lost. */
  readonly last: number;
  /** Of those lost: how many no value told of, since none came after them. */
  readonly untold: number;
}

/** One value taken from a frame. */
export interface Arrival {
  readonly message: Message<unknown>;
  /** Encoded. */
  readonly bytes: number;
}

/** The schema refuses a value, and its consumer wants that to end the channel. */
export class InvalidValue extends Error {
  override readonly name = "InvalidValue";
}

/**
 * The frames of one link, as values with their sequence and gap. Pure. Nobody else has the bytes of the frames: values may be parts of them. At most
 * one is not read to its end: until then, give it no other one.
 */
export class Intake {
  readonly #o: IntakeOptions;
  #lane: string | undefined;
  /** Of the next value, if none is lost. */
  #expected = 0;
  #reader: ByteReader | undefined;
  /** Of the next value in the frame. */
  #sequence = 0;
  items = 0;
  bytes = 0;
  missed = 0;
  invalid = 0;
  /** Lost since the last value that was handed out. */
  #gap = 0;

  constructor(options: IntakeOptions) {
    this.#o = options;
  }

  get isAccepted(): boolean {
    return this.#lane !== undefined;
  }
  get hasFrame(): boolean {
    return this.#reader !== undefined;
  }
  get progress(): Progress | undefined {
    return this.#lane === undefined ? undefined : { lane: this.#lane, last: this.#expected - 1, untold: this.#gap };
  }

  /** @throws DecodeError */
  onAccept(payload: Uint8Array): void {
    if (this.#lane !== undefined) throw new DecodeError("a consumer that is accepted twice");
    const accept = decodeAccept(payload);
    const { before } = this.#o;
    this.#lane = accept.lane;
    this.#expected = accept.next;
    if (before?.lane !== accept.lane) return;
    if (before.last >= accept.next) throw new DecodeError("a lane that goes back");
    this.#skipTo(accept, before.last + 1);
    // An earlier link has counted these, and ended before it could tell.
    this.#gap += before.untold;
  }

  /** @throws DecodeError */
  onValues(payload: Uint8Array): void {
    if (this.#lane === undefined) throw new DecodeError("values before the consumer is accepted");
    const reader = new ByteReader(payload, 0, true);
    this.#sequence = reader.varint();
    if (this.#sequence < this.#expected) throw new DecodeError("values that came before");
    if (reader.remaining === 0) throw new DecodeError("a frame without values");
    this.#reader = reader;
  }

  /**
   * The next value of the frame. Undefined: it is read to its end; or, with `hasFrame`, the schema refused `refusedMax` in a row.
   * @throws DecodeError; `InvalidValue`: the channel is to end
   */
  next(refusedMax = Number.POSITIVE_INFINITY): Arrival | undefined {
    for (let refused = 0; this.#reader !== undefined && refused < refusedMax; refused++) {
      const reader = this.#reader;
      const bytes = reader.u32();
      if (bytes > LIMITS.streamValueBytesMax) throw new DecodeError(`a value of ${bytes} bytes`);
      const value = this.#read(reader, bytes);
      if (reader.remaining === 0) this.#reader = undefined;
      // From here on, numbers cannot be told apart.
      if (this.#sequence > Number.MAX_SAFE_INTEGER) throw new DecodeError("a sequence beyond all numbers");
      const sequence = this.#sequence++;
      const lost = sequence - this.#expected;
      this.missed += lost;
      this.#gap += lost;
      this.#expected = sequence + 1;
      this.items++;
      this.bytes += bytes;
      const checked = this.#o.validate(value);
      if (checked.ok) {
        const missed = this.#gap;
        this.#gap = 0;
        return { message: { value: checked.value, from: this.#o.from, sequence, missed }, bytes };
      }
      this.invalid++;
      if (this.#o.onInvalid === "disconnect") throw new InvalidValue("a value that does not fit the schema");
    }
    return undefined;
  }

  /** What comes between two links is lost. */
  #skipTo({ next }: Accept, expected: number): void {
    this.missed += next - expected;
    this.#gap += next - expected;
  }

  #read(reader: ByteReader, bytes: number): unknown {
    const end = reader.position + bytes;
    try {
      const value = this.#o.read(reader, bytes);
      reader.endAt(end);
      return value;
    } catch (cause) {
      if (cause instanceof DecodeError) throw cause;
      throw new DecodeError("a value that cannot be decoded", { cause });
    }
  }
}
