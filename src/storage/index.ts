/** Stores. */
export type * from "./types.ts";
