/** Links over TLS against `node:tls` alone: what identity, hello, frames, batching and keep-alive cost. */
import { type Case, type Layout, measure, type Plan, type Row, WrongResult } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";
import { MESSAGE_BYTES, RAW_TLS, type RawPair, rawPair, rawPingPong } from "./peers.ts";

const LARGE_BYTES = 64 * 1024;
const MB = 1_000_000;

interface Sides {
  readonly raw: RawPair;
  readonly link: Part;
  readonly address: string;
}

export async function* transport(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  for (const layout of plan.layouts) {
    const sides = await makeSides(hosts, layout);
    for (const what of cases(sides, layout, plan)) {
      if (plan.only !== undefined && plan.only !== what.case) continue;
      await what.ours(); // to warm up
      await what.peer();
      yield await measure(what, plan.repeats);
    }
    await hosts.stop();
  }
}

async function makeSides(hosts: Hosts, layout: Layout): Promise<Sides> {
  const [near, far] = hosts.places(2, layout);
  if (near === undefined || far === undefined) throw new RangeError("two places");
  const server = await far.make("link", "LinkServer");
  const link = await near.make("link", "LinkClient");
  return { raw: await rawPair(hosts, layout), link, address: await server.call<string>("address") };
}

function cases({ raw, link, address }: Sides, layout: Layout, { isQuick }: Plan): Case[] {
  const common = { bench: "transport", peerName: RAW_TLS, layout };
  const durationMs = isQuick ? 200 : 1_000;
  const small = { bytes: MESSAGE_BYTES, count: isQuick ? 100_000 : 400_000, perTurn: 512 };
  const large = { bytes: LARGE_BYTES, count: isQuick ? 500 : 2_000, perTurn: 16 };
  const connections = { count: isQuick ? 10 : 40 };
  const rawStream = (shape: object): Promise<number> => raw.client.call("stream", raw.port, shape);
  const ourStream = async (shape: { readonly count: number }): Promise<number> => {
    const { perSecond, frames } = await link.call<{ perSecond: number; frames: number }>("stream", address, shape);
    if (frames !== shape.count) throw new WrongResult(`${frames} of ${shape.count} frames came`);
    return perSecond;
  };
  const inMB = (perSecond: number): number => (perSecond * LARGE_BYTES) / MB;
  return [
    {
      ...common,
      case: "latency",
      metric: "round trip, p50",
      unit: "us",
      better: "lower",
      // One way at most 0.65 round trips of the peer (streams): so much is left for all layers together.
      target: { ratio: 1 / 1.3 },
      ours: () => link.call("pingPong", address, { bytes: MESSAGE_BYTES, durationMs }),
      peer: () => rawPingPong(raw, durationMs),
    },
    {
      ...common,
      case: "throughput-100B",
      metric: "messages",
      unit: "1/s",
      better: "higher",
      target: undefined,
      ours: () => ourStream(small),
      peer: () => rawStream(small),
    },
    {
      ...common,
      case: "throughput-64KiB",
      metric: "bytes",
      unit: "MB/s",
      better: "higher",
      target: undefined,
      ours: async () => inMB(await ourStream(large)),
      peer: async () => inMB(await rawStream(large)),
    },
    {
      ...common,
      case: "connect",
      metric: "to the first byte, p50",
      unit: "us",
      better: "lower",
      target: undefined,
      ours: () => link.call("connect", address, connections),
      peer: () => raw.client.call("connect", raw.port, connections),
    },
  ];
}
