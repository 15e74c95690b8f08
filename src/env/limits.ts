import { assert } from "./assert.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Every bound of the library, in one place. Relations between them are checked below, when the module loads. */
export const LIMITS = {
  // ── Wire ──
  /** One frame on a discovery link, header excluded. */
  discoveryFrameBytesMax: 256 * KiB,
  /** One frame on a bond. */
  groupFrameBytesMax: 4 * MiB,
  /** The hello, and the close frame, on any link. */
  helloBytesMax: 16 * KiB,
  /** Proof of the network's secret, within a hello. */
  helloProofBytesMax: 256,
  /** Text of a close reason, in UTF-8. Longer ones are cut. */
  closeReasonBytesMax: 256,
  /** Nesting of a decoded value. */
  valueDepthMax: 64,
  /** Items and fields of a decoded value, at all levels: what costs most to make has the fewest bytes. */
  valueItemsMax: 128 * 1024,
  /** Bytes that a link holds for a slow peer before `send` reports that it is full. */
  linkHighWaterBytes: 1 * MiB,
  /** The same of a link to a consumer of a stream: what it holds is beside the consumer's queue, and comes before it. */
  consumerLinkBytes: 512 * KiB,
  /** Bytes held for a slow peer before the link is closed as `too-slow`. */
  linkQueuedBytesMax: 64 * MiB,

  // ── Links ──
  /** Frames of one link that are handled before all others have a turn. A small one costs some 2 us. */
  framesBeforeRestMax: 1_024,
  /** Dial, TLS and hello together. */
  handshakeTimeoutMs: 5_000,
  /** A peer that takes longer to accept our closing is cut off. */
  closeTimeoutMs: 2_000,
  /** Silence on an idle link before it is probed, and before it is given up. */
  keepAliveIntervalMs: 2_000,
  keepAliveTimeoutMs: 8_000,
  /** Connections whose handshake is not over; one remote address (IPv6: one /64) may hold a quarter of them. */
  handshakesInProgressMax: 512,
  handshakesPerAddressMax: 128,
  /** Handshakes that begin in one turn. Each costs about a millisecond, twice. */
  handshakesPerTurnMax: 4,
  connectionsPerAddressMax: 512,
  connectionsMax: 4_096,
  /** Bytes that a connection holds for a slow peer before `write` reports that it is full. */
  streamHighWaterBytes: 256 * KiB,
  /** Addresses of one host name that a dial tries. */
  resolvedAddressesMax: 8,

  // ── Discovery ──
  /** One signed entry. */
  entryBytesMax: 16 * KiB,
  attributesBytesMax: 4 * KiB,
  tagsMax: 64,
  tagBytesMax: 128,
  addressesMax: 32,
  addressBytesMax: 280,
  entryGroupsMax: 256,
  entryStreamsMax: 256,
  ticketsMax: 16,
  ticketBytesMax: 8 * KiB,
  catalogEntriesMax: 10_000,
  /** Departures, and entries let go, that are remembered so that old news cannot bring them back. */
  tombstonesMax: 10_000,
  /** What one discovery frame may carry. A digest item has at most 58 bytes. */
  frameEntriesMax: 256,
  frameDigestItemsMax: 4_096,
  frameRangesMax: 64,
  /** Open discovery links, whoever dialled. */
  discoveryLinksMax: 256,
  bootstrapMax: 64,
  /** Dials to peers that should know us, under way at a time. */
  introductionsMax: 16,
  /** Round trips that we measure at a time, that others measure to us at a time, and pings on one link of theirs. */
  probesMax: 8,
  probeLinksMax: 64,
  probePingsMax: 16,
  /** Signatures verified in one turn, whoever sent them, and from one such turn to the next. One takes 0.1 to 0.25 ms. */
  verificationsPerTurnMax: 16,
  verificationTurnMs: 5,
  /** An entry's clock may be ahead of ours by this much. */
  clockDriftMsMax: 50_000,

  // ── Storage ──
  /** Times that a store was opened, by which peers know it again. */
  openingIdsMax: 256,
  /** Voters in force at a snapshot, encoded. */
  snapshotConfigurationBytesMax: 64 * KiB,
  /** A piece of a snapshot's data, on disk and in memory. */
  snapshotChunkBytes: 256 * KiB,
  /** Chunks of one snapshot: 16 GiB. */
  snapshotChunksMax: 65_536,
  /** Applied data after which a snapshot is taken, however few entries it is; and what is kept of the log before one. */
  snapshotEveryBytes: 64 * MiB,
  /** One value that a machine's `snapshot` yields, encoded. */
  snapshotPartBytesMax: 16 * MiB,
  /** The log's first segment; each is twice the one before, up to the largest. A write that is larger gets one that holds it. */
  segmentBytesMin: 1 * MiB,
  segmentBytesMax: 16 * MiB,
  /** The end of each segment is kept for votes, for when the disk is full. */
  segmentReserveBytes: 64 * KiB,
  /** One write, encoded: it is one record. */
  storageWriteBytesMax: 256 * MiB,
  /** Writes that wait for the disk go together with one sync, up to about this. */
  storageBatchBytesMax: 4 * MiB,

  // ── Groups ──
  /** One command, encoded. */
  commandBytesMax: 1 * MiB,
  /** One batch of `executeMany`, encoded: it is one entry. */
  batchBytesMax: 2 * MiB,
  batchCommandsMax: 65_536,
  /** Batches that share an entry; more are added while it has less than these bytes. */
  runBatchesMax: 1_024,
  runBytesMax: 64 * KiB,
  /** One log entry: a batch, what shares the entry with it, and what the log adds. */
  entryDataBytesMax: 2 * MiB + 128 * KiB,
  /** Open sessions of a group; beyond them those end whose owners were away longest. As many ended ones are remembered. */
  sessionsMax: 10_000,
  /** Sessions that one entry ends. */
  sessionEndsMax: 1_024,
  /** Results of commands whose callers gave up waiting, kept for `outcomeOf`. */
  outcomesMax: 256,
  /** Commands of one member that are on their way. */
  windowEntriesMax: 4_096,
  windowBytesMax: 16 * MiB,
  /** What one append message carries, and what one follower may have in flight. */
  appendBytesMax: 1 * MiB,
  appendEntriesMax: 1_024,
  inflightBytesMax: 8 * MiB,
  /** Raft messages in one frame. */
  raftMessagesMax: 64,
  /** What a leader has taken and not yet appended; it appends once a turn. */
  leaderRequestsMax: 16_384,
  leaderRequestBytesMax: 64 * MiB,
  /** What a leader has appended and not yet committed; more waits. */
  leaderUncommittedBytesMax: 16 * MiB,
  /** Bonds of one member. */
  bondsMax: 1_024,
  /** Bonds of one member with observers that follow it, and of a leader, who has other work. */
  observersMax: 64,
  leaderObserversMax: 16,
  /** Bonds of a leader with observers that have commands or strong reads for it. */
  visitorsMax: 512,
  /** Members that pull what is committed from one that does not lead, and from a leader; voters not counted. */
  pullersMax: 32,
  leaderPullersMax: 8,
  /** Strong reads of one member that wait for a leader. */
  readsMax: 65_536,
  votersMax: 5,
  expectMax: 5,
  groupsPerNetworkMax: 256,
  nameBytesMax: 256,
  /** Commands of one machine, and queries; their names. */
  machineHandlersMax: 256,
  handlerNameBytesMax: 128,
  secretCharactersMin: 16,
  // ── Streams ──
  /** One value of a stream, encoded. */
  streamValueBytesMax: 4 * MiB,
  /** Values that are sent in one turn share a frame; a new one begins after these bytes. */
  streamChunkBytes: 64 * KiB,
  /** Of buffers for full chunks, twice as long as those, that a producer keeps for the next ones. */
  streamSpareBuffersMax: 16,
  streamFrameBytesMax: 4 * MiB + 128 * KiB,
  /** Values that the schema refuses, read by one consumer in a turn, from all its links. With a thorough schema one costs some 5 us. */
  streamRefusedBeforeRestMax: 1_024,
  /** What a consumer asks for, encoded. */
  streamCriteriaBytesMax: 4 * KiB,
  /** Values, and bytes of them, that wait for one consumer at its producer, and for the program at the consumer; if nothing else is said. */
  streamQueuedMax: 1_024,
  streamQueuedBytesMax: 8 * MiB,
  /** Distinct criteria that one producer tells apart: those of its consumers, and those whose consumers may come back. */
  streamLanesMax: 1_024,
  /** Calls of `send` of one producer that wait at once. */
  streamSendsMax: 16_384,
  /** So long, and so many, are counted on after their last consumer is gone, so that it hears how much it missed. */
  streamLaneKeptMs: 60_000,
  /** Producers that a consumer lost lately, and remembers how far it came with. */
  streamProgressMax: 4_096,
  streamLanesKeptMax: 64,
  consumersPerNetworkMax: 1_024,
  /** Links of one producer. */
  streamConsumersMax: 4_096,
  /** A producer that closes waits so long for its consumers to take what is queued. */
  streamDrainTimeoutMs: 5_000,

  /** Items that a slow reader of a subscription may leave waiting before it is told `reset`. */
  subscriptionItemsMax: 1_024,
} as const;

assert(LIMITS.commandBytesMax < LIMITS.batchBytesMax, "a batch holds at least one command");
assert(LIMITS.valueItemsMax * 4 < LIMITS.commandBytesMax, "the items of a command are bounded by more than its bytes");
assert(LIMITS.batchBytesMax + 64 * KiB < LIMITS.groupFrameBytesMax, "a frame holds the largest entry and its envelope");
assert(
  LIMITS.batchBytesMax + LIMITS.runBytesMax + 8 * LIMITS.runBatchesMax + KiB < LIMITS.entryDataBytesMax,
  "an entry holds the largest batch and those before it",
);
assert(
  LIMITS.appendBytesMax + LIMITS.entryDataBytesMax + 64 * KiB < LIMITS.groupFrameBytesMax,
  "an append may overshoot by one entry",
);
assert(
  LIMITS.inflightBytesMax <= LIMITS.leaderUncommittedBytesMax,
  "what a follower may have in flight may also be appended",
);
assert(LIMITS.windowBytesMax * 2 <= LIMITS.leaderRequestBytesMax, "one member alone does not fill a leader's room");
assert(LIMITS.appendBytesMax <= LIMITS.inflightBytesMax, "the window holds at least one append");
assert(LIMITS.entryBytesMax * 8 <= LIMITS.discoveryFrameBytesMax, "a frame holds several entries");
assert(LIMITS.attributesBytesMax < LIMITS.entryBytesMax, "an entry holds its attributes");
assert(LIMITS.ticketBytesMax + LIMITS.attributesBytesMax < LIMITS.entryBytesMax, "an entry holds a large ticket too");
assert(LIMITS.frameDigestItemsMax * 58 + 8 * KiB < LIMITS.discoveryFrameBytesMax, "a frame holds its digest items");
assert(LIMITS.frameEntriesMax <= LIMITS.frameDigestItemsMax, "what is asked for in one frame was listed in one");
assert(LIMITS.discoveryLinksMax < LIMITS.connectionsMax, "discovery leaves connections to the others");
assert(LIMITS.helloProofBytesMax + 512 < 1 * KiB, "a hello holds proof and envelope beside its payload");
assert(LIMITS.closeReasonBytesMax + 64 < LIMITS.helloBytesMax, "a close frame holds its reason");
assert(LIMITS.handshakesPerAddressMax * 4 <= LIMITS.handshakesInProgressMax, "one address cannot take all handshakes");
assert(LIMITS.handshakesInProgressMax <= LIMITS.connectionsMax, "a handshake counts as a connection");
assert(LIMITS.streamHighWaterBytes <= LIMITS.linkHighWaterBytes, "a connection is full before its link is");
assert(LIMITS.streamHighWaterBytes <= LIMITS.consumerLinkBytes, "also before that of a stream is");
assert(LIMITS.keepAliveIntervalMs * 2 < LIMITS.keepAliveTimeoutMs, "a probe is answered before the link is given up");
assert(LIMITS.segmentReserveBytes * 4 <= LIMITS.segmentBytesMin, "a segment is mostly for entries");
assert(LIMITS.openingIdsMax * 16 * 2 < LIMITS.segmentReserveBytes, "a segment's first record is small");
assert(LIMITS.segmentBytesMin <= LIMITS.segmentBytesMax, "segments grow");
assert(LIMITS.storageBatchBytesMax < LIMITS.segmentBytesMax, "a large segment holds several batches");
assert(LIMITS.entryDataBytesMax + KiB < LIMITS.storageWriteBytesMax, "a write holds the largest entry");
assert(
  LIMITS.snapshotChunksMax * 32 + LIMITS.snapshotConfigurationBytesMax + KiB < LIMITS.groupFrameBytesMax,
  "a frame holds what is known of the largest snapshot",
);
assert(LIMITS.snapshotChunkBytes + KiB < LIMITS.groupFrameBytesMax, "a frame holds a chunk");
assert(LIMITS.leaderPullersMax < LIMITS.pullersMax, "a leader feeds fewer than others do");
assert(LIMITS.observersMax + LIMITS.visitorsMax < LIMITS.bondsMax, "observers leave bonds to voters and spares");
assert(LIMITS.expectMax <= LIMITS.votersMax, "founders are voters");
assert(
  LIMITS.linkHighWaterBytes + LIMITS.groupFrameBytesMax < LIMITS.linkQueuedBytesMax,
  "a frame fits a link that is not full",
);
assert(
  LIMITS.streamChunkBytes + LIMITS.streamValueBytesMax + KiB < LIMITS.streamFrameBytesMax,
  "a frame of values may overshoot by one",
);
assert(LIMITS.streamValueBytesMax < LIMITS.streamQueuedBytesMax, "a queue holds the largest value");
assert(LIMITS.streamLanesKeptMax < LIMITS.streamLanesMax, "criteria that nobody has leave room for others");
assert(LIMITS.inflightBytesMax < LIMITS.linkQueuedBytesMax, "replication alone never closes a link");
