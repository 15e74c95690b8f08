import type { PeerId } from "../../identity/index.ts";
import type { Lagging, Message } from "../../streams/index.ts";
import { RunViolation } from "../group-invariants.ts";
import { fits, type Parcel, type Parity } from "./plan.ts";

/** A lane that nobody listens to is kept for a minute; within this, the gap between two values must be exact. */
const LANE_KEPT_US = 45_000_000;

/** What was offered to one producer, by all of its handles, and what was taken of it. */
export interface ProducerRecord {
  readonly life: number;
  readonly from: PeerId;
  readonly lagging: Lagging;
  /** By place; places begin at 1. Undefined: it waits still, or its program died meanwhile. */
  readonly outcomes: ("taken" | "refused" | undefined)[];
  offered: number;
  /** Of those offered: without an outcome. */
  waiting: number;
  /** Consumers that got a value after this place lose nothing more, if their producer waits for them. */
  calmFrom: number;
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
 * Knows what each producer's programs sent, and compares it with what each consumer's program gets, value by value.
 *
 * `send` is first come, first served, over all handles of a producer: so what is taken is taken in the order of places, and a value that comes was
 * told to be taken before.
 */
export class StreamJudge {
  readonly #producers = new Map<number, ProducerRecord>();
  readonly #isCalm: boolean;
  #received = 0;
  #missed = 0;
  #taken = 0;
  #refused = 0;

  /** @param isCalm - no link ever fails: whoever waits for its consumers loses nothing from the start */
  constructor(isCalm: boolean) {
    this.#isCalm = isCalm;
  }

  /** Calls of `send` by outcome. Unknown: the program died while it waited. */
  get operations() {
    let offered = 0;
    for (const record of this.#producers.values()) offered += record.offered;
    return { ok: this.#taken, notApplied: this.#refused, unknown: offered - this.#taken - this.#refused };
  }
  /** Of values: taken from producers' programs, given to consumers' programs, and told there as missed. */
  get values() {
    return { sent: this.#taken, received: this.#received, missed: this.#missed };
  }

  begin(lagging: Lagging, from: PeerId): ProducerRecord {
    const calmFrom = this.#isCalm ? 0 : Number.POSITIVE_INFINITY;
    const life = this.#producers.size + 1;
    const record = { life, from, lagging, outcomes: [], offered: 0, waiting: 0, calmFrom };
    this.#producers.set(life, record);
    return record;
  }

  settle(record: ProducerRecord, place: number, outcome: "taken" | "refused"): void {
    record.outcomes[place] = outcome;
    record.waiting--;
    if (outcome === "taken") this.#taken++;
    else this.#refused++;
  }

  /** @throws RunViolation */
  onMessage(consumer: ConsumerRecord, message: Message<Parcel>, nowUs: number): void {
    const { value, sequence, missed } = message;
    const { life, place } = value;
    const what = `value ${place} of producer ${life} (${consumer.lagging}), sequence ${sequence}, missed ${missed}`;
    const producer = this.#sent(consumer, message, what);
    const last = consumer.last.get(life);
    if (last?.place === place) throw new RunViolation("stream-once", `${what} came twice`);
    if (last !== undefined && place < last.place)
      throw new RunViolation("stream-order", `${what} came after ${last.place}`);
    const skipped = takenBetween(producer, consumer.parity, last?.place ?? 0, place);
    if (missed > skipped) throw new RunViolation("stream-gap", `${what}, but only ${skipped} lie before it`);
    if (last !== undefined && nowUs - last.atUs < LANE_KEPT_US) {
      if (missed !== skipped || sequence !== last.sequence + missed + 1)
        throw new RunViolation("stream-gap", `${what}, and ${skipped} lie after ${last.place} (${last.sequence})`);
    }
    if (producer.lagging === "wait" && (last?.place ?? 0) >= producer.calmFrom && missed > 0)
      throw new RunViolation("stream-wait-loses-nothing", `${what}, though its link lived`);
    consumer.last.set(life, { place, sequence, atUs: nowUs });
    this.#received++;
    this.#missed += missed;
  }

  #sent({ lagging, parity }: ConsumerRecord, { value, from }: Message<Parcel>, what: string): ProducerRecord {
    const producer = this.#producers.get(value.life);
    if (producer?.outcomes[value.place] !== "taken" || producer.from !== from)
      throw new RunViolation("stream-invented", `${what} was not taken from its program`);
    if (producer.lagging !== lagging || (parity !== undefined && !fits(value, parity)))
      throw new RunViolation("stream-invented", `${what} is nothing that the consumer asked for`);
    return producer;
  }
}

function takenBetween({ outcomes }: ProducerRecord, parity: Parity | undefined, after: number, before: number): number {
  let count = 0;
  for (let place = after + 1; place < before; place++) {
    const isWanted = parity === undefined || place % 2 === parity.rest;
    if (isWanted && outcomes[place] === "taken") count++;
  }
  return count;
}
