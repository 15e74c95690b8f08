import type { Metric } from "./registry.ts";

function counter(name: string, help: string): Metric {
  return { name: `mosaik_${name}`, kind: "counter", help };
}
function gauge(name: string, help: string): Metric {
  return { name: `mosaik_${name}`, kind: "gauge", help };
}

/** What a network measures. Those of groups carry the label `group`. Names are stable: dashboards depend on them. */
export const METRICS = {
  connectionsOpened: counter(
    "network_connections_opened",
    "Connections that completed their handshake, dialled or accepted.",
  ),
  egressBytes: counter("network_egress_bytes", "Bytes written to peers."),
  ingressBytes: counter("network_ingress_bytes", "Bytes read from peers."),
  linksOpen: gauge("network_links_open", "Links that are open now."),
  linksRefused: counter(
    "network_links_refused",
    "Links that ended before they were agreed on: proof, version, network.",
  ),
  framesRefused: counter("network_frames_refused", "Frames of peers that could not be decoded; each closed its link."),
  dialsFailed: counter("network_dials_failed", "Dials that did not lead to a link."),

  catalogSize: gauge("discovery_catalog_size", "Peers in the catalog, this one included."),
  gossipNeighbors: gauge("discovery_gossip_neighbors", "Peers that discovery has a link with."),
  peersDiscovered: counter("discovery_peers_discovered", "Peers that entered the catalog."),
  peersUpdated: counter("discovery_peers_updated", "Newer entries of known peers."),
  peersDeparted: counter("discovery_peers_departed", "Peers that left, or were removed after long silence."),
  catalogSyncs: counter("discovery_catalog_syncs", "Exchanges of the catalog that completed."),
  entriesRefused: counter("discovery_entries_refused", "Entries of peers that were not valid."),

  producersActive: gauge("streams_producers_active", "Streams that this node produces."),
  producerConsumers: gauge("streams_producer_consumers", "Consumers that this node's producers serve."),
  producerConsumersAccepted: counter("streams_producer_consumers_accepted", "Consumers that were let in."),
  producerConsumersRejected: counter("streams_producer_consumers_rejected", "Consumers that were refused, or put out."),
  producerItemsSent: counter("streams_producer_items_sent", "Values sent, once for each consumer."),
  producerItemsDropped: counter("streams_producer_items_dropped", "Values left out, since a consumer was too slow."),
  producerBytesSent: counter("streams_producer_bytes_sent", "Bytes of values sent, encoded, once for each consumer."),
  consumersActive: gauge("streams_consumers_active", "Consumers that are open on this node."),
  consumerProducers: gauge("streams_consumer_producers", "Producers that this node's consumers hear."),
  consumerItemsReceived: counter("streams_consumer_items_received", "Values that came."),
  consumerBytesReceived: counter("streams_consumer_bytes_received", "Bytes of values that came, encoded."),
  consumerItemsInvalid: counter(
    "streams_consumer_items_invalid",
    "Values that came and made no sense, or that a schema refused.",
  ),

  groupsActive: gauge("groups_active", "Groups that this node is in."),
  elections: counter("groups_raft_elections", "Elections that this member stood for."),
  leaderChanges: counter("groups_raft_leader_changes", "Leaders that this member saw come."),
  committed: gauge("groups_raft_committed", "Last log index that this member knows to be committed."),
  position: gauge("groups_position", "Commands that this member applied."),
  voters: gauge("groups_raft_committee_voters", "Voters in the group."),
  nonVoters: gauge("groups_raft_committee_non_voters", "Members that follow without a vote."),
  committeeSize: gauge("groups_raft_committee_size", "Members in sight, this one included."),
  rivals: gauge(
    "groups_rivals",
    "Other open incarnations of the group in sight: it exists more than once, and an operator must decide.",
  ),
  storageFull: gauge("groups_storage_full", "1 while the disk has no room for what this member has to write."),
  bondsActive: gauge("groups_bonds_active", "Members that this one has a bond with."),
  bondBytesSent: counter("groups_bonds_bytes_sent", "Bytes of frames sent on bonds."),
  bondBytesReceived: counter("groups_bonds_bytes_received", "Bytes of frames received on bonds."),
  bondMessagesSent: counter("groups_bonds_messages_sent", "Frames sent on bonds."),
  bondMessagesReceived: counter("groups_bonds_messages_received", "Frames received on bonds."),
} as const satisfies Readonly<Record<string, Metric>>;
