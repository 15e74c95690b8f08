import type { Channel, Lagging, Message } from "../../streams/index.ts";
import { RunViolation } from "../group-invariants.ts";
import { fits, type Parcel, type Parity } from "./plan.ts";

/** A lane that nobody listens to is kept for a minute; within this, the gap between two values must be exact. */
const LANE_KEPT_US = 45_000_000;

/** What one producer handle offered, and what was taken of it. */
export interface ProducerRecord {
  readonly life: number;
  readonly lagging: Lagging;
  /** By place; places begin at 1. Undefined: it is not known yet. */
  readonly outcomes: ("taken" | "refused" | undefined)[];
  offered: number;
}

interface Last {
  readonly place: number;
  readonly sequence: number;
  readonly atUs: number;
}

/** What one consumer handle got. */
export class ConsumerRecord {
  readonly lagging: Lagging;
  readonly parity: Parity | undefined;
  readonly last = new Map<number, Last>();

  constructor(lagging: Lagging, parity: Parity | undefined) {
    this.lagging = lagging;
    this.parity = parity;
  }
}

/**
 * Knows what each producer's program sent, and compares it with what each consumer's program gets, value by value.
 *
 * A producer's program waits for each outcome before it offers the next value, so that the order of places is the order of sends.
 */
export class StreamJudge {
  readonly #producers = new Map<number, ProducerRecord>();
  /** From now on every link lives, and whoever waits for its consumers loses nothing. */
  calmFrom = new Map<number, number>();
  sent = 0;
  received = 0;
  missed = 0;

  begin(lagging: Lagging): ProducerRecord {
    const record = { life: this.#producers.size + 1, lagging, outcomes: [], offered: 0 };
    this.#producers.set(record.life, record);
    return record;
  }

  settle(record: ProducerRecord, place: number, outcome: "taken" | "refused"): void {
    record.outcomes[place] = outcome;
    if (outcome === "taken") this.sent++;
  }

  /** @throws RunViolation */
  onMessage(consumer: ConsumerRecord, { value, sequence, missed }: Message<Parcel>, nowUs: number): void {
    const { life, place } = value;
    const producer = this.#producers.get(life);
    const what = `value ${place} of producer ${life} (${consumer.lagging}), sequence ${sequence}, missed ${missed}`;
    if (producer === undefined || place > producer.offered || producer.outcomes[place] === "refused")
      throw new RunViolation("stream-invented", `${what} was not sent`);
    if (producer.lagging !== consumer.lagging || (consumer.parity !== undefined && !fits(value, consumer.parity)))
      throw new RunViolation("stream-invented", `${what} is nothing that the consumer asked for`);
    const last = consumer.last.get(life);
    if (last?.place === place) throw new RunViolation("stream-once", `${what} came twice`);
    if (last !== undefined && place < last.place)
      throw new RunViolation("stream-order", `${what} came after ${last.place}`);
    const skipped = this.#takenBetween(producer, consumer.parity, last?.place ?? 0, place);
    if (missed > skipped) throw new RunViolation("stream-gap", `${what}, but only ${skipped} lie before it`);
    if (last !== undefined && nowUs - last.atUs < LANE_KEPT_US) {
      if (missed !== skipped || sequence !== last.sequence + missed + 1)
        throw new RunViolation("stream-gap", `${what}, and ${skipped} lie after ${last.place} (${last.sequence})`);
    }
    const calm = this.calmFrom.get(life);
    if (calm !== undefined && producer.lagging === "wait" && last !== undefined && last.place >= calm && missed > 0)
      throw new RunViolation("stream-wait-loses-nothing", `${what}, though its link lived`);
    consumer.last.set(life, { place, sequence, atUs: nowUs });
    this.received++;
    this.missed += missed;
  }

  /** @throws RunViolation */
  checkBounds(lagging: Lagging, channels: readonly Channel[], maxQueued: number): void {
    for (const { peer, queued, missed } of channels) {
      if (queued > maxQueued)
        throw new RunViolation("stream-bounds", `${queued} values wait for ${peer.id} (${lagging})`);
      if (lagging === "wait" && missed > 0)
        throw new RunViolation("stream-wait-loses-nothing", `${missed} values were left out for ${peer.id}`);
    }
  }

  #takenBetween({ outcomes }: ProducerRecord, parity: Parity | undefined, after: number, before: number): number {
    let count = 0;
    for (let place = after + 1; place < before; place++) {
      const isWanted = parity === undefined || place % 2 === parity.rest;
      if (isWanted && outcomes[place] === "taken") count++;
    }
    return count;
  }
}
