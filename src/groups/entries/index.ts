/**
 * What a group's log holds: the kinds of entries, the batches of commands in them, and the versions that members agree on. Bytes only, no
 * state.
 */
export {
  bytesOf,
  type CommandBatch,
  encodeBatch,
  type NumberedBatch,
  readBatch,
  readCommands,
  writeBatch,
} from "./batches.ts";
export {
  decodeConfiguration,
  decodeGenesis,
  decodeRun,
  decodeSession,
  decodeSessionEnd,
  decodeVersion,
  ENTRY_COMMANDS,
  ENTRY_CONFIGURATION,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  ENTRY_SESSION_END,
  ENTRY_VERSION,
  encodeConfiguration,
  encodeGenesis,
  encodeOpen,
  encodeRun,
  encodeSession,
  encodeSessionEnd,
  encodeVersion,
  keepEntryData,
  votersOf,
} from "./entries.ts";
export { memberId, peerOf } from "./member-id.ts";
export {
  type CommandSupport,
  decideVersion,
  isFit,
  isSameSupport,
  LOG_FORMAT,
  readSupport,
  type Support,
  writeSupport,
} from "./versions.ts";
