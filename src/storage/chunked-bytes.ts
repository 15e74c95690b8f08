import type { SnapshotPlace } from "./types.ts";

/** Bytes that came in pieces, and stay so: to join those of a large snapshot would hold the event loop, and need them twice. */
export class ChunkedBytes {
  readonly #chunks: Uint8Array[] = [];
  /** Where each chunk ends. */
  readonly #ends: number[] = [];

  static of(...chunks: readonly Uint8Array[]): ChunkedBytes {
    const bytes = new ChunkedBytes();
    for (const chunk of chunks) bytes.push(chunk);
    return bytes;
  }

  get length(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /** Keeps a copy. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#ends.push(this.length + chunk.length);
    this.#chunks.push(Uint8Array.from(chunk));
  }

  /** A copy of `from`..`to`, clamped. */
  slice(from: number, to: number): Uint8Array {
    const end = Math.min(to, this.length);
    const copy = new Uint8Array(Math.max(0, end - from));
    for (let i = this.#chunkAt(from), at = from; at < end; i++) {
      const chunk = this.#chunks[i] as Uint8Array;
      const start = (this.#ends[i] as number) - chunk.length;
      const piece = chunk.subarray(at - start, end - start);
      copy.set(piece, at - from);
      at += piece.length;
    }
    return copy;
  }

  /** Which chunk holds this byte, by halving: a large snapshot has thousands. */
  #chunkAt(offset: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] as number) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** A snapshot as memory holds it. */
export interface HeldSnapshot extends SnapshotPlace {
  readonly data: ChunkedBytes;
}
