/**
 * A member while its store is bound to one incarnation. A voter drives a Raft core (`driver.ts`); a reader follows (`follow.ts`). Who
 * leads holds an office: it appends commands (`leader.ts`), keeps the voters healthy (`keeper.ts`, `membership.ts`) and ends sessions.
 */
export { Compatibility } from "./compatibility.ts";
export { DiskRoom } from "./disk-room.ts";
export { TICK_MS, type Timing } from "./driver.ts";
export { Life } from "./life.ts";
export type { LifeContext, MemberOptions } from "./life-context.ts";
export type { GroupProbe, LogStart, ProbeSource, VoterSteering } from "./probe.ts";
