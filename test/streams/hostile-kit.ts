import { LIMITS, silentLogger } from "../../src/env/index.ts";
import { Identity } from "../../src/identity/index.ts";
import { defineStream } from "../../src/index.ts";
import type { SimulatedNode, Simulation } from "../../src/sim/simulation.ts";
import { STREAM_PROTOCOL } from "../../src/streams/index.ts";
import { encodeAccept, FRAME } from "../../src/streams/messages.ts";
import { createEndpoint } from "../../src/transport/index.ts";
import { ByteWriter, type Link, messagePack } from "../../src/wire/index.ts";

// For tests alone: a producer that says what no producer of ours would.

export interface HostileProducer {
  /** Once a consumer has dialled, and was let in. */
  readonly link: Promise<Link>;
  /** The payload of a frame of values, each so many zeroes, as MessagePack. */
  valuesOf(sequence: number, bytes: readonly number[]): Uint8Array;
}

/** A node that advertises the stream, and in whose name another program answers those who dial. Knows no limits of frames. @param number - of several */
export async function hostileProducer(simulation: Simulation, name: string, number = 0): Promise<HostileProducer> {
  const address = `10.6.6.${number}:6`;
  const node: SimulatedNode = await simulation.addNode(`hostile ${number}`, { advertise: address });
  const env = simulation.world.env(`hostile program ${number}`);
  const identity = Identity.fromSeed(node.disk.identitySeed);
  const endpoint = createEndpoint({
    env,
    selfId: identity.peerId,
    transport: simulation.wire.transport({ env, identity, address }),
    network: node.network.id,
    secrets: [],
    logger: silentLogger,
    onBug: (cause) => simulation.world.fail(cause),
  });
  const link = new Promise<Link>((resolve) => {
    endpoint.handle(STREAM_PROTOCOL, {
      frameBytesMax: 2 * LIMITS.streamFrameBytesMax,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: () => ({ payload: new Uint8Array(0) }),
      onLink: (incoming) => {
        incoming.start({ onFrame: () => {}, onClose: () => {} });
        incoming.send(FRAME.accept, encodeAccept({ lane: "00".repeat(16), next: 1 }));
        resolve(incoming);
      },
    });
  });
  await endpoint.listen();
  node.network.streams.produce(defineStream(name));
  const valuesOf = (sequence: number, bytes: readonly number[]): Uint8Array => {
    const writer = new ByteWriter(64).varint(sequence);
    for (const count of bytes) {
      const value = messagePack.encode(new Uint8Array(count));
      writer.u32(value.length).fixed(value);
    }
    return writer.finish();
  };
  return { link, valuesOf };
}
