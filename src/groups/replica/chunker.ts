import { LIMITS } from "../../env/index.ts";

/** Gathers a snapshot's small pieces to chunks of about one size. A piece is never cut, so a chunk may be larger by one. */
export class Chunker {
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /** A chunk, once there is enough for one. */
  add(piece: Uint8Array): Uint8Array | undefined {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    return this.#bytes < LIMITS.snapshotChunkBytes ? undefined : this.end();
  }

  /** The chunk of what is left, if anything is. */
  end(): Uint8Array | undefined {
    if (this.#bytes === 0) return undefined;
    const chunk = new Uint8Array(this.#bytes);
    let at = 0;
    for (const piece of this.#pieces) {
      chunk.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.#bytes = 0;
    return chunk;
  }
}
