import type { Channel } from "../../streams/index.ts";
import { RunViolation } from "../group-invariants.ts";
import type { StreamPlan } from "./plan.ts";
import type { Receiver } from "./receiver.ts";
import type { Sender } from "./sender.ts";

/** A send that could go on does so within this. */
const SERVED_US = 500_000;

/** What must hold at every moment, at both ends: looked at after each event. */
export class StreamWatch {
  readonly #plan: StreamPlan;
  /** Since when a program waits to send although nothing is in its way. */
  readonly #stuckSinceUs = new Map<Sender, number>();

  constructor(plan: StreamPlan) {
    this.#plan = plan;
  }

  /** @throws RunViolation */
  checkSender(sender: Sender, nowUs: number): void {
    const { maxConsumers = Number.POSITIVE_INFINITY, maxQueued } = this.#plan;
    const { channels, stream } = sender;
    for (const { peer, queued, missed } of channels) {
      const whom = `for ${peer.id} (${stream.lagging})`;
      if (queued > maxQueued) throw new RunViolation("stream-bounds", `${queued} values of ${maxQueued} wait ${whom}`);
      if (stream.lagging === "wait" && missed > 0)
        throw new RunViolation("stream-wait-loses-nothing", `${missed} values were left out ${whom}`);
    }
    if (channels.length > maxConsumers)
      throw new RunViolation("stream-places", `${channels.length} consumers of ${maxConsumers}`);
    this.#checkServed(sender, channels, nowUs);
  }

  /** @throws RunViolation */
  checkReceiver({ channels, stream }: Receiver): void {
    const { maxProducers = Number.POSITIVE_INFINITY, maxQueued } = this.#plan;
    const queued = channels.reduce((all, channel) => all + channel.queued, 0);
    if (queued > maxQueued)
      throw new RunViolation(
        "stream-bounds",
        `${queued} values of ${maxQueued} wait for a program (${stream.lagging})`,
      );
    if (channels.length > maxProducers)
      throw new RunViolation("stream-places", `${channels.length} producers of ${maxProducers}`);
  }

  /** Whoever is online, and has no value in a queue, takes the next one. */
  #checkServed(sender: Sender, channels: readonly Channel[], nowUs: number): void {
    const { node, record, isOnline } = sender;
    const isStuck = record.waiting > 0 && isOnline && !node.isPaused && channels.every(({ queued }) => queued === 0);
    if (!isStuck) {
      this.#stuckSinceUs.delete(sender);
      return;
    }
    const sinceUs = this.#stuckSinceUs.get(sender) ?? nowUs;
    this.#stuckSinceUs.set(sender, sinceUs);
    if (nowUs - sinceUs > SERVED_US)
      throw new RunViolation("stream-progress", `${record.waiting} values wait for nothing (${record.lagging})`);
  }
}
