import { MosaikError, type SeededRandom } from "../../env/index.ts";
import type { Consumer, Producer } from "../../streams/index.ts";
import type { SimulatedNode, Simulation } from "../simulation.ts";
import type { Waits } from "../waits.ts";
import { ConsumerRecord, type ProducerRecord, type StreamJudge } from "./judge.ts";
import type { Parcel, ParcelStream, StreamPlan } from "./plan.ts";

export interface Stage {
  readonly simulation: Simulation;
  readonly plan: StreamPlan;
  readonly judge: StreamJudge;
  readonly waits: Waits;
  readonly random: SeededRandom;
  /** All heals: nobody closes or aborts any more. */
  isCalm: boolean;
  /** Programs end. */
  isOver: boolean;
}

const GIVEN_UP = new Error("given up");

/** On the node's own clock: held while it is paused, forgotten when it dies. */
export function pauseOf(node: SimulatedNode, ms: number): Promise<void> {
  return new Promise((resolve) => node.machine.env.after(ms, resolve));
}

/** Only ends that are told by name are expected. */
function expectEnd(error: unknown): void {
  if (error !== GIVEN_UP && !MosaikError.is(error, "closed")) throw error;
}

/** A program that sends, in one life of its node; at times it closes and opens anew. */
export class Sender {
  readonly node: SimulatedNode;
  readonly stream: ParcelStream;
  readonly life: number;
  readonly #stage: Stage;
  record: ProducerRecord;
  producer: Producer<Parcel>;

  constructor(stage: Stage, node: SimulatedNode, stream: ParcelStream) {
    this.#stage = stage;
    this.node = node;
    this.stream = stream;
    this.life = node.machine.life;
    this.record = stage.judge.begin(stream.lagging);
    this.producer = this.#open();
  }

  get isAlive(): boolean {
    return this.node.isUp && this.node.machine.life === this.life;
  }

  async run(): Promise<void> {
    const { random, plan, judge } = this.#stage;
    while (!this.#stage.isOver && this.isAlive) {
      // A life that is over may still come to itself in the middle of this, by a signal that is aborted.
      for (let i = random.between(1, 30); i > 0 && !this.#stage.isOver && this.isAlive; i--) await this.#send();
      judge.checkBounds(this.stream.lagging, this.producer.consumers, plan.maxQueued);
      await pauseOf(this.node, random.between(5, 300));
      if (this.#stage.isCalm || !random.chance(1, 25)) continue;
      await this.#stage.waits.watch(this.node, "producer.close", this.producer.close());
      await pauseOf(this.node, random.between(1, 500));
      if (!this.isAlive) return;
      this.record = judge.begin(this.stream.lagging);
      this.producer = this.#open();
    }
  }

  #open(): Producer<Parcel> {
    const { maxQueued } = this.#stage.plan;
    const { lagging, definition } = this.stream;
    const producer = this.node.network.streams.produce(definition, { lagging, maxQueued });
    this.#stage.waits.watch(this.node, "producer.closed", producer.closed);
    return producer;
  }

  async #send(): Promise<void> {
    const { random, plan, judge, waits, isCalm } = this.#stage;
    const { record, producer } = this;
    const place = ++record.offered;
    const parcel = { life: record.life, place, pad: "x".repeat(plan.padChars) };
    try {
      if (random.chance(1, 4)) {
        judge.settle(record, place, producer.trySend(parcel) === "queued" ? "taken" : "refused");
        return;
      }
      const controller = new AbortController();
      if (!isCalm) this.node.machine.env.after(random.between(1, 3_000), () => controller.abort(GIVEN_UP));
      await waits.watch(this.node, "send", producer.send(parcel, { signal: controller.signal }));
      judge.settle(record, place, "taken");
    } catch (error) {
      judge.settle(record, place, "refused");
      expectEnd(error);
    }
  }
}

/** A program that reads, in one life of its node, fast or slowly; at times it closes and comes back. */
export class Receiver {
  readonly node: SimulatedNode;
  readonly stream: ParcelStream;
  readonly life: number;
  readonly #stage: Stage;
  readonly #slowMs: number;
  record: ConsumerRecord;
  consumer: Consumer<Parcel>;

  constructor(stage: Stage, node: SimulatedNode, stream: ParcelStream) {
    this.#stage = stage;
    this.node = node;
    this.stream = stream;
    this.life = node.machine.life;
    this.#slowMs = stage.random.pick([0, 0, 5, 60]);
    [this.record, this.consumer] = this.#open();
  }

  get isAlive(): boolean {
    return this.node.isUp && this.node.machine.life === this.life;
  }

  async run(): Promise<void> {
    const { random, simulation, judge, plan, waits } = this.#stage;
    while (this.isAlive) {
      const { record, consumer } = this;
      const messages = consumer.messages({ keepOpen: true })[Symbol.asyncIterator]();
      for (;;) {
        const { done, value } = await waits.watch(this.node, "messages", messages.next());
        if (done === true) return;
        judge.onMessage(record, value, simulation.world.nowUs);
        judge.checkBounds("disconnect", consumer.producers, plan.maxQueued);
        // A link alone holds more small values than a slow program reads in a minute.
        const isSlow = this.#slowMs > 0 && !this.#stage.isCalm;
        if (isSlow && random.chance(1, 2)) await pauseOf(this.node, this.#slowMs);
        if (!this.#stage.isCalm && random.chance(1, 150)) break;
      }
      await waits.watch(this.node, "consumer.close", consumer.close());
      await pauseOf(this.node, random.between(1, 1_000));
      if (this.#stage.isOver || !this.isAlive) return;
      [this.record, this.consumer] = this.#open();
    }
  }

  #open(): [ConsumerRecord, Consumer<Parcel>] {
    const { random, plan, waits } = this.#stage;
    const { lagging, definition } = this.stream;
    const parity = random.chance(1, 2) ? undefined : { rest: random.below(2) };
    const consumer = this.node.network.streams.consume(definition, {
      maxQueued: plan.maxQueued,
      ...(parity === undefined ? {} : { criteria: parity }),
    });
    waits.watch(this.node, "consumer.closed", consumer.closed);
    return [new ConsumerRecord(lagging, parity), consumer];
  }
}
