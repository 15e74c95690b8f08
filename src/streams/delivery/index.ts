/** How values get from a producer's program to a consumer's: `Outflow` at one end, `Intake` and `Inbox` at the other. Pure; links are ports. */

export { Inbox } from "./inbox.ts";
export { Intake, InvalidValue, type Progress } from "./intake.ts";
export { Outflow, type Subscriber } from "./outflow.ts";
export type { Port, QueueLimits } from "./outlet.ts";
export { Progresses } from "./progresses.ts";
