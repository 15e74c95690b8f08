import { ID_BYTES, UniqueId } from "../../identity/index.ts";
import type { Index, LogPosition } from "../../raft/index.ts";
import { Damage } from "./frames.ts";

const CAPACITY_MIN = 4 * 1024;
/** A larger buffer is let go after its use. */
const CAPACITY_KEPT = 1024 * 1024;

/** Bytes, one after the other, into a buffer that is used again. */
export class ByteWriter {
  #buffer = Buffer.alloc(CAPACITY_MIN);
  #length = 0;

  /** Begins anew, `length` bytes in. What was handed out before is overwritten. */
  restart(length: number): void {
    if (this.#buffer.length > CAPACITY_KEPT) this.#buffer = Buffer.alloc(CAPACITY_MIN);
    this.#length = 0;
    this.#room(length);
  }
  get length(): number {
    return this.#length;
  }
  /** All so far, and `spare` bytes more. */
  take(spare: number): Buffer {
    const length = this.#length;
    this.#room(spare);
    this.#length = length;
    return this.#buffer.subarray(0, length + spare);
  }

  uint8(value: number): void {
    const at = this.#room(1);
    this.#buffer.writeUInt8(value, at);
  }
  uint16(value: number): void {
    const at = this.#room(2);
    this.#buffer.writeUInt16LE(value, at);
  }
  uint32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value, at);
  }
  /** A safe integer. */
  integer(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeDoubleLE(value, at);
  }
  bytes(value: Uint8Array): void {
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
  }
  id(value: UniqueId): void {
    this.bytes(UniqueId.toBytes(value));
  }
  /** At most 65,535 bytes of UTF-8. */
  text(value: string): void {
    const bytes = Buffer.from(value);
    this.uint16(bytes.length);
    this.bytes(bytes);
  }
  /** Runs `write` if there is something to write. */
  optional<T>(value: T | undefined, write: (value: T) => void): void {
    this.uint8(value === undefined ? 0 : 1);
    if (value !== undefined) write(value);
  }
  place({ index, term }: LogPosition): void {
    this.integer(index);
    this.integer(term);
  }
  /** The buffer as far as it is written, for sums over what was just written. */
  get written(): Buffer {
    return this.#buffer;
  }

  /** May put another buffer in place of this one: call it first. */
  #room(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const next = Buffer.alloc(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(next, 0, 0, at);
      this.#buffer = next;
    }
    return at;
  }
}

/** Reads what `ByteWriter` wrote, within bounds. @throws Damage */
export class ByteReader {
  readonly bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, from: number, to: number) {
    this.bytes = bytes;
    this.#at = from;
    this.#end = to;
  }
  get position(): number {
    return this.#at;
  }
  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  uint8(): number {
    return this.bytes.readUInt8(this.skip(1));
  }
  uint16(): number {
    return this.bytes.readUInt16LE(this.skip(2));
  }
  uint32(): number {
    return this.bytes.readUInt32LE(this.skip(4));
  }
  integer(): number {
    const value = this.bytes.readDoubleLE(this.skip(8));
    if (!Number.isSafeInteger(value) || value < 0) throw new Damage("a number is no position");
    return value;
  }
  id(): UniqueId {
    const at = this.skip(ID_BYTES);
    return UniqueId.fromBytes(this.bytes.subarray(at, at + ID_BYTES));
  }
  text(): string {
    const length = this.uint16();
    const at = this.skip(length);
    return this.bytes.toString("utf8", at, at + length);
  }
  optional<T>(read: () => T): T | undefined {
    return this.uint8() === 0 ? undefined : read();
  }
  place(): LogPosition {
    const index: Index = this.integer();
    return { index, term: this.integer() };
  }
  /** @returns where the bytes begin that it goes over */
  skip(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw new Damage("a record ends within a field");
    this.#at += count;
    return at;
  }
}
