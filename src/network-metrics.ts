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
  registry.registerTogether(
    () => streams.figures,
    [
      [METRICS.producersActive, (figures) => figures.producers],
      [METRICS.producerConsumers, (figures) => figures.producerConsumers],
      [METRICS.producerConsumersAccepted, (figures) => figures.consumersAccepted],
      [METRICS.producerConsumersRejected, (figures) => figures.consumersRejected],
      [METRICS.producerItemsSent, (figures) => figures.itemsSent],
      [METRICS.producerItemsDropped, (figures) => figures.itemsDropped],
      [METRICS.producerBytesSent, (figures) => figures.bytesSent],
      [METRICS.consumersActive, (figures) => figures.consumers],
      [METRICS.consumerProducers, (figures) => figures.consumerProducers],
      [METRICS.consumerItemsReceived, (figures) => figures.itemsReceived],
      [METRICS.consumerBytesReceived, (figures) => figures.bytesReceived],
      [METRICS.consumerItemsInvalid, (figures) => figures.itemsInvalid],
    ],
  );
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
