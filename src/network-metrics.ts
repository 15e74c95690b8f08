import type { DiscoveryService } from "./discovery/index.ts";
import type { JoinedMember } from "./groups/index.ts";
import { UniqueId } from "./identity/index.ts";
import { METRICS, type Metric, type MetricsRegistry } from "./metrics/index.ts";
import type { StreamRegistry } from "./streams/index.ts";
import type { Endpoint } from "./transport/index.ts";

/** Connects the network's own plain numbers to the registry's names. */
export function registerNetworkMetrics(
  registry: MetricsRegistry,
  { endpoint, discovery }: { endpoint: Endpoint; discovery: DiscoveryService },
): void {
  registry.register(METRICS.linksOpen, () => endpoint.links.size);
  registry.register(METRICS.gossipNeighbors, () => discovery.neighbourCount);
  registry.register(METRICS.catalogSize, () => discovery.discovery.peers().length + 1);
}

/** What all streams of this node come to. */
export function registerStreamMetrics(registry: MetricsRegistry, streams: StreamRegistry): void {
  const { counters } = streams;
  const series: readonly (readonly [Metric, () => number])[] = [
    [METRICS.producersActive, () => streams.figures.producers],
    [METRICS.producerConsumers, () => streams.figures.producerConsumers],
    [METRICS.producerConsumersAccepted, () => counters.consumersAccepted],
    [METRICS.producerConsumersRejected, () => counters.consumersRejected],
    [METRICS.producerItemsSent, () => streams.figures.itemsSent],
    [METRICS.producerItemsDropped, () => streams.figures.itemsDropped],
    [METRICS.producerBytesSent, () => streams.figures.bytesSent],
    [METRICS.consumersActive, () => streams.figures.consumers],
    [METRICS.consumerProducers, () => streams.figures.consumerProducers],
    [METRICS.consumerItemsReceived, () => counters.itemsReceived],
    [METRICS.consumerBytesReceived, () => counters.bytesReceived],
    [METRICS.consumerItemsInvalid, () => counters.itemsInvalid],
  ];
  for (const [metric, read] of series) registry.register(metric, read);
}

/** The same for a group, as long as this node is in it. The result removes its series. */
export function registerGroupMetrics(registry: MetricsRegistry, { id, member }: JoinedMember): () => void {
  const labels = { group: UniqueId.short(id) };
  const series: readonly (readonly [Metric, () => number])[] = [
    [METRICS.position, () => member.position],
    [METRICS.committed, () => member.life?.commit ?? 0],
    [METRICS.voters, () => member.life?.voters.length ?? 0],
    [METRICS.nonVoters, () => member.bonds.all.filter(({ status }) => status.role !== "voter").length],
    [METRICS.committeeSize, () => member.bonds.all.length + 1],
    [METRICS.rivals, () => member.observations.rivals.length],
    [METRICS.storageFull, () => (member.room.isFull ? 1 : 0)],
    [METRICS.bondsActive, () => member.bonds.all.length],
    [METRICS.elections, () => member.observations.counters.elections],
    [METRICS.leaderChanges, () => member.observations.counters.leaderChanges],
  ];
  const removals = series.map(([metric, read]) => registry.register(metric, read, labels));
  return () => {
    for (const remove of removals) remove();
  };
}
