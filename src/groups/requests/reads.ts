import { LIMITS, type MosaikError, mosaikError } from "../../env/index.ts";
import type { Index } from "../../raft/index.ts";

/** A strong read that waits for its index. */
export interface ReadWaiter {
  readonly deadlineUs: number;
  /** The local replica is far enough: read it now. */
  onReady(): void;
  onFailed(error: MosaikError): void;
}

/**
 * Strong reads of this node. Reads of one turn share one request to the leader; a read never joins a request that was sent before it began, and
 * request ids are never reused, so an old answer confirms nothing new (Ongaro's thesis, section 6.4).
 */
export class Reads {
  readonly #nowUs: () => number;
  /** The local replica's last applied index. */
  readonly #applied: () => Index;
  #ask: ((request: number) => void) | undefined;
  #gathering: ReadWaiter[] = [];
  #isScheduled = false;
  #nextRequest = 1;
  readonly #asked = new Map<number, ReadWaiter[]>();
  #confirmed: { readonly index: Index; readonly waiters: ReadWaiter[] }[] = [];
  #count = 0;
  #closed: MosaikError | undefined;

  constructor(nowUs: () => number, applied: () => Index) {
    this.#nowUs = nowUs;
    this.#applied = applied;
  }

  get pending(): number {
    return this.#count;
  }

  /** @throws `overloaded`; the cause of the close */
  add(waiter: ReadWaiter): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#count >= LIMITS.readsMax) {
      throw mosaikError("overloaded", "too many strong reads wait for a leader", { hidden: { rejected: [] } });
    }
    this.#count++;
    this.#gathering.push(waiter);
    this.#schedule();
  }

  /** Another leader, or none: whatever is not confirmed is asked again, under new ids. */
  setRoute(ask: ((request: number) => void) | undefined): void {
    this.#ask = ask;
    for (const waiters of this.#asked.values()) this.#gathering.push(...waiters);
    this.#asked.clear();
    this.#schedule();
  }

  onReply(request: number, index: Index | undefined): void {
    const waiters = this.#asked.get(request);
    if (waiters === undefined) return;
    this.#asked.delete(request);
    if (index === undefined) {
      // Asked again at the next tick, or by a new route.
      this.#gathering.push(...waiters);
    } else if (index <= this.#applied()) {
      this.#ready(waiters);
    } else {
      this.#confirmed.push({ index, waiters });
    }
  }

  /** The local replica went on. */
  onApplied(): void {
    if (this.#confirmed.length === 0) return;
    const index = this.#applied();
    const ready = this.#confirmed.filter((batch) => batch.index <= index);
    if (ready.length === 0) return;
    this.#confirmed = this.#confirmed.filter((batch) => batch.index > index);
    for (const { waiters } of ready) this.#ready(waiters);
  }

  /** Another log, perhaps another history, takes the place of the one in which reads were confirmed: all are asked again. */
  forget(): void {
    for (const { waiters } of this.#confirmed) this.#gathering.push(...waiters);
    for (const waiters of this.#asked.values()) this.#gathering.push(...waiters);
    this.#confirmed = [];
    this.#asked.clear();
    this.#schedule();
  }

  /** Called every tick. */
  sweep(): void {
    if (this.#count === 0) return;
    const now = this.#nowUs();
    const keep = (waiter: ReadWaiter): boolean => {
      if (now < waiter.deadlineUs) return true;
      this.#count--;
      waiter.onFailed(offline());
      return false;
    };
    this.#keep(keep);
    this.#schedule();
  }

  remove(waiter: ReadWaiter): boolean {
    const before = this.#count;
    this.#keep((other) => {
      if (other !== waiter) return true;
      this.#count--;
      return false;
    });
    return this.#count < before;
  }

  /** Ends all reads, and those to come. */
  close(error: MosaikError): void {
    this.#closed ??= error;
    const all = [
      ...this.#gathering,
      ...[...this.#asked.values()].flat(),
      ...this.#confirmed.flatMap(({ waiters }) => waiters),
    ];
    this.#gathering = [];
    this.#asked.clear();
    this.#confirmed = [];
    this.#count = 0;
    for (const waiter of all) waiter.onFailed(error);
  }

  /** A request that nobody waits for any more is forgotten: a leader that never answers must not make us remember it. */
  #keep(isKept: (waiter: ReadWaiter) => boolean): void {
    this.#gathering = this.#gathering.filter(isKept);
    for (const [request, waiters] of [...this.#asked]) {
      const kept = waiters.filter(isKept);
      if (kept.length === 0) this.#asked.delete(request);
      else this.#asked.set(request, kept);
    }
    this.#confirmed = this.#confirmed
      .map(({ index, waiters }) => ({ index, waiters: waiters.filter(isKept) }))
      .filter(({ waiters }) => waiters.length > 0);
  }

  #ready(waiters: readonly ReadWaiter[]): void {
    this.#count -= waiters.length;
    for (const waiter of waiters) waiter.onReady();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#ask === undefined || this.#gathering.length === 0) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#ask === undefined || this.#gathering.length === 0) return;
      const request = this.#nextRequest++;
      this.#asked.set(request, this.#gathering);
      this.#gathering = [];
      this.#ask(request);
    });
  }
}

/** The leader's side: which answer belongs to whom. Ids that Raft sees are never reused. */
export class ReadServer {
  #nextId = 1;
  readonly #replies = new Map<number, (index: Index | undefined) => void>();

  /** Remembers whom to answer, and gives the id for Raft; undefined if too many wait, whoever asks. */
  register(reply: (index: Index | undefined) => void): number | undefined {
    if (this.#replies.size >= LIMITS.readsMax) return undefined;
    const id = this.#nextId++;
    this.#replies.set(id, reply);
    return id;
  }

  answer(id: number, index: Index | undefined): void {
    const reply = this.#replies.get(id);
    this.#replies.delete(id);
    reply?.(index);
  }

  /** Leadership is lost: whoever still waits must ask elsewhere. */
  refuseAll(): void {
    const replies = [...this.#replies.values()];
    this.#replies.clear();
    for (const reply of replies) reply(undefined);
  }
}

function offline(): MosaikError {
  return mosaikError("group-offline", "no leader confirmed the read before the deadline", {
    details: { state: "offline" },
    hidden: { rejected: [] },
  });
}
