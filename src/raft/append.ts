import { assert } from "../env/index.ts";
import type { Log } from "./log.ts";
import type { AppendRequest, Entry, Index, LogPosition } from "./types.ts";

/** Part of a log, and the latest term that it may be of. */
type Slice = Pick<AppendRequest, "term" | "prev" | "entries">;

/** What a follower's log needs so that it holds the entries of an append. */
export type AppendPlan =
  /** Not an append that a leader can have sent. */
  | { readonly type: "malformed" }
  /** The logs do not meet at `prev`; they may do so at `hint`. */
  | { readonly type: "conflict"; readonly hint: LogPosition }
  /** Equal up to `matched` once `truncateFrom` and the `missing` entries are done. */
  | {
      readonly type: "fits";
      readonly matched: Index;
      readonly truncateFrom: Index | undefined;
      readonly missing: readonly Entry[];
    };

/**
 * Compares an append with a follower's log (Raft paper, figure 2, "AppendEntries", 2 to 4). Changes nothing.
 *
 * Each entry is compared, and only the first that differs truncates: an old append that arrives late must not cut what a newer one added.
 *
 * @param commit - entries up to here are settled; a leader that contradicts them is a broken invariant
 */
export function planAppend(log: Log, commit: Index, request: Slice): AppendPlan {
  const { prev, entries } = request;
  if (!isWellFormed(request)) return { type: "malformed" };
  // What a snapshot covers is committed, hence equal; entries beyond it count.
  const isCovered = prev.index < log.base.index;
  if (!isCovered && !log.has(prev)) return { type: "conflict", hint: log.lastNotAbove(prev) };

  let truncateFrom: Index | undefined;
  let equal = 0;
  for (const entry of entries) {
    if (entry.index > log.base.index) {
      const term = log.termAt(entry.index);
      if (term !== undefined && term !== entry.term) truncateFrom = entry.index;
      if (term !== entry.term) break;
    }
    equal++;
  }
  assert(truncateFrom === undefined || truncateFrom > commit, `committed entry ${truncateFrom} is never replaced`);
  const missing = equal === 0 ? entries : entries.slice(equal);
  return { type: "fits", matched: prev.index + entries.length, truncateFrom, missing };
}

function isWellFormed({ term, prev, entries }: Slice): boolean {
  let last = prev;
  for (const entry of entries) {
    if (entry.index !== last.index + 1 || entry.term < last.term) return false;
    last = entry;
  }
  return last.term <= term;
}
