import { type Env, MosaikError, type Scope, type Timer } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Index, SnapshotMark } from "../../raft/index.ts";
import type { IncarnationId, Storage } from "../../storage/index.ts";
import { DecodeError } from "../../wire/index.ts";
import { type Bond, chunksOf, type SnapshotFrame, type SnapshotOffer } from "../bonds/index.ts";
import { decodeConfiguration } from "../entries/index.ts";
import type { MachineRuntime } from "../machine/index.ts";
import { type ReplicaState, SnapshotDecoder, workSlice } from "../replica/index.ts";
import { type FetchedSnapshot, isGenuine, keyOf, type Transfer } from "./transfer.ts";

/** Who is asked whether it has a snapshot. */
const ASKED_MAX = 8;
/** Offers are compared after this; if there are none, the first that comes is taken. */
const OFFERS_WITHIN_MS = 100;
const ASK_AGAIN_AFTER_MS = 1_000;
/** A source that does not answer is left. */
const CHUNK_TIMEOUT_MS = 1_500;
/** Chunks asked of one source, and chunks that may be here before their turn: what is held in memory is bounded by them. */
const ASKED_OF_SOURCE_MAX = 2;
const WINDOW_CHUNKS = 8;

/** More are not told apart. */
const REFUSED_MAX = 64;

export interface SnapshotFetcherOptions {
  readonly env: Env;
  readonly scope: Scope;
  readonly storage: Storage;
  readonly incarnation: IncarnationId;
  /** Of our machine: what a later version wrote it may not understand. */
  readonly runtime: Pick<MachineRuntime, "version" | "intake">;
  readonly bonds: () => readonly Bond[];
  readonly leader: () => PeerId | undefined;
  /** Known to be committed here: a snapshot that does not go further is not needed. */
  readonly commit: () => Index;
  readonly onFetched: (snapshot: FetchedSnapshot) => void;
  readonly onFailure: (cause: unknown) => void;
}

/**
 * Fetches a snapshot from those who have it, several at once, the leader only if there is nobody else.
 *
 * Members that took a snapshot at the same place hold the same bytes, so each chunk may come from any of them. Each is checked against the hash that
 * most of those who offer the snapshot agree on, decoded and written as it comes. A source that is silent, gone or wrong is replaced; when
 * there is none left, the others are asked again, and the transfer goes on where it was.
 */
export class SnapshotFetcher {
  readonly #o: SnapshotFetcherOptions;
  #wanted: Index = 0;
  #asked = new Set<Bond>();
  #offers = new Map<Bond, SnapshotOffer>();
  #timer: Timer | undefined;
  #takesFirst = false;
  #transfer: Transfer | undefined;
  /** Sent us what was not what they said. */
  readonly #liars = new Set<PeerId>();
  /** Snapshots that made no sense once they were here. */
  readonly #refused = new Set<string>();
  readonly counts = { fetched: 0, replaced: 0, refused: 0 };

  constructor(options: SnapshotFetcherOptions) {
    this.#o = options;
  }

  get isBusy(): boolean {
    return this.#timer !== undefined || this.#transfer !== undefined;
  }

  /** A snapshot of this place or a later one is needed. Cheap: said again and again. The last word counts: an earlier one may have been a lie. */
  want(index: Index): void {
    this.#wanted = index;
    if (!this.isBusy && this.#isNeeded) this.#ask();
  }

  onOffer(bond: Bond, { incarnation, snapshot }: SnapshotFrame & { type: "snapshot-offer" }): void {
    if (incarnation !== this.#o.incarnation || this.#liars.has(bond.peer)) return;
    const transfer = this.#transfer;
    if (transfer !== undefined && keyOf(snapshot) === transfer.key) {
      transfer.sources.add(bond);
      return this.#pump(transfer);
    }
    if (this.#timer === undefined || !this.#asked.has(bond)) return;
    this.#offers.set(bond, snapshot);
    if (this.#takesFirst || this.#offers.size === this.#asked.size) this.#choose();
  }

  onChunk(bond: Bond, frame: SnapshotFrame & { type: "snapshot-chunk" }): void {
    const transfer = this.#transfer;
    if (transfer === undefined || frame.index !== transfer.offer.index) return;
    const asked = transfer.asked.get(frame.chunk);
    if (asked?.bond !== bond) return;
    asked.timer.cancel();
    transfer.asked.delete(frame.chunk);
    if (frame.data.length === 0) return this.#lose(transfer, bond, frame.chunk);
    if (!isGenuine(transfer, frame.chunk, frame.data)) {
      this.#liars.add(bond.peer);
      return this.#lose(transfer, bond, frame.chunk);
    }
    // A view of a frame keeps the whole frame alive; this one is mostly the chunk.
    transfer.arrived.set(frame.chunk, frame.data);
    this.#advance(transfer);
  }

  onBondDown(bond: Bond): void {
    this.#offers.delete(bond);
    this.#asked.delete(bond);
    const transfer = this.#transfer;
    if (transfer?.sources.has(bond) === true) this.#lose(transfer, bond);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#drop();
  }

  get #isNeeded(): boolean {
    return this.#wanted > this.#o.commit();
  }

  /** All voters, or as many as are asked, and the leader last. */
  #ask(): void {
    this.#offers = new Map();
    this.#takesFirst = false;
    this.#asked = new Set(this.#candidates());
    const index = this.#transfer?.offer.index ?? this.#wanted;
    for (const bond of this.#asked) {
      bond.send({ type: "snapshot-ask", incarnation: this.#o.incarnation, index });
    }
    this.#timer?.cancel();
    this.#timer = this.#o.scope.after(OFFERS_WITHIN_MS, () => {
      if (this.#offers.size > 0) return this.#choose();
      this.#takesFirst = true;
      this.#timer = this.#o.scope.after(ASK_AGAIN_AFTER_MS, () => this.#askAgain());
    });
  }

  #askAgain(): void {
    this.#timer = undefined;
    if (this.#isNeeded) this.#ask();
    else this.#drop();
  }

  #candidates(): Bond[] {
    const leader = this.#o.leader();
    const { random } = this.#o.env;
    const ranked = this.#o
      .bonds()
      .filter(({ isOpen, status, peer }) => {
        return isOpen && status.incarnation === this.#o.incarnation && !this.#liars.has(peer);
      })
      .map((bond) => ({
        bond,
        isLeader: bond.peer === leader,
        isReader: bond.status.role !== "voter",
        draw: random.uint32(),
      }))
      .sort((a, b) => {
        return Number(a.isLeader) - Number(b.isLeader) || Number(a.isReader) - Number(b.isReader) || a.draw - b.draw;
      })
      .map(({ bond }) => bond);
    const last = ranked[ranked.length - 1];
    const first = ranked.slice(0, ASKED_MAX - 1);
    return last === undefined || first.includes(last) ? first : [...first, last];
  }

  /** The snapshot that most offer; of these the one that the leader offers; of these the latest. */
  #choose(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const groups = new Map<string, { offer: SnapshotOffer; bonds: Bond[]; hasLeader: boolean }>();
    const leader = this.#o.leader();
    for (const [bond, offer] of this.#offers) {
      const key = keyOf(offer);
      if (offer.index <= this.#o.commit() || this.#refused.has(key)) continue;
      const group = groups.get(key) ?? { offer, bonds: [], hasLeader: false };
      group.bonds.push(bond);
      group.hasLeader ||= bond.peer === leader;
      groups.set(key, group);
    }
    const [best] = [...groups].sort(([, a], [, b]) => {
      const byCount = b.bonds.length - a.bonds.length;
      return byCount || Number(b.hasLeader) - Number(a.hasLeader) || b.offer.index - a.offer.index;
    });
    if (best === undefined) {
      this.#timer = this.#o.scope.after(ASK_AGAIN_AFTER_MS, () => this.#askAgain());
      return;
    }
    const [key, { offer, bonds }] = best;
    if (this.#transfer?.key !== key) {
      this.#drop();
      this.#begin(key, offer);
    }
    const transfer = this.#transfer;
    if (transfer === undefined) return;
    for (const bond of bonds) transfer.sources.add(bond);
    this.#pump(transfer);
  }

  #begin(key: string, offer: SnapshotOffer): void {
    let voters: SnapshotMark["voters"];
    try {
      voters = decodeConfiguration(offer.configuration);
    } catch {
      this.#refuse(key);
      return this.#askLater();
    }
    const { index, term, configuration } = offer;
    const count = chunksOf(offer.bytes);
    const writer = this.#o.storage.createSnapshot({ index, term, configuration });
    writer.catch(() => undefined);
    this.#transfer = {
      key,
      offer,
      voters,
      count,
      sources: new Set(),
      decoder: new SnapshotDecoder(this.#o.runtime.intake()),
      writer,
      missing: Array.from({ length: count }, (_, chunk) => chunk),
      asked: new Map(),
      arrived: new Map(),
      next: 0,
      isPausing: false,
      written: Promise.resolve(),
      writing: 0,
    };
  }

  /** Asks for what is missing, as far as the window and the sources go. */
  #pump(transfer: Transfer): void {
    while (transfer.missing.length > 0) {
      const chunk = transfer.missing[0] as number;
      if (chunk >= transfer.next + WINDOW_CHUNKS - transfer.writing) return;
      const bond = this.#sourceFor(transfer);
      if (bond === undefined) break;
      transfer.missing.shift();
      const { incarnation, scope } = this.#o;
      const timer = scope.after(CHUNK_TIMEOUT_MS, () => {
        transfer.asked.delete(chunk);
        this.#lose(transfer, bond, chunk);
      });
      transfer.asked.set(chunk, { bond, timer });
      bond.send({ type: "snapshot-fetch", incarnation, index: transfer.offer.index, chunk });
    }
    if (transfer.sources.size === 0 && this.#timer === undefined) this.#ask();
  }

  /** The one with the least to do. The leader has other work. */
  #sourceFor({ sources, asked }: Transfer): Bond | undefined {
    const leader = this.#o.leader();
    const load = new Map<Bond, number>();
    for (const { bond } of asked.values()) load.set(bond, (load.get(bond) ?? 0) + 1);
    const others = [...sources].filter(({ peer }) => peer !== leader);
    let best: Bond | undefined;
    for (const bond of others.length > 0 ? others : sources) {
      const its = load.get(bond) ?? 0;
      if (its < ASKED_OF_SOURCE_MAX && (best === undefined || its < (load.get(best) ?? 0))) best = bond;
    }
    return best;
  }

  /** This source gives no more; what it was asked for, others are. */
  #lose(transfer: Transfer, bond: Bond, chunk?: number): void {
    if (this.#transfer !== transfer) return;
    transfer.sources.delete(bond);
    this.counts.replaced++;
    if (chunk !== undefined) transfer.missing.push(chunk);
    for (const [asked, { bond: of, timer }] of transfer.asked) {
      if (of !== bond) continue;
      timer.cancel();
      transfer.asked.delete(asked);
      transfer.missing.push(asked);
    }
    transfer.missing.sort((a, b) => a - b);
    this.#pump(transfer);
  }

  /** Decodes and writes what has its turn: a chunk at a time, and a slice of it, so that the rest of the program has its own between them. */
  #advance(transfer: Transfer): void {
    const data = transfer.arrived.get(transfer.next);
    if (data === undefined || transfer.isPausing) return this.#pump(transfer);
    transfer.arrived.delete(transfer.next);
    transfer.decoder.feed(data);
    this.#decode(transfer, data);
  }

  #decode(transfer: Transfer, data: Uint8Array): void {
    try {
      const isDone = workSlice(this.#o.env, () => !transfer.decoder.decodeNext());
      if (!isDone) {
        this.#pause(transfer, () => this.#decode(transfer, data));
        return this.#pump(transfer);
      }
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause;
      return this.#onNonsense(transfer);
    }
    transfer.next++;
    this.#write(transfer, data);
    if (transfer.next === transfer.count) return this.#finish(transfer);
    if (transfer.arrived.has(transfer.next)) this.#pause(transfer, () => this.#advance(transfer));
    this.#pump(transfer);
  }

  #pause(transfer: Transfer, goOn: () => void): void {
    transfer.isPausing = true;
    this.#o.scope.after(0, () => {
      transfer.isPausing = false;
      if (this.#transfer === transfer) goOn();
    });
  }

  #write(transfer: Transfer, data: Uint8Array): void {
    const { written } = transfer;
    transfer.writing++;
    transfer.written = written.then(async () => (await transfer.writer).write(data));
    transfer.written.then(
      () => {
        transfer.writing--;
        if (this.#transfer === transfer) this.#pump(transfer);
      },
      (cause: unknown) => this.#onWriteFailed(transfer, cause),
    );
  }

  /** A full disk may have room later; any other failure is the member's. */
  #onWriteFailed(transfer: Transfer, cause: unknown): void {
    if (this.#transfer !== transfer || this.#o.scope.isClosed) return;
    this.#drop();
    if (MosaikError.is(cause, "storage-full")) this.#askLater();
    else this.#o.onFailure(cause);
  }

  #finish(transfer: Transfer): void {
    const { index, term } = transfer.offer;
    let state: ReplicaState;
    try {
      state = transfer.decoder.end();
      if (state.incarnation !== this.#o.incarnation || state.establishedIndex > index) {
        throw new DecodeError("a snapshot of another history");
      }
      if (state.machine.version > this.#o.runtime.version)
        throw new DecodeError("a snapshot of a later version of the machine");
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause;
      return this.#onNonsense(transfer);
    }
    this.#o.scope.spawn(async () => {
      // All the room that it takes is taken before the log is given up for it.
      const sealed = transfer.written.then(() => transfer.writer).then((writer) => writer.seal());
      const isSealed = await sealed.then(
        () => true,
        (cause: unknown) => void this.#onWriteFailed(transfer, cause),
      );
      if (isSealed !== true || this.#transfer !== transfer) return;
      const writer = await transfer.writer;
      this.#transfer = undefined;
      this.#timer?.cancel();
      this.#timer = undefined;
      // If more is needed we are told so again.
      this.#wanted = 0;
      this.counts.fetched++;
      this.#o.onFetched({ mark: { index, term, voters: transfer.voters }, state, writer });
    });
  }

  #onNonsense(transfer: Transfer): void {
    this.#refuse(transfer.key);
    this.#drop();
    this.#askLater();
  }

  #refuse(key: string): void {
    if (this.#refused.size >= REFUSED_MAX) this.#refused.clear();
    this.#refused.add(key);
    this.counts.refused++;
  }

  #askLater(): void {
    this.#timer ??= this.#o.scope.after(ASK_AGAIN_AFTER_MS, () => this.#askAgain());
  }

  #drop(): void {
    const transfer = this.#transfer;
    this.#transfer = undefined;
    if (transfer === undefined) return;
    for (const { timer } of transfer.asked.values()) timer.cancel();
    const { writer, written } = transfer;
    void written.then(async () => (await writer).discard()).catch(() => undefined);
  }
}
