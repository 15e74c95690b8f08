import { LIMITS } from "../../../env/index.ts";
import { STREAM_PROTOCOL } from "../../../streams/index.ts";
import { RunViolation } from "../../group-invariants.ts";
import type { SimulatedNode } from "../../simulation.ts";
import type { StreamPlan } from "../plan.ts";

/** As `inspect` tells it. */
interface NodeView {
  readonly links: readonly { readonly protocol: string; readonly queuedBytes: number }[];
  readonly streams: { readonly consumers: readonly { readonly name: string; readonly queued: number }[] };
}

/** What a link may hold for whoever does not read it: it is full once it has so much, and one more frame was taken. What else a frame has is less than this. */
const FRAME_REST_BYTES = 1_024;

/** Who does not read, or never stops sending, costs an honest node no more than what a link and a queue hold. @throws RunViolation */
export function checkLoad(honest: readonly SimulatedNode[], { maxQueued, sizes }: StreamPlan): void {
  const { consumerLinkBytes, streamChunkBytes } = LIMITS;
  const linkBytesMax = consumerLinkBytes + streamChunkBytes + sizes.large + FRAME_REST_BYTES;
  for (const { name, network } of honest) {
    const { links, streams } = network.inspect() as NodeView;
    for (const { protocol, queuedBytes } of links) {
      if (protocol === STREAM_PROTOCOL && queuedBytes > linkBytesMax)
        throw new RunViolation("stream-bounds", `a link of ${name} holds ${queuedBytes} bytes of ${linkBytesMax}`);
    }
    for (const { name: stream, queued } of streams.consumers) {
      if (queued > maxQueued)
        throw new RunViolation("stream-bounds", `${queued} values of ${maxQueued} wait at ${name} (${stream})`);
    }
  }
}
