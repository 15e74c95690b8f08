import { createHash } from "node:crypto";
import { type Env, LIMITS } from "../../env/index.ts";
import type { Index } from "../../raft/index.ts";
import type { IncarnationId, SnapshotReader, Storage } from "../../storage/index.ts";
import { type Bond, chunksOf, HASH_BYTES, type SnapshotFrame } from "../bonds/index.ts";

/** A snapshot that nobody asked for since is put away. */
const IDLE_US = 10_000_000;
/** Snapshots that are being fetched from us; the oldest gives way. */
const SHELF_MAX = 2;
/** Chunks of one peer that are read at once; who asks for more must ask again. */
const READS_PER_PEER_MAX = 4;

interface Shelved {
  readonly reader: SnapshotReader;
  readonly hashes: Uint8Array;
  lastUsedUs: number;
}

export interface SnapshotServerOptions {
  readonly env: Env;
  readonly storage: Storage;
  readonly incarnation: IncarnationId;
  readonly onFailure: (cause: unknown) => void;
}

/**
 * Gives snapshots to those who fetch them: says what there is, then chunk by chunk. What is being fetched stays readable, though there be a newer
 * one, and the log after it is kept (`pinned`).
 */
export class SnapshotServer {
  readonly #o: SnapshotServerOptions;
  readonly #shelf = new Map<Index, Shelved>();
  readonly #reads = new Map<Bond, number>();
  /** Who waits for what is being put on the shelf. */
  #waiting: Bond[] | undefined;
  #isStopped = false;

  constructor(options: SnapshotServerOptions) {
    this.#o = options;
  }

  /** The earliest place that somebody fetches from us: the log after it will be needed. */
  get pinned(): Index | undefined {
    return this.#shelf.size === 0 ? undefined : Math.min(...this.#shelf.keys());
  }

  onAsk(bond: Bond, { incarnation, index }: SnapshotFrame & { type: "snapshot-ask" }): void {
    const place = this.#o.storage.snapshot?.index ?? 0;
    if (incarnation !== this.#o.incarnation || place < index || place === 0 || this.#isStopped) return;
    const shelved = this.#shelf.get(place);
    if (shelved !== undefined) this.#offer(bond, shelved);
    else if (this.#waiting === undefined) {
      this.#waiting = [bond];
      this.#spawn(() => this.#open());
    } else if (!this.#waiting.includes(bond)) this.#waiting.push(bond);
  }

  onFetch(bond: Bond, frame: SnapshotFrame & { type: "snapshot-fetch" }): void {
    const { incarnation, index, chunk } = frame;
    if (incarnation !== this.#o.incarnation) return;
    const shelved = this.#shelf.get(index);
    if (shelved === undefined || chunk >= chunksOf(shelved.reader.head.bytes)) {
      bond.send({ type: "snapshot-chunk", incarnation, index, chunk, data: new Uint8Array(0) });
      return;
    }
    const reads = this.#reads.get(bond) ?? 0;
    if (reads >= READS_PER_PEER_MAX || bond.isSlow) return;
    shelved.lastUsedUs = this.#nowUs();
    this.#reads.set(bond, reads + 1);
    this.#spawn(async () => {
      try {
        const data = await readChunk(shelved.reader, chunk);
        if (bond.isOpen) bond.send({ type: "snapshot-chunk", incarnation, index, chunk, data });
      } finally {
        this.#done(bond);
      }
    });
  }

  /** Each tick. */
  tick(): void {
    for (const [index, shelved] of this.#shelf) {
      if (this.#nowUs() - shelved.lastUsedUs > IDLE_US) this.#putAway(index, shelved);
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const [index, shelved] of this.#shelf) this.#putAway(index, shelved);
  }

  async #open(): Promise<void> {
    const reader = await this.#o.storage.openSnapshot();
    if (reader === undefined) {
      this.#waiting = undefined;
      return;
    }
    const hashes = await this.#hash(reader);
    const asking = this.#waiting ?? [];
    this.#waiting = undefined;
    if (hashes === undefined || this.#isStopped) return reader.close();
    const shelved: Shelved = { reader, hashes, lastUsedUs: this.#nowUs() };
    const known = this.#shelf.get(reader.head.index);
    if (known !== undefined) this.#putAway(reader.head.index, known);
    this.#shelf.set(reader.head.index, shelved);
    if (this.#shelf.size > SHELF_MAX) {
      const oldest = Math.min(...this.#shelf.keys());
      this.#putAway(oldest, this.#shelf.get(oldest) as Shelved);
    }
    for (const bond of asking) if (bond.isOpen) this.#offer(bond, shelved);
  }

  /** One chunk a turn. Undefined: too large to be described, or nobody wants to know any more. */
  async #hash(reader: SnapshotReader): Promise<Uint8Array | undefined> {
    const count = chunksOf(reader.head.bytes);
    if (count > LIMITS.snapshotChunksMax) return undefined;
    const hashes = new Uint8Array(count * HASH_BYTES);
    for (let chunk = 0; chunk < count; chunk++) {
      hashes.set(hashOf(await readChunk(reader, chunk)), chunk * HASH_BYTES);
      await new Promise<void>((resolve) => this.#o.env.after(0, resolve));
      if (this.#isStopped) return undefined;
    }
    return hashes;
  }

  #offer(bond: Bond, shelved: Shelved): void {
    shelved.lastUsedUs = this.#nowUs();
    const { hashes, reader } = shelved;
    bond.send({
      type: "snapshot-offer",
      incarnation: this.#o.incarnation,
      snapshot: { ...reader.head, hashes },
    });
  }

  #done(bond: Bond): void {
    const reads = (this.#reads.get(bond) ?? 1) - 1;
    if (reads === 0) this.#reads.delete(bond);
    else this.#reads.set(bond, reads);
  }

  #putAway(index: Index, { reader }: Shelved): void {
    this.#shelf.delete(index);
    this.#spawn(() => reader.close());
  }

  #spawn(work: () => Promise<void>): void {
    work().catch((cause: unknown) => {
      this.#waiting = undefined;
      if (!this.#isStopped) this.#o.onFailure(cause);
    });
  }

  #nowUs(): number {
    return this.#o.env.clock.monotonicUs();
  }
}

export function hashOf(chunk: Uint8Array): Uint8Array {
  return createHash("sha256").update(chunk).digest();
}

function readChunk(reader: SnapshotReader, chunk: number): Promise<Uint8Array> {
  return reader.read(chunk * LIMITS.snapshotChunkBytes, LIMITS.snapshotChunkBytes);
}
