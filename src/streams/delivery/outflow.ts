import type { ByteWriter } from "../../wire/index.ts";
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
  /** Something was gathered: `flush` is wanted at the end of this turn. */
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
 * consumers that have these criteria share. A turn takes no more than one queue holds, so that the links can take it, before more comes.
 *
 * Invariants: what a consumer gets is in the order of its lane, and nothing twice; each sequence of the lane is either sent to it, or counted in
 * `missed`, or waits in its queue, from its entry to its end; no queue is above its bounds, but by one value of `maxQueuedBytes`.
 */
export class Outflow<In> {
  readonly #o: OutflowOptions<In>;
  readonly #lanes: Lanes;
  /** Gathered in this turn. */
  #count = 0;
  #bytes = 0;

  constructor(options: OutflowOptions<In>) {
    this.#o = options;
    this.#lanes = new Lanes(options.drawToken);
  }

  /** @param criteria - encoded and decoded. Undefined: there are too many different ones */
  enter(
    port: Port,
    criteria: { readonly key: string; readonly value: unknown } | undefined,
    onLagging: () => void,
  ): Subscriber | undefined {
    const wanted = this.#o.matches === undefined ? undefined : criteria;
    const outlet = new Outlet(port, this.#o.limits, onLagging);
    const lane = this.#lanes.enter(wanted === undefined ? "" : `=${wanted.key}`, wanted, outlet);
    return lane && { lane, outlet };
  }

  leave({ lane, outlet }: Subscriber): void {
    outlet.end();
    this.#lanes.leave(lane, outlet, this.#o.nowMs());
  }

  /**
   * `next-turn`: not taken, since this turn has taken its part. `full`: not taken, since a queue is, until one of `drained` and `leave`.
   *
   * @throws what `matches` and `write` throw: not taken
   */
  offer(value: In): "taken" | "next-turn" | "full" {
    const { limits } = this.#o;
    if (this.#count >= limits.maxQueued || this.#bytes >= limits.maxQueuedBytes) return "next-turn";
    const fitting = this.#fitting(value);
    if (limits.lagging === "wait" && fitting.some((lane) => lane.outlets.size > 0 && lane.isFull)) return "full";
    this.#add(value, fitting);
    return "taken";
  }

  /** Hands over what was gathered. */
  flush(): void {
    this.#count = 0;
    this.#bytes = 0;
    for (const lane of this.#lanes.all) lane.flush();
  }

  /** The link of this consumer takes more. True: there may be room now. */
  drained({ lane, outlet }: Subscriber): boolean {
    const hasMoved = outlet.drained();
    if (hasMoved) lane.measure();
    return hasMoved;
  }

  sweep(): void {
    this.#lanes.sweep(this.#o.nowMs());
  }

  #fitting(value: In): readonly Lane[] {
    const { matches } = this.#o;
    const { all } = this.#lanes;
    if (matches === undefined) return all;
    return all.filter((lane) => lane.isAll || matches(value, lane.criteria));
  }

  #add(value: In, fitting: readonly Lane[]): void {
    let source: Lane | undefined;
    let start = 0;
    for (const lane of fitting) {
      if (lane.outlets.size === 0) continue;
      if (source !== undefined) lane.chunk.copyLast(source.chunk, start);
      else {
        start = this.#encode(lane, value);
        source = lane;
      }
    }
    // Only now, since the encoding may throw.
    for (const lane of fitting) {
      if (lane.outlets.size === 0) lane.chunk.skip();
      else if (lane.chunk.isFull) lane.flush();
    }
    if (source === undefined) this.#o.undelivered?.(value);
  }

  #encode({ chunk }: Lane, value: In): number {
    const start = chunk.add(this.#o.write, value);
    if (this.#count === 0) this.#o.onGathered();
    this.#count++;
    this.#bytes += chunk.bytes - start;
    return start;
  }
}
