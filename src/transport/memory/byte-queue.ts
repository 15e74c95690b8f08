import { assert } from "../../env/index.ts";

/** Bytes in order: put in as they come, taken out as one likes. Takes no copy of what is put in, and gives out copies. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  /** The first chunk that is not used up, and how much of it is. */
  #first = 0;
  #offset = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
  }

  take(length: number): Uint8Array {
    assert(length <= this.#length, "no more is taken than there is");
    const taken = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const chunk = this.#chunks[this.#first] as Uint8Array;
      const part = chunk.subarray(this.#offset, this.#offset + length - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#offset += part.length;
      if (this.#offset === chunk.length) this.#dropFirst();
    }
    this.#length -= length;
    return taken;
  }

  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#offset = 0;
    this.#length = 0;
  }

  #dropFirst(): void {
    this.#first++;
    this.#offset = 0;
    if (this.#first < 64 && this.#first < this.#chunks.length) return;
    this.#chunks = this.#chunks.slice(this.#first);
    this.#first = 0;
  }
}
