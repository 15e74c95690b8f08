/**
 * Exactly once: each member process numbers its commands within a session, and every replica knows which numbers it applied. A receipt
 * names a command, so that its outcome can be asked for later.
 */
export { decodeReceipt, encodeReceipt, type ReceiptParts } from "./receipts.ts";
export { encodeSessions, readSessions } from "./session-codec.ts";
export { type BatchFate, type SessionIndex, type SessionRecord, SessionTable } from "./sessions.ts";
