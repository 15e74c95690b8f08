import type { Channel, Producer } from "../../streams/index.ts";
import type { SimulatedNode } from "../simulation.ts";
import type { ProducerRecord } from "./judge.ts";
import type { Parcel, ParcelStream } from "./plan.ts";
import { expectEnd, GIVEN_UP, Program, pauseOf, type Stage } from "./stage.ts";

/**
 * Sends in bursts, over one or several handles of one producer, and does not wait for each value before the next; at times it closes a handle, or
 * all of them, while values still wait, and opens anew.
 */
export class Sender extends Program {
  readonly stream: ParcelStream;
  record: ProducerRecord;
  /** Open, never none but between two producers. */
  #handles: Producer<Parcel>[] = [];
  /** Calls of `send` that did not end yet. */
  readonly #sends = new Set<Promise<void>>();

  constructor(stage: Stage, node: SimulatedNode, stream: ParcelStream) {
    super(stage, node);
    this.stream = stream;
    this.record = this.#begin();
  }

  get isOnline(): boolean {
    return this.#handles[0]?.isOnline ?? false;
  }
  get channels(): readonly Channel[] {
    return this.#handles[0]?.consumers ?? [];
  }

  async run(): Promise<void> {
    const { random } = this.stage;
    while (!this.stage.isOver && this.isAlive) {
      // A life that is over may still come to itself in the middle of this, by a signal that is aborted.
      for (let i = random.between(1, 30); i > 0 && !this.stage.isOver && this.isAlive; i--) {
        this.#send();
        if (this.#sends.size >= this.stage.plan.sendsAtOnce) await Promise.race(this.#sends);
      }
      await pauseOf(this.node, random.between(5, 300));
      if (this.stage.isHealed || !this.isAlive) continue;
      if (random.chance(1, 8)) this.#changeHandles();
      if (random.chance(1, 25)) await this.#beginAnew();
    }
  }

  #begin(): ProducerRecord {
    const record = this.stage.judge.begin(this.stream.lagging, this.node.peerId);
    this.#handles = [this.#open()];
    return record;
  }

  #open(): Producer<Parcel> {
    const { maxQueued, maxQueuedBytes, maxConsumers } = this.stage.plan;
    const { lagging, definition } = this.stream;
    const options = { lagging, maxQueued, maxQueuedBytes, maxConsumers };
    const producer = this.node.network.streams.produce(definition, options);
    this.stage.waits.watch(this.node, "producer.closed", producer.closed);
    return producer;
  }

  /** One more, or one less; never the last one. */
  #changeHandles(): void {
    const { random, waits, plan } = this.stage;
    if (this.#handles.length < plan.handlesMax && random.chance(1, 2)) this.#handles.push(this.#open());
    else if (this.#handles.length > 1) {
      const [handle] = this.#handles.splice(random.below(this.#handles.length), 1);
      if (handle !== undefined) void waits.watch(this.node, "producer.close", handle.close());
    }
  }

  /** Whoever waits to send, over whichever handle, is told. */
  async #beginAnew(): Promise<void> {
    const { random, waits } = this.stage;
    if (random.chance(1, 2)) for (let i = random.between(1, 5); i > 0; i--) this.#send();
    const handles = this.#handles;
    this.#handles = [];
    await Promise.all(handles.map((handle) => waits.watch(this.node, "producer.close", handle.close())));
    await pauseOf(this.node, random.between(1, 500));
    if (this.isAlive && !this.stage.isOver) this.record = this.#begin();
  }

  #send(): void {
    const sending = this.#offer().catch((error: unknown) => this.stage.simulation.world.fail(error));
    this.#sends.add(sending);
    void sending.then(() => this.#sends.delete(sending));
  }

  async #offer(): Promise<void> {
    const { random, judge, waits, isHealed } = this.stage;
    const { record } = this;
    const producer = random.pick(this.#handles);
    const place = ++record.offered;
    const parcel = { life: record.life, place, pad: "x".repeat(this.#drawSize()) };
    record.waiting++;
    try {
      if (random.chance(1, 4)) {
        judge.settle(record, place, producer.trySend(parcel) === "queued" ? "taken" : "refused");
        return;
      }
      const controller = new AbortController();
      const isImpatient = !isHealed && random.chance(1, 3);
      if (isImpatient) this.node.machine.env.after(random.between(1, 3_000), () => controller.abort(GIVEN_UP));
      await waits.watch(this.node, "send", producer.send(parcel, { signal: controller.signal }));
      judge.settle(record, place, "taken");
    } catch (error) {
      judge.settle(record, place, "refused");
      expectEnd(error);
    }
  }

  #drawSize(): number {
    const { random, plan, isHealed } = this.stage;
    if (isHealed) return 10;
    return random.chance(1, 4) ? plan.sizes.large : plan.sizes.usual;
  }
}
