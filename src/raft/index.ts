/** The pure Raft core. */
export * from "./types.ts";
