/** What the victim's process and the attackers agree on. */
export const NETWORK = "abused";
export const GROUP = "counter";
export const MACHINE = "victim";
export const SECRET = "a secret that attackers do not know";
export const MEMBERS = 3;

/** Of the time since the report before, where it is no count. */
export interface Report {
  /** Commands, in all, before the read. */
  readonly acknowledged: number;
  /** The counter's value: a strong read. */
  readonly applied: number;
  /** Commands, in all, after the read. */
  readonly begun: number;
  readonly failures: readonly string[];
  readonly terms: readonly number[];
  /** As all members see it: one. */
  readonly leaders: readonly string[];
  /** After a collection. */
  readonly rssBytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Links of each member. */
  readonly connections: readonly number[];
}

export type VictimMessage =
  | { readonly type: "ready"; readonly ports: { readonly leader: number; readonly follower: number } }
  | { readonly type: "report"; readonly report: Report };
