/**
 * What this node asks of its group: commands wait in the `Proposer` until the own replica applied them, strong reads in `Reads` until a
 * leader confirmed an index.
 */

export { Call, noResult, resultOf, resultsOf } from "./call.ts";
export { Proposer } from "./proposer.ts";
export { outcomeUnknown, overloaded, resultUnavailable } from "./proposer-errors.ts";
export { ReadServer, Reads } from "./reads.ts";
