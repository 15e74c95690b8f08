/** Takes the chunks of a snapshot as they come. */
export interface ChunkIntake extends Iterable<unknown> {
  /** @throws DecodeError */
  add(chunk: unknown): void;
}

/** Keeps them, for a machine that restores itself from all of them. */
export class ChunkList implements ChunkIntake {
  readonly #chunks: unknown[] = [];

  add(chunk: unknown): void {
    this.#chunks.push(chunk);
  }

  [Symbol.iterator](): Iterator<unknown> {
    return this.#chunks.values();
  }
}
