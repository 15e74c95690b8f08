/** Discovery. */
export type * from "./types.ts";
