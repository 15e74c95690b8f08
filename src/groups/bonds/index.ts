/**
 * What members say to each other: one link for each pair, its hello, its frames, and the status that each tells of itself.
 */
export { observersOf } from "./acquaintances.ts";
export type { Bond } from "./bond.ts";
export { Bonds, type BondsOptions, GROUP_PROTOCOL, type Verdict } from "./bonds.ts";
export { type BondFrame, decodeHello, FRAME_COMMANDS_MAX, UNSUPPORTED_MEMBERS_MAX } from "./frames.ts";
export { NO_OPENINGS, openingsOf } from "./openings.ts";
export { chunksOf, HASH_BYTES, type SnapshotFrame, type SnapshotOffer } from "./snapshot-frames.ts";
export { DISTANCE_MAX, LEFT_MAX, type MemberStatus, NO_STORE } from "./status.ts";
export { StatusTeller } from "./status-teller.ts";
