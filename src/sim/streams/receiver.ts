import type { Channel, Consumer } from "../../streams/index.ts";
import type { SimulatedNode } from "../simulation.ts";
import { ConsumerRecord } from "./judge.ts";
import type { Parcel, ParcelStream } from "./plan.ts";
import { Program, pauseOf, type Stage, streamIdOf } from "./stage.ts";

/** Reads, fast or slowly; at times it closes and comes back. */
export class Receiver extends Program {
  readonly stream: ParcelStream;
  readonly #slowMs: number;
  record: ConsumerRecord;
  #consumer: Consumer<Parcel>;

  constructor(stage: Stage, node: SimulatedNode, stream: ParcelStream) {
    super(stage, node);
    this.stream = stream;
    this.#slowMs = stage.random.pick([0, 5, 60, 200]);
    [this.record, this.#consumer] = this.#open();
  }

  get channels(): readonly Channel[] {
    return this.#consumer.producers;
  }

  async run(): Promise<void> {
    const { random, simulation, judge, waits, hostility } = this.stage;
    while (this.isAlive) {
      const messages = this.#consumer.messages({ keepOpen: true })[Symbol.asyncIterator]();
      for (;;) {
        const { done, value } = await waits.watch(this.node, "messages", messages.next());
        if (done === true) return;
        if (hostility.isHostile(value.from)) hostility.judge.onMessage(this.record, value);
        else judge.onMessage(this.record, value, simulation.world.nowUs);
        // A link alone holds more small values than a slow program reads in a minute.
        const isSlow = this.#slowMs > 0 && !this.stage.isHealed;
        if (isSlow && random.chance(1, 2)) await pauseOf(this.node, this.#slowMs);
        if (!this.stage.isHealed && random.chance(1, 150)) break;
      }
      await waits.watch(this.node, "consumer.close", this.#consumer.close());
      await pauseOf(this.node, random.between(1, 1_000));
      if (this.stage.isOver || !this.isAlive) return;
      [this.record, this.#consumer] = this.#open();
    }
  }

  #open(): [ConsumerRecord, Consumer<Parcel>] {
    const { random, plan, waits, hostility, simulation } = this.stage;
    const { lagging, definition } = this.stream;
    const { maxQueued, maxProducers } = plan;
    const parity = random.chance(1, 2) ? undefined : { rest: random.below(2) };
    const consumer = this.node.network.streams.consume(definition, {
      maxQueued,
      maxProducers,
      criteria: parity,
      onInvalid: plan.hostiles === 0 ? undefined : random.pick(["skip", "disconnect"]),
      prefer: maxProducers === undefined ? undefined : ({ attributes }) => Number(attributes["weight"]),
    });
    hostility.dials.onOpen(this.node.peerId, streamIdOf(this.node, definition.name), simulation.world.nowUs);
    waits.watch(this.node, "consumer.closed", consumer.closed);
    return [new ConsumerRecord(lagging, parity), consumer];
  }
}
