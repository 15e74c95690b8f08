import { assert, type Env, LIMITS, type Timer } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Address, DialFailure } from "../types.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { Conditions } from "./conditions.ts";

/** Bytes on their way and not read yet, as a TCP window allows; more waits at the sender. */
const WINDOW_BYTES = 256 * 1024;
/** What leaves, and what a reader sees, at once. */
const SEGMENT_BYTES = 64 * 1024;

/** What travels beside bytes, in order with them. */
export type Signal =
  | { readonly type: "hello"; readonly peerId: PeerId }
  | { readonly type: "verdict"; readonly verdict: Verdict }
  | { readonly type: "open" }
  | { readonly type: "end" }
  | { readonly type: "reset" };

export type Verdict =
  | { readonly ok: true; readonly peerId: PeerId }
  | { readonly ok: false; readonly failure: DialFailure; readonly problem: string };

/** The receiving end, as the pipe sees it. */
export interface PipeTarget {
  /** Whose events the arrivals are, and whose clock counts. Undefined: nobody is there, and nobody says so; all waits for `wake`. */
  arrivalEnv(): Env | undefined;
  /** Takes bytes and the end now. Other signals need no reader. */
  readonly isReading: boolean;
  onBytes(bytes: Uint8Array): void;
  onSignal(signal: Signal): void;
}

/** The sending end. */
export interface PipeSource {
  /** Nothing is left to send, and somebody was told to wait. */
  onDrain(): void;
  /** All bytes and the end have left. */
  onEndSent(): void;
}

interface Item {
  /** Undefined: a run of bytes. */
  readonly signal: Signal | undefined;
  length: number;
  /** By the receiver's clock. */
  dueUs: number;
}

/**
 * One direction of a connection.
 *
 * Bytes wait at the sender (`unsent`), then are on their way (copied, and in `items`, oldest first) until the receiver takes them. At most one timer
 * runs, for the oldest item that can be taken; nothing overtakes but a reset, which also ends a receiver that does not read.
 */
export class Pipe {
  readonly from: Address;
  readonly to: Address;
  readonly #conditions: Conditions;
  readonly #source: PipeSource;
  readonly #target: PipeTarget;
  readonly #unsent = new ByteQueue();
  readonly #inFlight = new ByteQueue();
  #items: Item[] = [];
  #lastDueUs = 0;
  #freeAtUs = 0;
  #timer: Timer | undefined;
  #isStalled = false;
  #isBlackHole = false;
  #isDrainAwaited = false;
  #end: "no" | "asked" | "sent" = "no";

  constructor(from: Address, to: Address, conditions: Conditions, source: PipeSource, target: PipeTarget) {
    this.from = from;
    this.to = to;
    this.#conditions = conditions;
    this.#source = source;
    this.#target = target;
  }

  get unsentBytes(): number {
    return this.#unsent.length;
  }

  get isEndSent(): boolean {
    return this.#end === "sent";
  }

  // ── The sender's side ──

  /** False: wait for `onDrain`. */
  write(bytes: Uint8Array): boolean {
    if (this.#end !== "no") return false;
    this.#unsent.push(bytes);
    this.#send();
    if (this.unsentBytes >= LIMITS.streamHighWaterBytes) this.#isDrainAwaited = true;
    return !this.#isDrainAwaited;
  }

  /** After all that was written. */
  end(): void {
    if (this.#end !== "no") return;
    this.#end = "asked";
    this.#send();
  }

  /** Outside of the order of bytes: for the handshake. */
  signal(signal: Signal): void {
    this.#push({ signal, length: 0, dueUs: 0 });
    this.arm();
  }

  /** What has not left is lost, what is on its way still arrives, and then the receiver hears of it. */
  reset(): void {
    this.#end = "sent";
    this.#isDrainAwaited = false;
    this.signal({ type: "reset" });
  }

  #send(): void {
    while (this.#end !== "sent" && this.unsentBytes > 0) {
      const length = Math.min(this.unsentBytes, SEGMENT_BYTES);
      if (this.#inFlight.length + length > WINDOW_BYTES) break;
      this.#inFlight.push(this.#unsent.take(length));
      this.#push({ signal: undefined, length, dueUs: 0 });
    }
    if (this.#end === "asked" && this.unsentBytes === 0) {
      this.#end = "sent";
      this.#push({ signal: { type: "end" }, length: 0, dueUs: 0 });
      this.#source.onEndSent();
    }
    if (this.#isDrainAwaited && this.unsentBytes === 0) {
      this.#isDrainAwaited = false;
      this.#source.onDrain();
    }
    this.arm();
  }

  #push(item: Item): void {
    const nowUs = this.#target.arrivalEnv()?.clock.monotonicUs() ?? this.#lastDueUs;
    const rate = this.#conditions.bytesPerSecond?.(this.from, this.to);
    this.#freeAtUs = Math.max(this.#freeAtUs, nowUs);
    if (rate !== undefined) this.#freeAtUs += Math.ceil((item.length * 1_000_000) / rate);
    item.dueUs = Math.max(this.#lastDueUs, this.#freeAtUs + this.#delayUs());
    this.#lastDueUs = item.dueUs;
    this.#items.push(item);
  }

  // ── The receiver's side ──

  /** Looks again whether something can be taken, and when. For a receiver that begins to read, too. */
  arm(): void {
    if (this.#timer !== undefined || this.#isStalled || this.#isBlackHole) return;
    const next = this.#next();
    const env = next && this.#target.arrivalEnv();
    if (next === undefined) return;
    if (env === undefined) {
      this.#isStalled = true;
      return;
    }
    const delayUs = Math.max(0, next.dueUs - env.clock.monotonicUs());
    this.#timer = env.after(delayUs / 1000, () => {
      this.#timer = undefined;
      this.#arrive();
    });
  }

  /** After a heal, or when somebody came to where nobody was: what waited travels again. */
  wake(): void {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    const nowUs = this.#target.arrivalEnv()?.clock.monotonicUs() ?? 0;
    const [head] = this.#items;
    if (head !== undefined) head.dueUs = Math.max(head.dueUs, nowUs + this.#delayUs());
    this.arm();
  }

  /** The receiver died, or was born: pending arrivals were its events. */
  rearm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.arm();
  }

  /** From now on nothing arrives, ever, and nobody is told. Idempotent. */
  becomeBlackHole(): void {
    this.#isBlackHole = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #next(): Item | undefined {
    const [head] = this.#items;
    if (head === undefined || this.#target.isReading || !needsReader(head)) return head;
    const last = this.#items.at(-1);
    return last?.signal?.type === "reset" ? last : undefined;
  }

  #arrive(): void {
    const item = this.#next();
    const env = this.#target.arrivalEnv();
    if (item === undefined) return;
    if (env === undefined || this.#conditions.isBlocked?.(this.from, this.to)) {
      this.#isStalled = true;
      return;
    }
    const nowUs = env.clock.monotonicUs();
    if (item.dueUs > nowUs) {
      this.arm(); // an early timer
      return;
    }
    if (item.signal !== undefined) {
      this.#items.splice(this.#items.indexOf(item), 1);
      this.arm();
      this.#target.onSignal(item.signal);
      return;
    }
    const bytes = this.#takeBytes(nowUs);
    this.#send(); // arms, too
    this.#target.onBytes(bytes);
  }

  /** Runs that are there together are read together, and cut anew. */
  #takeBytes(nowUs: number): Uint8Array {
    let available = 0;
    for (const { signal, length, dueUs } of this.#items) {
      if (signal !== undefined || dueUs > nowUs || available >= SEGMENT_BYTES) break;
      available += length;
    }
    available = Math.min(available, SEGMENT_BYTES);
    const cut = this.#conditions.cutAt?.(this.from, this.to, available) ?? available;
    assert(Number.isInteger(cut) && cut >= 1 && cut <= available, "a cut is within the chunk");
    let left = cut;
    while (left > 0) {
      const head = this.#items[0] as Item;
      const part = Math.min(left, head.length);
      head.length -= part;
      left -= part;
      if (head.length === 0) this.#items.shift();
    }
    return this.#inFlight.take(cut);
  }

  #delayUs(): number {
    return this.#conditions.delayUs?.(this.from, this.to) ?? 0;
  }
}

function needsReader({ signal }: Item): boolean {
  return signal === undefined || signal.type === "end";
}
