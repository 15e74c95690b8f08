/**
 * Hostile peers of stream runs: members of the network that speak the protocol by hand. `intrusions.ts` says what they do as consumers, `answers.ts` and
 * `scripts.ts` what as producers; `judge.ts`, `dials.ts`, `isolation.ts`, `load.ts` and `HostileLine` say what honest peers must make of it.
 */
export { Hostility } from "./hostility.ts";
export type { HostileLine } from "./line.ts";
export { HostilePeer } from "./peer.ts";
