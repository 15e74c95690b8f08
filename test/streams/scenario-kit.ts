import { replaySeed } from "../../src/env/index.ts";
import {
  type Channel,
  type Consumer,
  defineStream,
  type Message,
  type Network,
  type Producer,
} from "../../src/index.ts";
import { Simulation } from "../../src/sim/simulation.ts";

// For tests alone: whole nodes with streams, and what can be said of them.

export const Words = defineStream<string>("words");
/** Of scenarios under `simulate`. */
export const SEEDS = { seeds: 2 };

/** As `simulate`, for scenarios that need more of the simulation than a user gets. */
export async function underSeeds(scenario: (simulation: Simulation) => Promise<void>): Promise<void> {
  const only = replaySeed();
  for (const seed of only === undefined ? [1, 2] : [only]) {
    const simulation = new Simulation({ seed });
    try {
      await simulation.world.run(() => scenario(simulation));
    } catch (cause) {
      throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : "?"}`, { cause });
    }
  }
}

/** Its result. Rejects if it takes longer, in virtual time. */
export function within<T>(ms: number, sim: Sleeper, promise: Promise<T>, what = "it"): Promise<T> {
  const late = sim.sleep(ms).then((): never => {
    throw new Error(`${what} did not happen within ${ms} ms`);
  });
  return Promise.race([promise, late]);
}

export interface Sleeper {
  sleep(ms: number): Promise<void>;
}

/** Did it settle by itself, without anything that comes later? */
export async function isSettled(sim: Sleeper, promise: Promise<unknown>): Promise<boolean> {
  let has = false;
  const note = (): void => {
    has = true;
  };
  promise.then(note, note);
  await sim.sleep(0);
  return has;
}

/** The tags of the peers at the other ends, sorted. */
export function tagsOf(channels: readonly Channel[]): string[] {
  return channels.map(({ peer }) => [...peer.tags].join(" ")).sort();
}

export function heard(consumer: Consumer<unknown>): number {
  return consumer.producers.length;
}

export async function take<T>(consumer: Consumer<T>, count: number): Promise<T[]> {
  const values: T[] = [];
  while (values.length < count) values.push(await consumer.receive());
  return values;
}

/** Values and bytes of each link. */
export function countsOf(channels: readonly Channel[]): number[][] {
  return channels.map(({ items, bytes }) => [items, bytes]);
}

/** `online` and `offline`, as they come, from now on. */
export function edgesOf({ when }: Pick<Producer<never>, "when">): readonly string[] {
  const edges: string[] = [];
  const watch = async (): Promise<void> => {
    for (;;) {
      await when.online();
      edges.push("online");
      await when.offline();
      edges.push("offline");
    }
  };
  // It ends when the handle does.
  watch().catch(() => edges.push("closed"));
  return edges;
}

/** A number of this node's metrics, named without its prefix. */
export function metricOf(network: Network, name: string): number {
  const line = new RegExp(`^mosaik_streams_${name}\\{.*\\} (\\d+)$`, "m").exec(network.metrics());
  if (line === null) throw new Error(`no metric ${name}`);
  return Number(line[1]);
}

/** One producer, as a consumer of this node sees it. */
export interface SourceReport {
  readonly peer: string;
  readonly state: string;
  readonly failures: number;
  readonly lastCode: number | undefined;
}

interface StreamReport {
  readonly stream: string;
  readonly name: string;
}

/** What `inspect` says of the streams of a node. */
export function inspected(network: Network): {
  readonly producers: readonly StreamReport[];
  readonly consumers: readonly (StreamReport & { readonly producers: readonly SourceReport[] })[];
} {
  return network.inspect().streams as ReturnType<typeof inspected>;
}

/** All that it receives from now on, as it comes. */
export function collect<T>(consumer: Consumer<T>): readonly Message<T>[] {
  const messages: Message<T>[] = [];
  const read = async (): Promise<void> => {
    for await (const message of consumer.messages()) messages.push(message);
  };
  void read();
  return messages;
}

/** Why a consumer of this node, the first, was last without its only producer. */
export function lastCodeAt(network: Network): number | undefined {
  return inspected(network).consumers[0]?.producers[0]?.lastCode;
}
