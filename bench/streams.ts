/** Streams between two processes, against a NATS server with its npm client, and against what `node:tls` alone does. */
import { type Case, MissingPeer, measure, type Plan, type Row, type Target, WrongResult } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";
import { type Nats, startNats } from "./nats.ts";
import { MESSAGE_BYTES, NATS, RAW_TLS, type RawPair, rawPair, rawPingPong } from "./peers.ts";

const LARGE_BYTES = 64 * 1024;
const MB = 1_000_000;
/** Runs of each side before those that count. */
const WARM_UPS = 4;
/** One way, of the peer's round trip. */
const LATENCY_RATIO = 1 / 0.65;

/** A process that produces, and one that consumes. */
interface Ends {
  readonly near: Part;
  readonly far: Part;
}

interface Sides {
  readonly ours: Ends;
  readonly nats: Nats | undefined;
  readonly raw: RawPair | undefined;
}

interface Shape {
  readonly bytes: number;
  readonly count: number;
  readonly consumers: number;
}

export async function* streams(plan: Plan, hosts: Hosts): AsyncGenerator<Row> {
  if (!plan.layouts.includes("processes")) return;
  const sides = await start(plan, hosts);
  try {
    for (const { name, prepare, rows } of [latency(sides, plan), ...throughputs(sides, plan)]) {
      if (plan.only !== undefined && plan.only !== name) continue;
      await prepare();
      for (const row of rows) {
        await warmUp(row);
        yield await measure(row, plan.repeats);
      }
    }
  } finally {
    await sides.nats?.stop();
  }
}

/** What a service that has run for a while does, and not how fast an engine compiles. */
async function warmUp({ ours, peer }: Case): Promise<void> {
  for (let i = 0; i < WARM_UPS; i++) {
    await ours();
    await peer();
  }
}

async function start(plan: Plan, hosts: Hosts): Promise<Sides> {
  const wants = (name: string): boolean => plan.peer === undefined || plan.peer === name;
  const nats = wants(NATS) ? await natsOf(plan, hosts) : undefined;
  const raw = wants(RAW_TLS) ? await rawPair(hosts, "processes") : undefined;
  const near = await hosts.start().make("stream", "StreamEnd");
  const far = await hosts.start().make("stream", "StreamEnd");
  await far.call("create", await near.call<string>("create"));
  return { ours: { near, far }, nats, raw };
}

async function natsOf(plan: Plan, hosts: Hosts): Promise<Nats | undefined> {
  try {
    return await startNats(hosts);
  } catch (error) {
    if (!(error instanceof MissingPeer) || plan.peer === NATS) throw error;
    plan.leaveOut(`${NATS}: ${error.message}`);
    return undefined;
  }
}

/** The rows of one case, once both sides are connected. */
interface Group {
  readonly name: string;
  prepare(): Promise<void>;
  readonly rows: readonly Case[];
}

function latency({ ours, nats, raw }: Sides, { isQuick }: Plan): Group {
  const shape = { bytes: MESSAGE_BYTES, durationMs: isQuick ? 200 : 1_000 };
  const oneWay = ({ near }: Ends): Promise<number> => near.call("halfPingPong", shape);
  const name = "latency";
  const common = { bench: "streams", case: name, unit: "us", better: "lower", layout: "processes" } as const;
  const row = { ...common, metric: "one way, p50", ours: () => oneWay(ours) };
  const rows: Case[] = [];
  if (nats !== undefined) rows.push({ ...row, peerName: nats.name, target: undefined, peer: () => oneWay(nats) });
  if (raw !== undefined) {
    const peer = (): Promise<number> => rawPingPong(raw, shape.durationMs);
    rows.push({ ...row, peerName: `${RAW_TLS} ping-pong`, target: { ratio: LATENCY_RATIO }, peer });
  }
  const prepare = async (): Promise<void> => {
    await ours.far.call("echo");
    await nats?.far.call("echo");
  };
  return { name, prepare, rows };
}

function throughputs(sides: Sides, plan: Plan): Group[] {
  const times = plan.isQuick ? 0.1 : 1;
  const fanOut = (consumers: number): Group => {
    const shape = { bytes: MESSAGE_BYTES, count: (800_000 * times) / (consumers + 3), consumers };
    return throughput(sides, `fan-out-${consumers}`, { ...shape, count: Math.round(shape.count) }, undefined);
  };
  return [
    throughput(
      sides,
      "throughput-100B",
      { bytes: MESSAGE_BYTES, count: 400_000 * times, consumers: 1 },
      { ratio: 2 },
      { ours: 1_500_000 },
    ),
    // Less in all than what a NATS server keeps for a consumer (64 MB) before it cuts it off.
    throughput(sides, "throughput-64KiB", { bytes: LARGE_BYTES, count: 800 * times, consumers: 1 }, { ratio: 1.9 }),
    ...[1, 10, 50].map(fanOut),
  ];
}

function throughput(
  { ours, nats, raw }: Sides,
  name: string,
  shape: Shape,
  natsTarget: Target | undefined,
  rawTarget?: Target,
): Group {
  const { bytes, count, consumers } = shape;
  const isLarge = bytes === LARGE_BYTES;
  const figure = (perSecond: number): number => (isLarge ? (perSecond * bytes) / MB : perSecond);
  const common = { bench: "streams", case: name, better: "higher", layout: "processes" } as const;
  const unit = isLarge ? "MB/s" : "1/s";
  const metric = isLarge ? "bytes" : consumers === 1 ? "values" : "values, at all consumers";
  const row = { ...common, metric, unit, ours: async () => figure(await rateOf(ours, name, shape)) };
  const rows: Case[] = [];
  if (nats !== undefined) {
    const peer = async (): Promise<number> => figure(await rateOf(nats, name, shape));
    rows.push({ ...row, peerName: nats.name, target: natsTarget, peer });
  }
  if (raw !== undefined && consumers === 1) {
    const perTurn = isLarge ? 16 : 512;
    const peer = async (): Promise<number> =>
      figure(await raw.client.call<number>("stream", raw.port, { bytes, count, perTurn }));
    rows.push({ ...row, peerName: RAW_TLS, target: rawTarget, peer });
  }
  const prepare = async (): Promise<void> => {
    await ours.far.call("consume", name, consumers);
    await ours.near.call("produce", name, consumers);
    await nats?.far.call("consume", name, consumers);
  };
  return { name, prepare, rows };
}

/** Values per second, from the first that is sent until each consumer has all. */
async function rateOf({ near, far }: Ends, name: string, { bytes, count, consumers }: Shape): Promise<number> {
  const [beganUs, received] = await Promise.all([
    near.call<number>("send", name, { bytes, count }),
    far.call<{ doneUs: number; bytes: number }>("received", count),
  ]);
  const expected = bytes * count * consumers;
  if (received.bytes !== expected) throw new WrongResult(`${received.bytes} of ${expected} bytes came`);
  return (count * consumers * 1_000_000) / (received.doneUs - beganUs);
}
