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
  /** Text of a close reason, in UTF-8. Longer ones are cut. */
  closeReasonBytesMax: 256,
  /** Nesting of a decoded value. */
  valueDepthMax: 64,
  /** Bytes that a link holds for a slow peer before `send` reports that it is full. */
  linkHighWaterBytes: 1 * MiB,
  /** Bytes held for a slow peer before the link is closed as `too-slow`. */
  linkQueuedBytesMax: 64 * MiB,

  // ── Links ──
  /** Dial, TLS and hello together. */
  handshakeTimeoutMs: 5_000,
  /** A peer that takes longer to accept our closing is cut off. */
  closeTimeoutMs: 2_000,
  /** Silence on an idle link before it is probed, and before it is given up. */
  keepAliveIntervalMs: 2_000,
  keepAliveTimeoutMs: 8_000,
  handshakesInProgressMax: 256,
  connectionsPerAddressMax: 512,
  connectionsMax: 4_096,

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
  /** An entry's clock may be ahead of ours by this much. */
  clockDriftMsMax: 50_000,

  // ── Groups ──
  /** One command, encoded. */
  commandBytesMax: 1 * MiB,
  /** One batch of `executeMany`, encoded: it is one entry. */
  batchBytesMax: 2 * MiB,
  batchCommandsMax: 65_536,
  /** Commands of one member that are on their way. */
  windowEntriesMax: 4_096,
  windowBytesMax: 16 * MiB,
  /** What one append message carries, and what one follower may have in flight. */
  appendBytesMax: 1 * MiB,
  appendEntriesMax: 1_024,
  inflightBytesMax: 8 * MiB,
  votersMax: 5,
  expectMax: 5,
  groupsPerNetworkMax: 256,
  nameBytesMax: 256,
  secretCharactersMin: 16,
  /** Items that a slow reader of a subscription may leave waiting before it is told `reset`. */
  subscriptionItemsMax: 1_024,
} as const;

assert(LIMITS.commandBytesMax < LIMITS.batchBytesMax, "a batch holds at least one command");
assert(LIMITS.batchBytesMax + 64 * KiB < LIMITS.groupFrameBytesMax, "a frame holds the largest entry and its envelope");
assert(
  LIMITS.appendBytesMax + LIMITS.batchBytesMax + 64 * KiB < LIMITS.groupFrameBytesMax,
  "an append may overshoot by one entry",
);
assert(LIMITS.appendBytesMax <= LIMITS.inflightBytesMax, "the window holds at least one append");
assert(LIMITS.entryBytesMax * 8 <= LIMITS.discoveryFrameBytesMax, "a frame holds several entries");
assert(LIMITS.attributesBytesMax < LIMITS.entryBytesMax, "an entry holds its attributes");
assert(LIMITS.ticketBytesMax + LIMITS.attributesBytesMax < LIMITS.entryBytesMax, "an entry holds a large ticket too");
assert(LIMITS.frameDigestItemsMax * 58 + 8 * KiB < LIMITS.discoveryFrameBytesMax, "a frame holds its digest items");
assert(LIMITS.frameEntriesMax <= LIMITS.frameDigestItemsMax, "what is asked for in one frame was listed in one");
assert(LIMITS.discoveryLinksMax < LIMITS.connectionsMax, "discovery leaves connections to the others");
assert(LIMITS.keepAliveIntervalMs * 2 < LIMITS.keepAliveTimeoutMs, "a probe is answered before the link is given up");
assert(LIMITS.expectMax <= LIMITS.votersMax, "founders are voters");
assert(
  LIMITS.linkHighWaterBytes + LIMITS.groupFrameBytesMax < LIMITS.linkQueuedBytesMax,
  "a frame fits a link that is not full",
);
assert(LIMITS.inflightBytesMax < LIMITS.linkQueuedBytesMax, "replication alone never closes a link");
