import { assert } from "../../env/index.ts";
import type { ByteWriter } from "../../wire/index.ts";
import { ChunkBuffers } from "./chunk-buffers.ts";
import { type Lane, Lanes } from "./lanes.ts";
import { Outlet, type Port, type QueueLimits } from "./outlet.ts";

export interface OutflowOptions<In> {
  readonly limits: QueueLimits;
  /** Does the value fit? Undefined: all consumers get all. May throw: then nobody gets the value. */
  readonly matches: ((value: In, criteria: unknown) => boolean) | undefined;
  /** Appends the value. May throw: then nobody gets it, and the writer is as it was. */
  readonly write: (writer: ByteWriter, value: In) => void;
  /** 32 random hex digits. */
  readonly drawToken: () => string;
  readonly nowMs: () => number;
  /** Values that no consumer wanted. */
  readonly undelivered: ((value: In) => void) | undefined;
  /** What `undelivered` threw: the value was taken all the same. The first cause, once. */
  readonly onProblem: (cause: unknown) => void;
  /** Something was taken: `flush` is wanted at the end of this turn. */
  readonly onGathered: () => void;
}

/** A consumer that is in. */
export interface Subscriber {
  readonly lane: Lane;
  readonly outlet: Outlet;
}

/**
 * From a producer's program to its consumers' links. Pure: what leaves goes through ports.
 *
 * A value is compared once with each distinct criteria, and encoded once; the values of one turn that fit the same criteria are one chunk, which all
 * consumers that have these criteria share. A turn takes no more than one queue holds, wanted or not, so that links and timers have theirs before more comes.
 * What the program does meanwhile, in `matches`, `write` and `undelivered`, is done after it: values that it offers are for the next turn.
 *
 * Invariants: what a consumer gets is in the order of its lane, and nothing twice; each sequence of the lane is either sent to it, or counted in
 * `missed`, or waits in its queue, from its entry to its end; no queue is above its bounds, but by one value of `maxQueuedBytes`.
 */
export class Outflow<In> {
  readonly #o: OutflowOptions<In>;
  readonly #buffers = new ChunkBuffers();
  readonly #lanes: Lanes;
  /** Taken in this turn, and gathered. */
  #count = 0;
  #bytes = 0;
  #isOffering = false;
  /** What came while a value was offered, and is for after it. */
  readonly #due: (() => void)[] = [];
  #isProblemTold = false;

  constructor(options: OutflowOptions<In>) {
    this.#o = options;
    this.#lanes = new Lanes(options.drawToken, this.#buffers);
  }

  /**
   * Runs it now, or right after the value that is being taken: the program's own code may be in the middle of writing it to a chunk. So nobody comes or
   * goes, and nothing is handed over, while a value is half there.
   */
  afterOffer(task: () => void): void {
    if (this.#isOffering) this.#due.push(task);
    else task();
  }

  /** Not while a value is taken. @param criteria - encoded and decoded. Undefined: there are too many different ones */
  enter(
    port: Port,
    criteria: { readonly key: string; readonly value: unknown } | undefined,
    onLagging: () => void,
  ): Subscriber | undefined {
    assert(!this.#isOffering, "nobody comes in the middle of a value");
    const wanted = this.#o.matches === undefined ? undefined : criteria;
    const outlet = new Outlet(port, { ...this.#o.limits, buffers: this.#buffers, onLagging });
    const lane = this.#lanes.enter(wanted === undefined ? "" : `=${wanted.key}`, wanted, outlet);
    return lane && { lane, outlet };
  }

  /** As `afterOffer`. */
  leave({ lane, outlet }: Subscriber): void {
    this.afterOffer(() => {
      // What was sent before, in this turn.
      lane.flush();
      outlet.end();
      this.#lanes.leave(lane, outlet, this.#o.nowMs());
    });
  }

  /**
   * `next-turn`: not taken, since this turn has taken its part. `full`: not taken, since a queue is, until one of `drained` and `leave`.
   *
   * @throws what `matches` and `write` throw: not taken
   */
  offer(value: In): "taken" | "next-turn" | "full" {
    const { maxQueued, maxQueuedBytes } = this.#o.limits;
    if (this.#isOffering || this.#count >= maxQueued || this.#bytes >= maxQueuedBytes) return "next-turn";
    this.#isOffering = true;
    try {
      return this.#take(value);
    } finally {
      this.#isOffering = false;
      for (let task = this.#due.shift(); task !== undefined; task = this.#due.shift()) task();
    }
  }

  /** Hands over what was gathered. As `afterOffer`. */
  flush(): void {
    this.afterOffer(() => {
      this.#count = 0;
      this.#bytes = 0;
      for (const lane of this.#lanes.all) lane.flush();
    });
  }

  /** The link of this consumer takes more. True: there may be room now. */
  drained({ lane, outlet }: Subscriber): boolean {
    const hasMoved = outlet.drained();
    if (hasMoved) lane.measure();
    return hasMoved;
  }

  /** Memory that nobody came back for goes. */
  sweep(): void {
    for (const lane of this.#lanes.all) for (const outlet of lane.outlets) outlet.releaseLeft();
    this.#buffers.clear();
    this.#lanes.sweep(this.#o.nowMs());
  }

  #fitting(value: In): readonly Lane[] {
    const { matches } = this.#o;
    const { all } = this.#lanes;
    if (matches === undefined) return all;
    return all.filter((lane) => lane.isAll || matches(value, lane.criteria));
  }

  #take(value: In): "taken" | "full" {
    const fitting = this.#fitting(value);
    const isWaiting = this.#o.limits.lagging === "wait";
    if (isWaiting && fitting.some((lane) => lane.outlets.size > 0 && lane.isFull)) return "full";
    const isWanted = this.#add(value, fitting);
    if (this.#count === 0) this.#o.onGathered();
    this.#count++;
    if (!isWanted) this.#handBack(value);
    return "taken";
  }

  /** False: nobody wants it. @throws what `write` throws: nothing is added */
  #add(value: In, fitting: readonly Lane[]): boolean {
    let source: Lane | undefined;
    let start = 0;
    for (const lane of fitting) {
      if (lane.outlets.size === 0) continue;
      if (source !== undefined) lane.chunk.copyLast(source.chunk, start);
      else {
        start = lane.chunk.add(this.#o.write, value);
        this.#bytes += lane.chunk.bytes - start;
        source = lane;
      }
    }
    // Only now, since the encoding may throw.
    for (const lane of fitting) {
      if (lane.outlets.size === 0) lane.chunk.skip();
      else if (lane.chunk.isFull) lane.flush();
    }
    return source !== undefined;
  }

  #handBack(value: In): void {
    try {
      this.#o.undelivered?.(value);
    } catch (cause) {
      if (!this.#isProblemTold) this.#o.onProblem(cause);
      this.#isProblemTold = true;
    }
  }
}
